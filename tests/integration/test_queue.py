"""Many machines in small: two gateways, workers behind a queue, Redis and S3, any of which may die."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import requests

from gateway.archive import Archive
from gateway.config import load_settings
from gateway.readers import job_table, queue
from gateway.store import open_store
from gateway.tenants import key_digest
from tests.documents import draw_invoice
from tests.servers import RedisServer, S3Server, redis_server
from tests.serving import Served, running

# How long Dramatiq waits before it takes a silent worker for dead, and some.
REDELIVERY_SECONDS = 30
# Tenants whose API key is their name, and the digit that their lookup key is made of.
KEYED = {"acme": "a", "zeta": "b"}


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """These tests pause and kill it."""
    with redis_server(tmp_path_factory.mktemp("own-redis")) as server:
        yield server


@pytest.fixture(scope="module")
def settings(own_redis: RedisServer, s3_server: S3Server) -> dict[str, object]:
    return {
        "redis_url": own_redis.url,
        "reader": "queue",
        "s3_bucket": s3_server.bucket,
        "s3_endpoint": s3_server.endpoint,
        "s3_access_key": s3_server.access_key,
        "s3_secret_key": s3_server.secret_key,
        "s3_addressing": "path",
        "s3_prefix": f"queue-{time.time_ns()}/",
    }


Start = Callable[..., Served]


@pytest.fixture(scope="module")
def start(settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts further processes with the module's settings; all are stopped at the end."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda command, **more: stack.enter_context(
            running(command, tmp_path_factory.mktemp(command), **(settings | more))
        )


@pytest.fixture(scope="module")
def worker(start: Start) -> Served:
    return start("worker")


@pytest.fixture(scope="module")
def gateways(worker: Served, start: Start) -> tuple[Served, Served]:
    return start("serve"), start("serve")


def post(served: Served, upload: bytes, **query: str) -> requests.Response:
    return requests.post(f"{served.url}/ocr", files={"image": upload}, params=query, timeout=90)


def detail(answer: requests.Response) -> str:
    return answer.headers["Cache-Status"].rpartition("detail=")[2]


def test_what_one_gateway_had_read_the_other_answers_from_redis(gateways):
    one, other = gateways
    upload = draw_invoice(1).png()
    assert post(one, upload).headers["X-Cache-Status"] == "MISS"
    again = post(other, upload)
    assert (again.headers["X-Cache-Status"], detail(again)) == ("HIT", "redis")


def test_a_copy_of_what_one_gateway_had_read_is_recognised_by_the_other(gateways):
    one, other = gateways
    original = post(one, draw_invoice(2).png()).json()
    copy = post(other, draw_invoice(2).jpeg(scale=0.9))
    assert copy.headers["X-Cache-Status"] in ("HIT", "PARTIAL")
    assert copy.json()["match"]["source"] == original["id"]


def test_a_corrected_document_has_its_changed_line_read_by_a_worker(gateways):
    one, other = gateways
    number = "24117000000128812885"
    original = post(one, draw_invoice(12, number=number).png()).json()
    corrected = post(other, draw_invoice(12, number="24117000000128812835").png())
    answer = corrected.json()
    assert corrected.headers["X-Cache-Status"] == "PARTIAL"
    assert answer["text"] == original["text"].replace(number, "24117000000128812835") != original["text"]


def test_a_copy_is_read_afterwards_by_an_idle_worker(gateways, start, wait_until):
    post(gateways[0], draw_invoice(13).png())
    shadowed = start("serve", match_shadow=1)
    answer = post(shadowed, draw_invoice(13).jpeg(scale=0.9))
    assert answer.headers["X-Cache-Status"] in ("HIT", "PARTIAL")

    def outcomes() -> dict[str, float]:
        return requests.get(f"{shadowed.url}/stats", timeout=5).json()["shadow_readings"]

    wait_until(lambda: any(outcomes().values()), 30)
    assert (outcomes()["agree"], outcomes()["digits_rate"]) == (1, 0.0)


def test_the_same_upload_at_both_gateways_is_read_once(gateways):
    upload = draw_invoice(3).png()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: post(gateways[number % 2], upload), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["created_at"] for answer in answers}) == 1
    assert len({answer.json()["processing_time_ms"] for answer in answers}) == 1


def test_a_refusal_travels_back_from_the_worker_and_leaves_nothing(gateways, own_redis):
    upload = draw_invoice(4).png()
    answer = post(gateways[0], upload[: len(upload) // 2])
    assert (answer.status_code, answer.json()["type"]) == (422, "/docs#broken-image")
    client = redis.Redis.from_url(own_redis.url)
    assert not any(client.hexists(key, "upload") for key in client.keys(job_table.job_key("*")))


def test_a_worker_killed_in_the_middle_of_a_reading_loses_nothing(gateways, worker, start, own_redis):
    client = redis.Redis.from_url(own_redis.url)
    killed = threading.Event()

    def kill_once_it_reads() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any(client.hexists(key, "deliveries") for key in client.keys(job_table.job_key("*"))):
                worker.process.send_signal(signal.SIGKILL)
                killed.set()
                return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_once_it_reads)
    killer.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, gateways[0], draw_invoice(5).png())
        killer.join()
        assert killed.is_set()
        # Its colleague counts as dead when it is ready to look, not seconds later.
        start("worker", constants={"gateway.readers.queue.HEARTBEAT_TIMEOUT_MS": 2000})
        answer = waiting.result(timeout=REDELIVERY_SECONDS + 60)
    assert answer.status_code == 200
    assert draw_invoice(5).number in answer.json()["text"]


def test_without_redis_known_documents_are_answered_from_s3_and_new_ones_refused_by_name(
    gateways, start, own_redis, wait_until
):
    one, _ = gateways
    known = post(one, draw_invoice(6).png())
    assert known.status_code == 200
    own_redis.pause()
    try:
        answer = post(one, draw_invoice(6).png())
        assert (answer.headers["X-Cache-Status"], detail(answer)) == ("HIT", "s3")
        looked_up = requests.get(one.url + known.headers["Content-Location"], timeout=10)
        assert looked_up.json()["text"] == known.json()["text"]
        refused = post(one, draw_invoice(7).png())
        assert (refused.status_code, refused.json()["type"]) == (503, "/docs#store-unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        unsure = requests.delete(one.url + known.headers["Content-Location"], timeout=30)
        assert (unsure.status_code, unsure.json()["type"]) == (503, "/docs#store-unavailable")
    finally:
        own_redis.resume()

    def reads_again() -> bool:
        return post(one, draw_invoice(7).png()).status_code == 200

    wait_until(reads_again, 60)


def test_a_deletion_reaches_both_tiers_and_the_other_gateway(gateways, s3_server, settings, own_redis):
    one, other = gateways
    location = post(one, draw_invoice(8).png()).headers["Content-Location"]
    assert requests.get(other.url + location, timeout=10).status_code == 200
    assert requests.delete(one.url + location, timeout=30).status_code == 204
    assert requests.get(other.url + location, timeout=10).status_code == 404
    listing = s3_server.client().list_objects_v2(Bucket=s3_server.bucket, Prefix=settings["s3_prefix"])
    naming = [each["Key"] for each in listing.get("Contents", []) if location.rpartition("/")[2] in each["Key"]]
    assert all(key.startswith(f"{settings['s3_prefix']}deletions/") for key in naming)
    assert post(other, draw_invoice(8).jpeg(scale=0.9)).headers["X-Cache-Status"] == "MISS"


def test_without_workers_a_gateway_is_not_ready(own_redis):
    redis.Redis.from_url(own_redis.url).delete(queue.workers_key())
    alone = load_settings(redis_url=own_redis.url, reader="queue")
    store = open_store(alone)
    readings = queue.QueuedReadings.connect(alone, Archive(store))
    try:
        assert readings.ready() is False
    finally:
        readings.close()
        store.close()


@pytest.fixture(scope="module")
def keyed(worker: Served, start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Served, Served]:
    """Two gateways more, over the same stores and worker, that ask for API keys."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    tenants = {
        name: {"lookup_key": digit * 64, "keys": [{"sha256": key_digest(name)}]} for name, digit in KEYED.items()
    }
    path.write_text(json.dumps({"tenants": tenants}))
    path.chmod(0o600)
    return start("serve", api_keys_file=path), start("serve", api_keys_file=path)


def test_with_keys_copies_are_recognised_by_every_gateway_for_their_own_tenant_only(gateways, keyed):
    def post_as(name: str, served: Served, upload: bytes) -> requests.Response:
        headers = {"X-API-Key": name}
        return requests.post(f"{served.url}/ocr", files={"image": upload}, headers=headers, timeout=90)

    one, other = keyed
    upload, copy = draw_invoice(31).png(), draw_invoice(31).jpeg(scale=0.9)
    originals = {name: post_as(name, one, upload).json() for name in KEYED}
    assert len({original["id"] for original in originals.values()}) == 2
    for name, original in originals.items():
        found = post_as(name, other, copy)
        assert found.headers["X-Cache-Status"] in ("HIT", "PARTIAL")
        assert found.json()["match"]["source"] == original["id"]
        assert post_as(name, other, upload).headers["X-Cache-Status"] == "HIT"
    assert post(gateways[0], copy).headers["X-Cache-Status"] == "MISS", "what tenants have is not everybody's"
