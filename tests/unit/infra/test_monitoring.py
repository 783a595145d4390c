"""The dashboard and the alert rules ask for what the gateway tells, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import promql_parser
import pytest
import yaml

from gateway.metrics import Metrics

INFRA = Path(__file__).resolve().parents[3] / "infra"
DASHBOARD = json.loads((INFRA / "grafana" / "dashboards" / "ocr-gateway.json").read_text("utf-8"))
RULES = yaml.safe_load((INFRA / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
SCRAPES = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
SERVICES = yaml.safe_load((INFRA / "monitoring.yaml").read_text("utf-8"))["services"]

EXPRESSIONS = {f"panel {panel['title']} {target['refId']}": target["expr"]
               for panel in DASHBOARD["panels"] for target in panel["targets"]}  # fmt: skip
EXPRESSIONS |= {f"alert {rule['alert']}": rule["expr"] for rule in RULES}
ADDED_BY_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """Every series that /metrics can have, with its labels."""
    found: dict[str, set[str]] = {"up": set()}
    for metric in Metrics()._registry.collect():
        labels = set(_labels(metric.name))
        suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}[metric.type]
        found |= {metric.name + suffix: labels | ({"le"} if suffix == "_bucket" else set()) for suffix in suffixes}
    return found


def _labels(name: str) -> tuple[str, ...]:
    metrics = Metrics()
    return next(each._labelnames for each in metrics._registry._collector_to_names if each._name == name)


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_expression_is_promql_over_metrics_and_labels_that_exist(where, labels):
    expression = EXPRESSIONS[where].replace("$__rate_interval", "5m")
    promql_parser.parse(expression)
    names = set(re.findall(r"\b(?:ocr_\w+|up)\b", expression))
    assert names <= labels.keys()
    known = set().union(*(labels[name] for name in names)) | ADDED_BY_PROMETHEUS
    used = {label for inside in re.findall(r"\{([^}]*)\}", expression) for label in re.findall(r"(\w+)\s*[=!]", inside)}
    used |= {label.strip() for inside in re.findall(r"by \(([^)]*)\)", expression) for label in inside.split(",")}
    assert used <= known


def test_routes_that_are_asked_for_are_served():
    served = json.dumps(EXPRESSIONS)
    description = json.loads((INFRA.parent / "gateway" / "http" / "openapi.json").read_text("utf-8"))
    paths = {path.replace("{id}", "<result_id>") for path in description["paths"]}
    for route in re.findall(r'route=\\"([^"\\]+)\\"', served):
        assert route in paths


def test_every_metric_of_the_gateway_is_on_the_dashboard(labels):
    shown = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    families = {re.sub(r"_(?:total|bucket|sum|count)$", "", name) for name in labels}
    assert {name for name in families if name not in shown} == set()


def test_every_alert_says_what_is_wrong_and_what_to_look_at():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert rule["for"]


def test_panels_do_not_overlap_and_have_numbers_of_their_own():
    places = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & places
        assert at["x"] + at["w"] <= 24
        places |= own
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_prometheus_asks_the_gateways_where_compose_has_them():
    compose = yaml.safe_load((INFRA / "compose.yaml").read_text("utf-8"))["services"]
    (job,) = SCRAPES
    (names,) = job["dns_sd_configs"]
    assert set(names["names"]) <= compose.keys()
    assert names["port"] == compose["gateway"]["environment"]["OCR_PORT"]
    assert f'job="{job["job_name"]}"' in EXPRESSIONS["alert OCRGatewayDown"]


def test_prometheus_has_an_operators_key_where_one_is_needed_and_an_empty_file_otherwise():
    (job,) = SCRAPES
    mounted = [volume.rsplit(":", 2) for volume in SERVICES["prometheus"]["volumes"]]
    assert ["${OCR_OPERATOR_KEY_FILE:-/dev/null}", job["authorization"]["credentials_file"], "ro"] in mounted


def test_the_compose_file_follows_the_specification_and_confines_its_services():
    tool = Path(sys.executable).with_name("check-jsonschema")
    run = subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", INFRA / "monitoring.yaml"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for service in SERVICES.values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", service["image"])
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (INFRA / source).is_dir()
        assert all("127.0.0.1" in port for port in service.get("ports", ()))
