"""gunicorn's threaded worker, made fit to face clients without a buffering proxy in between.

gunicorn's own reads a request with a blocking socket, for as long as the client likes, and every thread that waits so
is lost to the others. Here a connection gets a thread only once it has sent something, must go on sending, and is
closed on that thread. What is refused before the application sees it has the same shape as every other error.
"""

from __future__ import annotations

import errno
import json
import logging
import selectors
import socket
import struct
import sys
import time
from functools import partial
from http import HTTPStatus

from gunicorn import util
from gunicorn.http.body import Body
from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    ForbiddenProxyRequest,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker
from werkzeug.exceptions import BadRequest, RequestTimeout

from gateway.http import problem

log = logging.getLogger(__name__)

# Silence that ends a request, and what a client may be slow in all; as Apache's RequestReadTimeout,
# each 500 bytes buy another second, so that a slow line can send a large image.
RECEIVE_SECONDS = 15.0
MIN_BYTES_PER_SECOND = 500
# A client that takes no byte of its answer for this long is gone.
SEND_SECONDS = 30
# For the client to take the last of an answer and close (RFC 9112, section 9.6).
LINGER_SECONDS = 1.0


class SlowRequest(ParseException):
    """The request did not arrive in the time it has."""


class _Unreader(SocketUnreader):
    """Reads from a blocking socket within what is left of the request's time, counting only time spent waiting."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.restart()

    def restart(self) -> None:
        """The next request begins."""
        self._received, self._waited = 0, 0.0

    def chunk(self, size_hint: int | None = None) -> bytes:
        left = min(RECEIVE_SECONDS, RECEIVE_SECONDS + self._received / MIN_BYTES_PER_SECOND - self._waited)
        # Set while gunicorn discards the rest of a body after its answer; it handles that timeout itself.
        bound = self.sock.gettimeout()
        began = time.monotonic()
        try:
            self.sock.settimeout(max(0.001, left if bound is None else min(left, bound)))
            data = super().chunk(size_hint)
        except TimeoutError:
            if bound is None:
                raise SlowRequest from None
            raise
        finally:
            self._waited += time.monotonic() - began
            self.sock.settimeout(bound)
        self._received += len(data)
        return data


class _Body(Body):
    """A request's body, whose faults reach the application as the client's: a 408, or a 400."""

    def _read_reader(self, size: int) -> bytes:
        try:
            return super()._read_reader(size)
        except SlowRequest:
            raise RequestTimeout from None
        except ParseException:
            raise BadRequest from None


class _Connection(TConn):
    def init(self) -> None:
        if not self.initialized:
            super().init()
            self.parser.unreader = _Unreader(self.sock)

    def close(self, graceful: bool = False) -> None:
        # On the thread that serves everybody: without waiting, which `Worker.handle` has done.
        super().close()


class Worker(ThreadWorker):
    """``gthread`` with limits on a client's time. Made for gunicorn 27, whose inner methods it extends."""

    def accept(self, listener) -> None:
        """Take a connection, to be polled until its first byte."""
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
        connection = _Connection(self.cfg, sock, address, listener.getsockname())
        connection.timeout = time.monotonic() + RECEIVE_SECONDS
        self.nr_conns += 1
        self.pending_conns.append(connection)
        self.poller.register(sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, connection))

    def handle(self, conn):
        conn.init()
        conn.parser.unreader.restart()
        keep = super().handle(conn)
        if not keep:
            # Whatever still comes in that time is taken: a socket closed on unread bytes is reset, and its answer lost.
            util.close_graceful(conn.sock, LINGER_SECONDS, max_drain=sys.maxsize)
        return keep

    def handle_request(self, req, conn):
        req.body = _Body(req.body.reader)
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            log.info("a client stopped taking its answer")
            return False

    def _keepalive_after(self, conn, keepalive):
        try:
            return super()._keepalive_after(conn, keepalive)
        except (ParseException, BadRequest, RequestTimeout):
            # The rest of a body that nobody wanted; its request has been answered.
            return False

    def handle_error(self, req, client, addr, exc) -> None:
        """Answer what never reached the application. The log does not quote the request."""
        status = _status(exc)
        (log.error if status == 500 else log.warning)("refused before the application: %s", type(exc).__name__)
        document = problem.early_problem(status)
        body = json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Content-Type: {problem.MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n"
            f"X-Request-ID: {document['request_id']}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            log.debug("the client was gone")


_STATUS: dict[type[Exception], int] = {
    SlowRequest: 408,
    LimitRequestLine: 414,
    ExpectationFailed: 417,
    LimitRequestHeaders: 431,
    ForbiddenProxyRequest: 403,
    UnsupportedTransferCoding: 501,
    ConfigurationProblem: 500,
    InvalidResponseHeader: 500,
    InvalidResponseHeaderName: 500,
}


def _status(error: Exception) -> int:
    return _STATUS.get(type(error), 400 if isinstance(error, ParseException) else 500)
