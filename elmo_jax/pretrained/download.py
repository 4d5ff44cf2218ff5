"""One file over HTTP: resumed where it stopped, verified before it gets its name."""

from __future__ import annotations

import functools
import re
import sys
import time
import urllib.error
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ElmoError, noting_interrupts
from . import connection
from .connection import Interrupted, Refused, Watchdog, chunks, request
from .part import Origin, Part, origin_of
from .remote_files import RemoteFile

ATTEMPTS = 5  # how many in a row may fail without a new byte
BACKOFF_SECONDS = 0.5  # the pause after the first failed attempt; it doubles after each further one
MOST_BYTES = 64 << 30  # of a file whose length nobody has announced

_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE_NOT_SATISFIABLE = 416


def download(remote: RemoteFile, target: Path, *, progress: bool) -> None:
    """Download a file, verify it and put it at ``target``, whose folder is made if missing.

    The bytes gather in ``<target>.part``, from which a later call resumes: if the file's hash is
    known beforehand, or if the server says that it still has the same version of the file.
    Otherwise it starts from the beginning. ``target`` appears in one step, whole and verified, or
    not at all; whatever has its name is never replaced. A part with the wrong size, hash or content
    is deleted. Only one caller at a time may work on a ``target``. ``progress`` shows a bar on
    stderr.
    """
    part = Part(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remark = functools.partial(_what_stays, remote, part)
        with noting_interrupts(remark), _progress_bar(remote, part, progress) as bar:
            _fill(remote, part, bar)
        if problem := remote.problem(part.path):
            part.drop()
            raise Refused(problem)
        part.publish()
    except Refused as failure:
        raise _error(remote, part, str(failure)) from failure
    except OSError as error:
        # Errors of the network are ``Refused`` by now: this is the disk.
        raise _error(remote, part, f"{part.path} could not be written: {error}") from error


def _what_stays(remote: RemoteFile, part: Part) -> str:
    can_resume = remote.sha256 is not None or part.origin.validator is not None
    kept = f"{part.size:,} bytes of {part.target.name} are kept, and the same call resumes there"
    return kept if part.size and can_resume else ""


def _error(remote: RemoteFile, part: Part, came: str) -> ElmoError:
    target = part.target
    try:
        size = part.size
    except OSError:  # it is something else than a part
        size = 0
    kept = f"  kept: {size:,} bytes, in {part.path}; another call resumes there\n" if size else ""
    return ElmoError(
        f"Could not download {remote.url}\n"
        f"  expected: {remote.expectation}\n"
        f"  got: {came}\n"
        f"{kept}"
        f"  where: it would have been put at {target}\n"
        f"  what to do: try again later, or place the file by hand: get it from that URL in "
        f"any other way and save it exactly as {target.absolute()}"
    )


def _progress_bar(remote: RemoteFile, part: Part, progress: bool) -> Any:
    from tqdm import tqdm  # here, so that importing the package stays quick

    return tqdm(
        total=remote.size,
        initial=part.size,  # not counted in the speed
        desc=f"{part.target.parent.name}/{part.target.name}",
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        file=sys.stderr,
        disable=not progress,
    )


def _fill(remote: RemoteFile, part: Part, bar: Any) -> None:
    """Receive until the part is whole, or until ``ATTEMPTS`` in a row brought nothing new."""
    furthest, n_fruitless, since = part.size, 0, time.monotonic()
    while True:
        try:
            return _receive(remote, part, bar)
        except Interrupted as interruption:
            # A long download over a bad line may break any number of times, as long as it
            # advances. The furthest size counts, not the latest: it may restart from zero.
            if part.size > furthest:
                furthest, n_fruitless, since = part.size, 0, time.monotonic()
            n_fruitless += 1
            if n_fruitless >= ATTEMPTS or time.monotonic() - since >= connection.STALL_SECONDS:
                raise Refused(f"{interruption} (after {n_fruitless} attempts)") from interruption
        time.sleep(BACKOFF_SECONDS * 2 ** (n_fruitless - 1))


def _receive(remote: RemoteFile, part: Part, bar: Any) -> None:
    """Make one request, and append what it brings to the part."""
    offset, origin = part.size, part.origin
    is_known = remote.sha256 is not None  # whatever comes, it is checked in the end
    if not is_known and origin.validator is None:
        offset, origin = 0, Origin()
    if offset and offset == (origin.total if remote.size is None else remote.size):
        return  # complete: an earlier process ended just before it renamed the file
    with Watchdog() as watchdog, _ask(remote, part, offset, origin, watchdog) as response:
        body = _body(response, remote, part, offset, origin)
        bar.total = body.end
        bar.update(body.start - bar.n)  # back to zero if the server starts over
        position = body.start
        # Not append mode: writing the same bytes twice at the same position does no harm.
        with part.open(position) as file:
            if position == 0:
                part.record(body.origin)
            for chunk in chunks(response, watchdog):
                if position + len(chunk) > body.most:
                    part.drop()
                    raise Refused(f"more than the {body.most:,} bytes that were to come")
                file.write(chunk)
                position += len(chunk)
                bar.update(len(chunk))
    if body.end is not None and position < body.end:
        raise Interrupted(
            f"a connection that closed early: {position:,} of {body.end:,} bytes came"
        )


def _ask(
    remote: RemoteFile, part: Part, offset: int, origin: Origin, watchdog: Watchdog
) -> HTTPResponse:
    headers = {}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if origin.validator is not None:
            headers["If-Range"] = origin.validator
    try:
        response: HTTPResponse = request(remote.url, headers, watchdog)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        restart = error.code == _RANGE_NOT_SATISFIABLE and offset > 0
        if restart:
            part.drop()  # it is not the beginning of this file
        kind = Interrupted if restart or error.code in _TRANSIENT_STATUS else Refused
        raise kind(f"HTTP {error.code} {error.reason}") from error


class _Body(NamedTuple):
    """What the body of a response is of a file."""

    start: int
    end: int | None  # the length of the whole file, if it is known
    most: int  # no more bytes than these are accepted
    origin: Origin


def _body(
    response: HTTPResponse, remote: RemoteFile, part: Part, offset: int, origin: Origin
) -> _Body:
    start, end, total = _extent(response, part)
    new_origin = origin_of(response.headers, total)
    is_range = response.status == 206
    if is_range and (start != offset or not origin.is_that_of(new_origin)):
        part.drop()  # so that the next attempt asks for the whole file
        raise Interrupted("a range of the file that was not asked for, or of another version")
    if None not in (total, remote.size) and total != remote.size:
        part.drop()
        kind = response.headers.get("Content-Type", "an unnamed type")
        raise Refused(f"HTTP {response.status} with {total:,} bytes of {kind[:100]}")
    total = remote.size if total is None else total
    if total is None and not (response.chunked or remote.shows_its_end):
        raise Refused("a file of unknown length: nobody can tell whether all of it came")
    return _Body(
        start, total, min(n for n in (end, total, MOST_BYTES) if n is not None), new_origin
    )


def _extent(response: HTTPResponse, part: Part) -> tuple[int, int | None, int | None]:
    """Where the body starts and ends in the file, and the whole file's length."""
    if response.status != 206:  # no range was asked for, or the file has changed
        length = _length(response)
        return 0, length, length
    content_range = ", ".join(response.headers.get_all("Content-Range", []))
    match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", content_range)
    start, last, total = map(int, match.groups()) if match else (1, 0, 0)
    if not start <= last < total:
        part.drop()
        raise Interrupted(f"a part of the file without a range: {content_range[:100]!r}")
    return start, last + 1, total


def _length(response: HTTPResponse) -> int | None:
    lengths = {length.strip() for length in response.headers.get_all("Content-Length", [])}
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not re.fullmatch("[0-9]{1,18}", length):
        raise Refused(f"HTTP {response.status} with a length of {length[:60]!r}")
    return int(length)
