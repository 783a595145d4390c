"""TLS at the edge, with a certificate made here."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess

import pytest


@pytest.fixture
def secured(start_edge, origin, unused_port, certificate):
    """An edge with TLS, and the ports of TLS and of the redirect."""
    tls, redirect = unused_port(), unused_port()
    edge = start_edge(
        f"127.0.0.1:{origin.port}",
        OCR_EDGE_SERVER_NAMES="ocr.example",
        OCR_EDGE_TLS_LISTEN=f"127.0.0.1:{tls}",
        OCR_EDGE_TLS_CERTIFICATE=str(certificate[0]),
        OCR_EDGE_TLS_KEY=str(certificate[1]),
        OCR_EDGE_REDIRECT_LISTEN=f"127.0.0.1:{redirect}",
    )
    return edge, tls, redirect


def connect(port: int, certificate, name: str = "ocr.example", **limits) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=certificate[0])
    context.set_alpn_protocols(["h2", "http/1.1"])
    for limit, value in limits.items():
        setattr(context, limit, value)
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        return context.wrap_socket(connection, server_hostname=name)
    except BaseException:
        connection.close()
        raise


def curl(port: int, certificate, path: str, *options: str) -> str:
    command = ["curl", "-sS", "--cacert", certificate[0], "--resolve", f"ocr.example:{port}:127.0.0.1", *options]
    return subprocess.run(
        [*command, f"https://ocr.example:{port}{path}"], check=True, capture_output=True, text=True, timeout=30
    ).stdout


def test_a_look_up_is_answered_over_http_2_from_the_same_cache(secured, origin, live, certificate, address, result_id):
    edge, tls, _ = secured
    origin.answers[address] = live(b"found")
    if not shutil.which("curl"):
        pytest.fail("curl is not installed: apt-get install curl")
    for word in ("miss", "hit"):
        answer = curl(tls, certificate, address, "-D", "-").lower()
        edge.wait_until_filed(result_id)
        assert answer.startswith("http/2 200")
        assert f"x-cache-status: {word}" in answer
        assert "strict-transport-security: max-age=63072000" in answer
    assert edge.get(address, headers={"Host": "ocr.example"}).word == "HIT"
    assert "strict-transport-security" not in edge.get(address, headers={"Host": "ocr.example"}).headers
    assert len(origin.seen(result_id)) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_todays_versions_are_spoken_with_forward_secrecy(secured, certificate, version):
    _, tls, _ = secured
    with connect(tls, certificate, minimum_version=version, maximum_version=version) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        name, _, bits = connection.cipher()
        assert bits >= 128
        assert name.startswith(("ECDHE-", "TLS_AES_", "TLS_CHACHA20_"))
        assert "GCM" in name or "CHACHA20" in name


def test_old_ciphers_are_not(secured, certificate):
    _, tls, _ = secured
    context = ssl.create_default_context(cafile=certificate[0])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-SHA:AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", tls), timeout=10) as connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection, server_hostname="ocr.example")


def test_another_name_is_refused_in_the_handshake(secured, certificate):
    _, tls, _ = secured
    with pytest.raises(ssl.SSLError, match=r"UNRECOGNIZED_NAME|unrecognized name"):
        connect(tls, certificate, "evil.example")


def test_plain_http_is_led_to_tls_and_only_for_our_own_name(secured):
    _, _, redirect = secured
    for host, status in (("ocr.example", 308), ("evil.example", 421)):
        with socket.create_connection(("127.0.0.1", redirect), timeout=10) as connection:
            connection.sendall(f"POST /ocr?a=b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda connection=connection: connection.recv(4096), b"")).decode()
        assert answer.startswith(f"HTTP/1.1 {status}")
        if status == 308:
            assert "Location: https://ocr.example/ocr?a=b\r\n" in answer
        else:
            assert json.loads(answer.partition("\r\n\r\n")[2])["status"] == 421


def test_what_speaks_plain_http_to_the_tls_address_is_told_so(secured):
    _, tls, _ = secured
    with socket.create_connection(("127.0.0.1", tls), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ocr.example\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""
