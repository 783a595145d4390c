"""How the stack reads compose.yaml."""

from __future__ import annotations

import compose_file
import pytest

from infra import stack


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${A}", "1"),
        ("${B}", ""),
        ("${A:-x}", "1"),
        ("${B:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("http://${A}:${B:-80}/", "http://1:80/"),
        ("$${A}", "${A}"),
        ("${A:?needed}", "1"),
        ({"k": ["${A}", 5, None, True]}, {"k": ["1", 5, None, True]}),
    ],
)
def test_variables_are_filled_in_as_compose_does(written, read):
    assert compose_file.interpolate(written, {"A": "1", "EMPTY": ""}) == read


@pytest.mark.parametrize("written", ["${B:?needed}", "${B?needed}", "${EMPTY:?needed}"])
def test_a_required_variable_is_required(written):
    with pytest.raises(compose_file.ComposeError, match="needed"):
        compose_file.interpolate(written, {"EMPTY": ""})


@pytest.mark.parametrize(("text", "value"), [("5s", 5), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1.5s", 1.5)])
def test_durations(text, value):
    assert compose_file.seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "5x"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(compose_file.ComposeError):
        compose_file.seconds(text)


def test_addresses_and_folders_are_replaced_and_nothing_else(tmp_path):
    places = stack.Places(tmp_path, {"redis:6379": 1001, "edge:8080": 1002, "edge:8081": 1003})
    mounts = {"/data": "/here/redis"}
    assert places.localise("redis://:pw@redis:6379/0", "gateway", {}) == "redis://:pw@127.0.0.1:1001/0"
    assert places.localise("0.0.0.0:8081", "edge", {}) == "127.0.0.1:1003"
    assert places.localise("0.0.0.0:8081", "gateway", {}) == "0.0.0.0:8081"
    assert places.localise("http://edge:80812/", "gateway", {}) == "http://edge:80812/"
    assert places.localise("myredis:6379", "gateway", {}) == "myredis:6379"
    assert places.localise("--dir=/data", "redis", mounts) == "--dir=/here/redis"
    assert places.localise("/database /a/data", "redis", mounts) == "/database /a/data"


def test_services_start_after_what_they_depend_on(tmp_path):
    order = stack.Stack(tmp_path, 0, {}, lambda name, line: None).order()
    for earlier, later in [
        ("redis", "worker"),
        ("s3", "bucket"),
        ("bucket", "gateway"),
        ("worker", "gateway"),
        ("gateway", "edge"),
    ]:
        assert order.index(earlier) < order.index(later)
