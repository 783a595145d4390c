"""TLS, HTTP/2 and HTTP/3: what the nginx at hand can do, and what that makes of the settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Nginx:
    """An nginx's version, and whether it was built with QUIC."""

    version: tuple[int, ...]
    quic: bool

    @property
    def has_http2_directive(self) -> bool:
        """From 1.25.1 it is ``http2 on``; as a word of ``listen`` it draws a warning there."""
        return self.version >= (1, 25, 1)


DEBIAN_12 = Nginx((1, 22, 1), quic=False)


def program() -> str:
    """Where nginx is."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or "/usr/sbin/nginx"


def installed() -> Nginx:
    """The nginx that will read the configuration; Debian 12's where none answers."""
    try:
        told = subprocess.run([program(), "-V"], capture_output=True, text=True, timeout=10, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return DEBIAN_12
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", told)
    return Nginx(tuple(map(int, version.groups())) if version else DEBIAN_12.version, "--with-http_v3_module" in told)


def placeholders(values: Mapping[str, object], nginx: Nginx) -> dict[str, str]:
    """What the templates' words about TLS stand for; comments where it is off."""
    listens = values["OCR_EDGE_TLS_LISTEN"]
    redirects = values["OCR_EDGE_REDIRECT_LISTEN"]
    names = values["OCR_EDGE_SERVER_NAMES"]
    assert isinstance(listens, tuple) and isinstance(redirects, tuple) and isinstance(names, tuple)
    if not listens:
        off = "# OCR_EDGE_TLS_LISTEN is empty."
        return {"tls": off, "tls_listen": f"    {off}", "tls_refusal": "", "tls_headers": f"    {off}", "redirect": off}
    default = "" if names else " default_server"
    inline_http2 = "" if nginx.has_http2_directive else " http2"
    lines = [f"    listen {address} ssl{inline_http2}{default};" for address in listens]
    if nginx.has_http2_directive:
        lines.append("    http2 on;")
    headers = ["    add_header Strict-Transport-Security $transport_security always;"]
    refusals = [f"    listen {address} ssl{inline_http2} default_server;" for address in listens]
    if values["OCR_EDGE_HTTP3"] == "on":
        # `reuseport` is said once for each address, in its default server.
        lines += [f"    listen {address} quic{'' if names else f' reuseport{default}'};" for address in listens]
        refusals += [f"    listen {address} quic reuseport default_server;" for address in listens]
        ports = sorted({address.rpartition(":")[2] for address in listens})
        offers = ", ".join(f'h3=":{port}"; ma=86400' for port in ports)
        headers.append(f"    add_header Alt-Svc '{offers}' always;")
    return {
        "tls": "\n".join(
            [
                f"ssl_certificate {values['OCR_EDGE_TLS_CERTIFICATE']};",
                f"ssl_certificate_key {values['OCR_EDGE_TLS_KEY']};",
                _POLICY,
            ]
        ),
        "tls_listen": "\n".join(lines),
        # A name that is not ours is told apart in the handshake already.
        "tls_refusal": "\n".join([*refusals, "    ssl_reject_handshake on;"]),
        "tls_headers": "\n".join(headers),
        "redirect": _redirect(redirects, names) if redirects else "# OCR_EDGE_REDIRECT_LISTEN is empty.",
    }


# Mozilla's "intermediate" recommendation (Server Side TLS 5.7) without its finite-field Diffie-Hellman, which every
# client of the last ten years does without. Tickets off: nginx never changes their key while it runs.
_POLICY = """\
ssl_protocols TLSv1.2 TLSv1.3;
ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
ssl_prefer_server_ciphers off;
ssl_ecdh_curve X25519:prime256v1:secp384r1;
ssl_session_cache shared:tls:10m;
ssl_session_timeout 1d;
ssl_session_tickets off;"""


def _redirect(listens: tuple[str, ...], names: tuple[str, ...]) -> str:
    return "\n".join(
        [
            "server {",
            *(f"    listen {address};" for address in listens),
            f"    server_name {' '.join(names)};",
            "    # 308: a POST stays a POST. The name was compared with ours, so nobody is led elsewhere.",
            "    return 308 https://$host$request_uri;",
            "}",
            "server {",
            *(f"    listen {address} default_server;" for address in listens),
            '    server_name "";',
            "    include snippets/problems.conf;",
            "    location / {",
            "        return 421;",
            "    }",
            "}",
        ]
    )
