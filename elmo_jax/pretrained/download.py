"""One file over HTTP: resumed where it stopped, verified before it gets its name."""

from __future__ import annotations

import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from .remote_files import RemoteFile

ATTEMPTS = 5  # how many in a row may fail without a new byte
BACKOFF_SECONDS = 0.5  # the pause after the first failed attempt; it doubles after each further one
TIMEOUT_SECONDS = 30.0  # how long the server may be silent

_CHUNK_BYTES = 1 << 18
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE_NOT_SATISFIABLE = 416


class _Failed(Exception):
    """The file cannot be downloaded; the text says what came instead."""


class _Interrupted(_Failed):
    """The transfer broke off; another attempt may succeed."""


def download(remote: RemoteFile, target: Path, *, progress: bool) -> None:
    """Download a file, verify it and put it at ``target``, whose folder is made if missing.

    The bytes gather in ``<target>.part``, from which a later call resumes; ``target`` appears in
    one step, whole and verified, or not at all. A part with the wrong size, hash or content is
    deleted. Only one caller at a time may work on a ``target``. ``progress`` shows a bar on stderr.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _progress_bar(remote, target, part, progress) as bar:
            _fill(remote, part, bar)
        if problem := remote.problem(part):
            part.unlink()
            raise _Failed(problem)
        part.replace(target)  # atomic
    except _Failed as failure:
        raise _error(remote, target, str(failure)) from failure
    except OSError as error:
        # Errors of the network are _Failed by now: this is the disk.
        came = f"{part} could not be written: {error} (the bytes so far are kept)"
        raise _error(remote, target, came) from error


def _error(remote: RemoteFile, target: Path, came: str) -> ElmoError:
    return ElmoError(
        f"Could not download {remote.url}\n"
        f"  expected: {remote.expectation}\n"
        f"  got: {came}\n"
        f"  where: it would have been put at {target}\n"
        f"  what to do: try again later, or place the file by hand: get it from that URL in "
        f"any other way and save it exactly as {target.absolute()}"
    )


def _progress_bar(remote: RemoteFile, target: Path, part: Path, progress: bool) -> Any:
    from tqdm import tqdm  # here, so that importing the package stays quick

    return tqdm(
        total=remote.size,
        initial=_size(part),  # not counted in the speed
        desc=f"{target.parent.name}/{target.name}",
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        file=sys.stderr,
        disable=not progress,
    )


def _fill(remote: RemoteFile, part: Path, bar: Any) -> None:
    """Receive until the part is whole, or until ``ATTEMPTS`` in a row brought nothing new."""
    furthest, n_fruitless = _size(part), 0
    while True:
        try:
            return _receive(remote, part, bar)
        except _Interrupted as interruption:
            # A long download over a bad line may break any number of times, as long as it
            # advances. The furthest size counts, not the latest: it may restart from zero.
            n_fruitless = 1 if _size(part) > furthest else n_fruitless + 1
            furthest = max(furthest, _size(part))
            if n_fruitless >= ATTEMPTS:
                raise _Failed(f"{interruption} (after {ATTEMPTS} attempts)") from interruption
        time.sleep(BACKOFF_SECONDS * 2 ** (n_fruitless - 1))


def _receive(remote: RemoteFile, part: Path, bar: Any) -> None:
    """Make one request, and append what it brings to the part."""
    offset = _size(part)
    if offset and offset == remote.size:
        return  # complete: an earlier process ended just before it renamed the file
    with _request(remote.url, offset, part) as response:
        position, total = _extent(response, offset, part)
        if None not in (total, remote.size) and total != remote.size:
            part.unlink(missing_ok=True)
            kind = response.headers.get("Content-Type", "an unnamed type")
            raise _Failed(f"HTTP {response.status} with {total:,} bytes of {kind}")
        total = remote.size if total is None else total
        bar.total = total
        bar.update(position - bar.n)  # back to zero if the server starts over
        # Not append mode: writing the same bytes twice at the same position does no harm.
        with part.open("r+b" if position else "wb") as file:
            file.seek(position)
            for chunk in _chunks(response):
                file.write(chunk)
                position += len(chunk)
                bar.update(len(chunk))
    if total is not None and position < total:
        raise _Interrupted(f"a connection that closed early: {position:,} of {total:,} bytes came")


def _request(url: str, offset: int, part: Path) -> HTTPResponse:
    headers = {"User-Agent": "elmo-jax"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        request = urllib.request.Request(url, headers=headers)
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        restart = error.code == _RANGE_NOT_SATISFIABLE and offset > 0
        if restart:
            part.unlink(missing_ok=True)  # it is not the beginning of this file
        kind = _Interrupted if restart or error.code in _TRANSIENT_STATUS else _Failed
        raise kind(f"HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:  # URLError is an OSError
        raise _Interrupted(f"no answer: {getattr(error, 'reason', error)}") from error
    except ValueError as error:  # what urllib raises for a malformed URL
        raise _Failed(str(error)) from error


def _extent(response: HTTPResponse, offset: int, part: Path) -> tuple[int, int | None]:
    """Where the body starts in the file, and the whole file's length if the server says it."""
    if response.status != 206:  # the server ignored the Range: the body is the whole file
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    content_range = response.headers.get("Content-Range", "")
    numbers = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if numbers is None or int(numbers[1]) != offset:
        part.unlink(missing_ok=True)  # so that the next attempt asks for the whole file
        raise _Interrupted("a range of the file that was not asked for")
    return offset, None if numbers[2] == "*" else int(numbers[2])


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read(_CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _Interrupted(f"a broken connection: {error!r}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
