"""Downloads from servers that lie, break off, stall, never end, or change the file in between."""

import hashlib
import http.server
import os
import random
import socket
import struct
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from tally import Tally, attempts

from elmo_jax.errors import ElmoError
from elmo_jax.pretrained import PublishedModel, RemoteFile, connection, fetch
from elmo_jax.pretrained import download as downloading

MAGIC = b"\x89HDF\r\n\x1a\n"
OLD, NEW = (MAGIC + random.Random(seed).randbytes(4000) for seed in (1, 2))
LONG_AGO = formatdate(0, usegmt=True)
ENDLESS = object()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Answer:
    """Bytes to send for one request; ``cut`` of them, then the end or a reset."""

    def __init__(self, head, body, cut=None, reset=False):
        self.head, self.body, self.cut, self.reset = head, body, cut, reset


@pytest.fixture
def server(monkeypatch):
    """A server whose attribute ``answer(path, headers)`` makes the answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = self.server.answer(self.path, self.headers)
            self.close_connection = True
            try:
                self.wfile.write(answer.head)
                if answer.body is ENDLESS:
                    while True:
                        self.wfile.write(b"x" * 1000)
                self.wfile.write(answer.body[: answer.cut])
            except OSError:
                return  # the client has gone away
            if answer.reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()

        def log_message(self, *args):
            pass

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(downloading, "BACKOFF_SECONDS", 0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None
        server.url = f"http://127.0.0.1:{server.server_port}/weights.hdf5"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def head(status, *lines):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode()


def fetched(server, cache, **known):
    """The content that comes, or the message of the error."""
    model = PublishedModel("tiny", {"weights.hdf5": RemoteFile(server.url, **known)})
    try:
        return fetch(model, cache=cache, progress=False).read_bytes()
    except ElmoError as error:
        assert not os.path.lexists(cache / "tiny" / "weights.hdf5")
        return str(error)


# Answers of all kinds

LENGTHS = ["-1", "9" * 5000, "1e3", "", "0x10", "4008, 4008", "٣", "+5", "99999999999999999999"]


def whole(content, chance):
    """A whole file, in one of the ways that HTTP has."""
    tags = version(content, chance)
    if chance.random() < 0.3:
        size = chance.choice((100, 1000, 5000))
        pieces = [content[i : i + size] for i in range(0, len(content), size)]
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))
        return head("200 OK", "Transfer-Encoding: chunked", *tags), chunked
    return head("200 OK", f"Content-Length: {len(content)}", *tags), content


def version(content, chance):
    """Headers that name a version: strong, weak or no names."""
    name = sha256(content)[:8]
    return chance.choice(
        [
            [f'ETag: "{name}"'],
            [f'ETag: "{name}"', f"Last-Modified: {LONG_AGO}", f"Date: {formatdate(usegmt=True)}"],
            ['ETag: W/"same"'],
            [f"Last-Modified: {formatdate(usegmt=True)}", f"Date: {formatdate(usegmt=True)}"],
            ['ETag: "unclosed', "Last-Modified: yesterday", "Date: today"],
            [],
        ]
    )


def rest(content, start, chance):
    """The rest of a file from an offset; its range may be a lie."""
    last, total = len(content) - 1, len(content)
    claim = f"bytes {start}-{last}/{total}"
    body = content[start:]
    if chance.random() < 0.4:
        claim, body = chance.choice(
            [
                (f"bytes {start + 1}-{last}/{total}", content[start + 1 :]),
                (f"bytes {start - 1}-{last}/{total}", content[start - 1 :]),
                (f"bytes {start}-{last}/*", body),
                (f"bytes {start}-{last}/{total + 100}", body),
                (f"bytes {start}-{last - 10}/{total - 9}", body[:-10]),
                (f"bytes {last}-{start}/{total}", body),
                (f"bytes {start}-{'9' * 5000}/{'9' * 5001}", body),
                ("octets all", body),
                (f"bytes {start}-{last}/{total}\r\nContent-Range: bytes 0-{last}/{total}", body),
                (f"bytes 0-{last}/{total}", content),
            ]
        )
    lines = [f"Content-Range: {claim}", *version(content, chance)]
    if chance.random() < 0.8:
        lines.append(f"Content-Length: {len(body)}")
    return head("206 Partial Content", *lines), body


def misbehavior(content, chance):
    """An answer that is no file at all, or more or less than one."""
    tags = version(content, chance)
    return chance.choice(
        [
            (head("200 OK", f"Content-Length: {chance.choice(LENGTHS)}", *tags), content),
            (head("200 OK", "Content-Length: 4008", "Content-Length: 4009", *tags), content),
            (head("200 OK", *tags), content[:-7]),
            (head("200 OK", "Content-Length: 0"), b""),
            (head("200 OK", "Transfer-Encoding: chunked"), b"-5\r\n" + content),
            (head("200 OK", "Transfer-Encoding: chunked"), b"ffffffffffff\r\n" + content),
            (head("200 OK", "Transfer-Encoding: chunked"), b"junk" + content),
            (head("200 OK", "Transfer-Encoding: chunked"), ENDLESS),
            (head("200 OK", *tags), ENDLESS),
            (b"HTTP/1.1 200 OK\r\nX: ", ENDLESS),
            (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, b""),
            (head("302 Found", "Location: file:///etc/passwd"), b""),
            (head("302 Found", "Location: ftp://127.0.0.1/weights.hdf5"), b""),
            (head("302 Found", "Location: /weights.hdf5"), b""),
            (head("302 Found", "Location: http://[::1"), b""),
            (head("416 Range Not Satisfiable"), b""),
            (head("404 Not Found"), b"no"),
            (head("503 Service Unavailable"), b"later"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", b""),
            (b"", b""),
        ]
    )


def answers(seed, changes):
    """The answers of a server to one request after the other; the file changes in between."""
    chance = random.Random(seed)
    change = chance.randrange(1, 5) if changes else 1000
    requests = 0

    def answer(path, headers):
        nonlocal requests
        requests += 1
        content = OLD if requests <= change else NEW
        wanted, condition = headers.get("Range"), headers.get("If-Range")
        start = int(wanted[6:-1]) if wanted else 0
        # A server may ignore the condition, but it does not give two versions one name.
        is_same = condition is None or sha256(content)[:8] in condition
        if chance.random() < 0.25:
            made = misbehavior(content, chance)
        elif start and (is_same or chance.random() < 0.5):
            made = rest(content, start, chance)
        else:
            made = whole(content, chance)
        if made[1] is ENDLESS:
            return Answer(*made)
        cut = chance.choice((None, None, chance.randrange(len(made[1]) + 1)))
        return Answer(*made, cut, cut is not None and chance.random() < 0.3)

    return answer


KNOWN = [{}, {"size": len(OLD)}, {"size": len(OLD), "sha256": sha256(OLD)}]


def campaign(server, cache, n):
    with Tally("a download from a server that lies, breaks off or changes the file") as tally:
        for seed in range(n):
            known = KNOWN[seed % 3]
            right_ones = (OLD,) if "sha256" in known else (OLD, NEW)
            server.answer = answers(seed, changes=seed % 2)
            for _ in range(3):  # an error, then the same call again
                try:
                    content = fetched(server, cache / str(seed), **known)
                except Exception as error:
                    tally.wrong(f"seed {seed}: {error!r}")
                    break
                if isinstance(content, bytes):
                    if content in right_ones:
                        tally.right()
                    else:
                        tally.wrong(f"seed {seed}: a file of {len(content)} bytes")
                    break
                tally.refused()
    assert tally.n_right > n / 3


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 5)
    monkeypatch.setattr(downloading, "MOST_BYTES", 1_000_000)


def test_a_hostile_server_never_leaves_a_wrong_file(server, tmp_path, impatient):
    campaign(server, tmp_path, 90)


@pytest.mark.slow
def test_a_hostile_server_never_leaves_a_wrong_file_in_many_tries(server, tmp_path, impatient):
    campaign(server, tmp_path, attempts(1500))


# Single kinds


def scripted(server, *made):
    """Have the server give these answers, and list what it is asked."""
    remaining, asked = list(made), []

    def answer(path, headers):
        asked.append((headers.get("Range"), headers.get("If-Range")))
        return remaining.pop(0) if remaining else Answer(head("404 Not Found"), b"")

    server.answer = answer
    return asked


def of(content, tags, start=0, cut=None):
    status = "206 Partial Content" if start else "200 OK"
    lines = [f"Content-Length: {len(content) - start}", *tags]
    if start:
        lines.append(f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}")
    return Answer(head(status, *lines), content[start:], cut)


STRONG = ['ETag: "1"']
DATED = [f"Last-Modified: {LONG_AGO}", f"Date: {formatdate(usegmt=True)}"]
FRESH = [f"Last-Modified: {formatdate(usegmt=True)}", f"Date: {formatdate(usegmt=True)}"]


@pytest.mark.parametrize(
    ("tags", "condition"), [(STRONG, '"1"'), (DATED, LONG_AGO), ([*STRONG, *DATED], '"1"')]
)
def test_a_file_of_unknown_hash_is_resumed_if_its_version_is_named(
    server, tmp_path, tags, condition
):
    asked = scripted(server, of(OLD, tags, cut=1000), of(OLD, tags, 1000))
    assert fetched(server, tmp_path) == OLD
    assert asked == [(None, None), ("bytes=1000-", condition)]


@pytest.mark.parametrize("tags", [[], ['ETag: W/"1"'], FRESH])
def test_a_file_of_unknown_hash_starts_again_if_its_version_has_no_name(server, tmp_path, tags):
    asked = scripted(server, of(OLD, tags, cut=1000), of(NEW, tags))
    assert fetched(server, tmp_path) == NEW
    assert asked == [(None, None)] * 2


@pytest.mark.parametrize("tags", [['ETag: "2"'], []])
def test_a_rest_of_another_version_is_dropped(server, tmp_path, tags):
    """Of a server that ignores If-Range."""
    asked = scripted(server, of(OLD, STRONG, cut=1000), of(NEW, tags, 1000), of(NEW, tags))
    assert fetched(server, tmp_path) == NEW
    assert [wanted for wanted, _ in asked] == [None, "bytes=1000-", None]


def test_a_part_of_another_process_is_resumed_only_with_its_version(server, tmp_path):
    asked = scripted(server, of(OLD, STRONG, cut=1000))
    assert "404" in fetched(server, tmp_path)
    asked = scripted(server, of(OLD, STRONG, 1000))
    assert fetched(server, tmp_path) == OLD
    assert asked == [("bytes=1000-", '"1"')]


@pytest.mark.parametrize(
    "content", [b"[1]", b"{", b"\xff", b'{"etag": 3}', b'{"a": 1}', b"[" * 9000]
)
def test_a_damaged_note_of_the_version_is_none(server, tmp_path, content):
    scripted(server, of(OLD, STRONG, cut=1000))
    fetched(server, tmp_path)
    (tmp_path / "tiny" / "weights.hdf5.part.json").write_bytes(content)
    asked = scripted(server, of(NEW, STRONG))
    assert fetched(server, tmp_path) == NEW
    assert asked == [(None, None)]


def test_a_file_of_unknown_length_is_refused_where_its_end_could_be_missing(server, tmp_path):
    scripted(server, Answer(head("200 OK"), OLD))
    assert "nobody can tell whether all of it came" in fetched(server, tmp_path)


@pytest.mark.parametrize("body", [ENDLESS, OLD + b"more"])
def test_no_more_bytes_are_written_than_announced(server, tmp_path, body):
    scripted(server, Answer(head("200 OK"), body))
    message = fetched(server, tmp_path, size=len(OLD))
    assert "more than the 4,008 bytes that were to come" in message
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == []


@pytest.mark.parametrize(
    ("origin", "target", "problem"),
    [
        ("http", "file:///etc/passwd", "neither http nor https"),
        ("http", "ftp://127.0.0.1/a", "neither http nor https"),
        ("https", "http://127.0.0.1/a", "not encrypted, from one that is"),
    ],
)
def test_no_redirection_leads_out_of_http_or_out_of_encryption(origin, target, problem):
    redirects = connection._Redirects()
    request = connection.urllib.request.Request(f"{origin}://127.0.0.1/")
    with pytest.raises(connection.Refused, match=problem):
        redirects.redirect_request(request, None, 302, "Found", {}, target)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "weights.hdf5"])
def test_only_http_is_asked(server, tmp_path, url):
    server.url = url
    assert "which is neither http nor https" in fetched(server, tmp_path)


# Servers that are slow on purpose


@pytest.mark.parametrize("where", ["silent", "headers", "body", "trailers", "continue"])
def test_a_server_that_sends_next_to_nothing_is_given_up(server, tmp_path, monkeypatch, where):
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 0.1 if where == "silent" else 10)
    stop = threading.Event()

    beginning, drop = {
        "silent": (b"", b""),
        "headers": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
        "body": (head("200 OK", "Content-Length: 4008", *STRONG) + OLD[:1500], b"a"),
        "trailers": (
            head("200 OK", "Transfer-Encoding: chunked", *STRONG) + b"fa0\r\n" + OLD[:4000],
            b"\r\n0\r\nX: y",
        ),
        "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    }[where]

    class Handler(server.RequestHandlerClass):
        def do_GET(self):
            self.close_connection = True
            try:
                self.wfile.write(beginning)
                while not stop.wait(0.02):
                    self.wfile.write(drop)
            except OSError:
                pass

    server.RequestHandlerClass = Handler
    began = time.monotonic()
    message = fetched(server, tmp_path)
    stop.set()
    assert time.monotonic() - began < 60, "it does not wait for ever"
    if where == "silent":
        assert "timed out" in message
    else:
        assert "less than 1,000 bytes in 0.3 seconds" in message
    assert ("kept: " in message) == (where in ("body", "trailers"))


# Links in the way


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
@pytest.mark.parametrize("name", ["weights.hdf5.part", "weights.hdf5.part.json", "SHA256SUMS"])
@pytest.mark.parametrize("kind", ["symbolic", "hard", "dangling"])
def test_no_file_is_written_through_a_link(server, tmp_path, name, kind):
    victim = tmp_path / "diary.txt"
    if kind != "dangling":
        victim.write_bytes(MAGIC + b"Dear diary")
    link = tmp_path / "tiny" / name
    link.parent.mkdir()
    (link.hardlink_to if kind == "hard" else link.symlink_to)(victim)
    scripted(server, of(OLD, STRONG))
    fetched_or_message(server, tmp_path)
    assert victim.exists() == (kind != "dangling")
    assert kind == "dangling" or victim.read_bytes() == MAGIC + b"Dear diary"


def fetched_or_message(server, cache):
    model = PublishedModel("tiny", {"weights.hdf5": RemoteFile(server.url)})
    try:
        return fetch(model, cache=cache, progress=False).read_bytes()
    except ElmoError as error:
        return str(error)


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_no_lock_is_taken_through_a_link(server, tmp_path, kind):
    lock = tmp_path / "tiny.lock"
    if kind == "link":
        lock.symlink_to(tmp_path / "created")
    else:
        {"pipe": os.mkfifo, "folder": os.mkdir}[kind](lock)
    scripted(server, of(OLD, STRONG))
    assert "Cannot write to the model cache" in fetched(server, tmp_path)
    assert not (tmp_path / "created").exists()


def test_a_file_that_appears_meanwhile_is_not_replaced(server, tmp_path):
    def answer(path, headers):
        (tmp_path / "tiny" / "weights.hdf5").write_bytes(b"mine")
        return of(OLD, STRONG)

    server.answer = answer
    message = fetched_or_message(server, tmp_path)
    assert "exists already" in message
    assert (tmp_path / "tiny" / "weights.hdf5").read_bytes() == b"mine"


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_link_to_nothing_is_not_replaced_by_a_model(server, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "weights.hdf5").symlink_to(Path("nowhere"))
    asked = scripted(server, of(OLD, STRONG))
    assert "something that is not a file" in fetched_or_message(server, tmp_path)
    assert asked == []
