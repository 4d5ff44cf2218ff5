"""HTTP requests to servers that may misbehave: where they redirect to, how long they may take."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0  # how long the server may be silent
STALL_SECONDS = 60.0  # in which ``LEAST_BYTES`` must come, however busy the server seems
LEAST_BYTES = 1000

_CHUNK_BYTES = 1 << 18


class Refused(Exception):
    """The file cannot be downloaded; the text says what came instead."""


class Interrupted(Refused):
    """The transfer broke off; another attempt may succeed."""


class Stalled(Refused):
    """The server answers, but no data come."""


class Watchdog:
    """Breaks connections off when too little comes: a server may send a byte every few seconds.

    When the ``with`` block ends, it closes them, also those that led to a refused redirection.
    """

    def __init__(self) -> None:
        self.has_bitten = False
        self.responses: list[http.client.HTTPResponse] = []
        self._sockets: list[socket.socket] = []
        self._n_bytes = 0
        self._since = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for response in self.responses:
            response.close()

    def watch(self, connected: socket.socket) -> None:
        """Break this connection off, too."""
        self._sockets.append(connected)

    def feed(self, n_bytes: int) -> None:
        """Note that some data came."""
        self._n_bytes += n_bytes
        if self._n_bytes >= LEAST_BYTES:
            self._n_bytes, self._since = 0, time.monotonic()

    def _wait(self) -> None:
        while not self._is_over.wait(max(0.0, self._since + STALL_SECONDS - time.monotonic())):
            if time.monotonic() - self._since >= STALL_SECONDS:
                self.has_bitten = True
                for connected in self._sockets:
                    with contextlib.suppress(OSError):
                        connected.shutdown(socket.SHUT_RDWR)
                return


def request(url: str, headers: Mapping[str, str], watchdog: Watchdog) -> Any:
    """The response to a GET, once its headers are there.

    Raises:
        urllib.error.HTTPError: for a status that is not a success.
        Interrupted, Stalled, Refused: if there is no response.
    """
    _check_scheme(url, "")
    opener = urllib.request.build_opener(_Redirects(), _Plain(watchdog), _Encrypted(watchdog))
    with _errors_of_network(watchdog, "no answer"):
        asked = urllib.request.Request(url, headers={"User-Agent": "elmo-jax", **headers})
        response = opener.open(asked, timeout=TIMEOUT_SECONDS)
    if watchdog.has_bitten:  # in the middle of a header, which then seems to be the last one
        response.close()
        raise _stalled()
    return response


def chunks(response: http.client.HTTPResponse, watchdog: Watchdog) -> Iterator[bytes]:
    """The body of a response, in pieces as they come."""
    while True:
        with _errors_of_network(watchdog, "a broken connection"):
            chunk = response.read1(_CHUNK_BYTES)
        if not chunk:
            if watchdog.has_bitten:
                raise _stalled()
            return
        watchdog.feed(len(chunk))
        yield chunk


def _stalled() -> Stalled:
    return Stalled(f"less than {LEAST_BYTES:,} bytes in {STALL_SECONDS:g} seconds")


@contextlib.contextmanager
def _errors_of_network(watchdog: Watchdog, what: str) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        if watchdog.has_bitten:
            raise _stalled() from error
        reason = getattr(error, "reason", error)
        shown = str(reason) or type(reason).__name__
        raise Interrupted(f"{what}: {shown[:200]}") from error
    except ValueError as error:  # what urllib raises for a malformed URL
        raise Refused(str(error)[:200]) from error


def _check_scheme(url: str, came_from: str) -> None:
    scheme = urlsplit(url).scheme.lower()
    where = f"a redirection to {url[:200]!r}" if came_from else f"the URL {url[:200]!r}"
    if scheme not in ("http", "https"):
        raise Refused(f"{where}, which is neither http nor https")
    if scheme == "http" and came_from.lower().startswith("https:"):
        raise Refused(f"{where}, which is not encrypted, from one that is")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirection to files or FTP, and none that gives up encryption."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check_scheme(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Watched(urllib.request.AbstractHTTPHandler):
    """Shows its connections to a watchdog."""

    def __init__(self, watchdog: Watchdog) -> None:
        super().__init__()
        self._watchdog = watchdog

    def do_open(self, http_class: Any, req: Any, **arguments: Any) -> Any:
        watchdog = self._watchdog

        class Connection(http_class):
            def connect(self) -> None:
                super().connect()
                watchdog.watch(self.sock)

        response = super().do_open(Connection, req, **arguments)
        watchdog.responses.append(response)
        return response


class _Plain(_Watched, urllib.request.HTTPHandler):
    pass


class _Encrypted(_Watched, urllib.request.HTTPSHandler):
    pass
