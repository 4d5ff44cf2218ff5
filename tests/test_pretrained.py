"""`elmo_jax.pretrained`, against a server on the loopback device."""

import errno
import gzip
import hashlib
import http.server
import io
import json
import re
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from elmo_jax import pretrained
from elmo_jax.errors import ElmoError
from elmo_jax.pretrained import (
    PublishedModel,
    RemoteFile,
    ZipMember,
    connection,
    fetch,
    registry,
)
from elmo_jax.pretrained import download as downloading

OPTIONS = json.dumps({"lstm": {"projection_dim": 8}}).encode()
WEIGHTS = b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 399 + bytes(248)
HALF = len(WEIGHTS) // 2


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Site:
    """What the server has, how it misbehaves, and what it was asked."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    understands_ranges: bool = True
    shifts_ranges: bool = False  # sends (and says) another range than was asked for
    tells_length: bool = True
    status: int | None = None  # answer this to everything
    weight_cuts: list[int] = field(default_factory=list)  # body lengths, one per answer
    resets: int = 0  # how many of the cut answers end in a reset of the connection
    gate: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def weight_ranges(self) -> list[str | None]:
        return [wanted for name, wanted in self.requests if name == "weights.hdf5"]


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site, name, wanted = self.site, self.path.lstrip("/"), self.headers.get("Range")
        site.requests.append((name, wanted))
        site.gate.wait(10)
        body = site.files.get(name, b"")
        start = int(wanted.removeprefix("bytes=")[:-1]) if wanted else 0
        start = start if site.understands_ranges else 0
        start += bool(start and site.shifts_ranges)
        if status := site.status or (None if name in site.files else 404):
            return self.send_error(status)
        if start and start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.tells_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Content-Type", "text/html" if b"<html>" in body else "binary/any")
        self.end_headers()
        cut = site.weight_cuts.pop(0) if site.weight_cuts and name == "weights.hdf5" else None
        self.wfile.write(body[start:][:cut])
        if cut is not None and site.resets:
            site.resets -= 1
            linger = struct.pack("ii", 1, 0)  # close with RST in place of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(files={"options.json": OPTIONS, "weights.hdf5": WEIGHTS})
    site.gate.set()
    handler = type("SiteHandler", (Handler,), {"site": site})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def model(site: Site) -> PublishedModel:
    options = RemoteFile(site.url("options.json"))
    weights = RemoteFile(site.url("weights.hdf5"), len(WEIGHTS), sha256(WEIGHTS))
    return PublishedModel("tiny", {"options.json": options, "weights.hdf5": weights})


@pytest.fixture(autouse=True)
def _quick_and_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "BACKOFF_SECONDS", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def failure_of(model: PublishedModel, cache: Path) -> str:
    """The message of the error that fetching ends in; the weights must not be there."""
    with pytest.raises(ElmoError) as caught:
        fetch(model, cache=cache, progress=False)
    assert not (cache / "tiny" / "weights.hdf5").exists()
    return str(caught.value)


def part_of(cache: Path, content: bytes) -> Path:
    """Puts the beginning of a weight file where an interrupted process would leave it."""
    part = cache / "tiny" / "weights.hdf5.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    return part


def with_weights(model: PublishedModel, **changes: object) -> PublishedModel:
    weights = replace(model.files["weights.hdf5"], **changes)  # type: ignore[arg-type]
    return replace(model, files={**model.files, "weights.hdf5": weights})


# What is published


def test_single_models_are_named() -> None:
    assert pretrained.names() == tuple(
        "mini small medium original original_5p5b small_checkpoint original_checkpoint pubmed "
        "portuguese_wikipedia portuguese_brwac russian_wiki russian_news russian_twitter "
        "seqvec".split()
    )
    assert all(name == model.name for name, model in pretrained.MODELS.items())


def test_what_is_known_of_the_published_files_is_well_formed() -> None:
    for model in (*pretrained.MODELS.values(), registry.model_named("nlpl:225")):
        for name, remote in model.files.items():
            assert re.fullmatch(r"https?://[^/?#]+/[^ ?#]+", remote.url)
            assert Path(remote.url).suffix == Path(name).suffix
            for known in filter(None, (remote, remote.member)):
                assert known.size is None or known.size > 10**7
                assert known.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", known.sha256)


def test_the_english_weights_have_a_known_size() -> None:
    for name in pretrained.names()[1:5]:
        model = pretrained.MODELS[name]
        assert model.files["options.json"].url.endswith("_options.json")
        assert model.files["weights.hdf5"].url.endswith("_weights.hdf5")
        assert model.files["weights.hdf5"].size is not None


def test_a_checkpoint_has_the_files_that_its_reader_looks_for() -> None:
    for name, prefix in (
        ("small_checkpoint", "model.ckpt-1501260"),
        ("original_checkpoint", "model.ckpt-935588"),
    ):
        assert set(pretrained.MODELS[name].files) == {
            "checkpoint",
            "options.json",
            f"{prefix}.index",
            f"{prefix}.data-00000-of-00001",
            "vocab.txt",
        }


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("nlpl:136", "http://vectors.nlpl.eu/repository/11/136.zip"),
        ("nlpl:179", "http://vectors.nlpl.eu/repository/11/179.zip"),
        ("nlpl:135", "http://vectors.nlpl.eu/repository/20/135.zip"),
        ("nlpl:180", "http://vectors.nlpl.eu/repository/20/180.zip"),
        ("nlpl:225", "http://vectors.nlpl.eu/repository/20/225.zip"),
        ("manylangs:german", "http://vectors.nlpl.eu/repository/11/142.zip"),
        ("manylangs:English", "http://vectors.nlpl.eu/repository/11/144.zip"),
        ("manylangs:chinese", "http://vectors.nlpl.eu/repository/11/179.zip"),
    ],
)
def test_a_number_or_a_language_leads_to_a_zip_at_nlpl(name: str, url: str) -> None:
    model = registry.model_named(name)
    id_ = url.rpartition("/")[2].removesuffix(".zip")
    assert model.name == f"nlpl-{id_}"
    assert [(file, remote.url) for file, remote in model.files.items()] == [(f"{id_}.zip", url)]


@pytest.mark.parametrize("number", [136, 142, 179, 210, 225, 135, 180, 226])
def test_only_a_number_that_is_not_known_is_called_a_guess(number: int) -> None:
    is_known = number not in (135, 180, 226)
    assert ("is a guess" not in registry.model_named(f"nlpl:{number}").remark) == is_known


@pytest.mark.parametrize("name", ["nlpl:", "nlpl:ru", "nlpl:0136", "nlpl:-1", "nlpl:1/2", "nlpl:²"])
def test_what_is_no_number_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ElmoError, match=rf"'{name}' is not the name of a model.*nlpl:144"):
        fetch(name, cache=tmp_path)


def test_a_language_that_is_not_known_leads_to_the_numbers(tmp_path: Path) -> None:
    message = r"manylangs:chinese, manylangs:english, manylangs:german\. .* nlpl:136 to nlpl:179; "
    with pytest.raises(ElmoError, match=message + "`elmo-jax info nlpl:ID`"):
        fetch("manylangs:latvian", cache=tmp_path)


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("orginal", "'original'"),
        ("Small", "'small'"),
        ("portuguese", "'portuguese_brwac'"),
        ("manylang:german", "'manylangs:german'"),
    ],
)
def test_an_unknown_name_brings_close_ones(name: str, close: str, tmp_path: Path) -> None:
    with pytest.raises(ElmoError, match=rf"{name!r}. Did you mean .*{close}"):
        fetch(name, cache=tmp_path)


def test_a_name_like_no_other_lists_all(tmp_path: Path) -> None:
    everything = f"{', '.join(pretrained.names())}, nlpl:ID and manylangs:LANGUAGE"
    with pytest.raises(ElmoError, match=f"The names are {everything}"):
        fetch("bert", cache=tmp_path)


@pytest.mark.parametrize("name", [*pretrained.names(), "nlpl:1", "nlpl:x", "manylangs:klingon"])
def test_names_are_told_from_paths(name: str) -> None:
    assert pretrained.is_name(name)
    assert not pretrained.is_name(f"./{name}")


# Where it goes


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ELMO_JAX_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"ELMO_JAX_CACHE": "~/own"}, "/home/me/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/elmo-jax"),
        ({"ELMO_JAX_CACHE": "", "XDG_CACHE_HOME": "relative"}, "/home/me/.cache/elmo-jax"),
        ({}, "/home/me/.cache/elmo-jax"),
    ],
)
def test_the_environment_chooses_the_cache(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ELMO_JAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", "USERPROFILE": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert pretrained.cache_dir() == Path(expected)


def test_fetch_uses_the_cache_of_the_environment(
    model: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path / "deep" / "cache"))
    assert fetch(model, progress=False) == tmp_path / "deep" / "cache" / "tiny"


def test_a_cache_that_cannot_be_made_is_reported(model: PublishedModel, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(ElmoError, match=r"Cannot write.*ELMO_JAX_CACHE.*weights\.hdf5"):
        fetch(model, cache=tmp_path / "cache")


# When all goes well


def test_both_files_arrive_whole_and_leave_nothing_behind(
    model: PublishedModel, tmp_path: Path
) -> None:
    folder = fetch(model, cache=tmp_path, progress=False)
    assert folder == tmp_path / "tiny"
    assert (folder / "options.json").read_bytes() == OPTIONS
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["SHA256SUMS", "SHA256SUMS.stamps", "options.json", "weights.hdf5"]


def test_progress_goes_to_stderr_and_only_if_asked_for(
    model: PublishedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(model, cache=tmp_path / "silent", progress=False)
    assert capsys.readouterr() == ("", "")
    fetch(model, cache=tmp_path / "shown", progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "tiny/weights.hdf5" in shown.err


def test_hashes_not_known_beforehand_are_recorded(model: PublishedModel, tmp_path: Path) -> None:
    sums = fetch(model, cache=tmp_path, progress=False) / "SHA256SUMS"
    assert sums.read_text() == f"{sha256(OPTIONS)}  options.json\n"
    (sums.parent / "weights.hdf5").unlink()
    fetch(with_weights(model, sha256=None), cache=tmp_path, progress=False)
    assert sums.read_text().splitlines() == sorted(
        [f"{sha256(OPTIONS)}  options.json", f"{sha256(WEIGHTS)}  weights.hdf5"]
    )


def test_finished_files_are_not_requested_again(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    fetch(model, cache=tmp_path, progress=False)
    assert len(site.requests) == 2
    (tmp_path / "tiny.lock").unlink()
    fetch(model, cache=tmp_path, progress=False)
    assert len(site.requests) == 2
    assert not (tmp_path / "tiny.lock").exists()  # so a read-only cache is served too


def test_files_placed_by_hand_are_accepted(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "weights.hdf5").write_bytes(WEIGHTS)
    assert fetch(model, cache=tmp_path, progress=False) == folder
    assert [name for name, _ in site.requests] == ["options.json"]


def test_callers_at_once_wait_for_each_other(
    site: Site, model: PublishedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def eventually(happens: object) -> None:
        deadline = time.monotonic() + 60
        while not happens():  # type: ignore[operator]
            assert time.monotonic() < deadline
            time.sleep(0.005)

    site.gate.clear()
    folders: list[Path] = []
    callers = [
        threading.Thread(target=lambda: folders.append(fetch(model, cache=tmp_path)))
        for _ in range(2)
    ]
    callers[0].start()
    eventually(lambda: site.requests)
    callers[1].start()
    eventually(lambda: "Waiting for another process" in capsys.readouterr().err)
    site.gate.set()
    for caller in callers:
        caller.join()
    assert folders == [tmp_path / "tiny"] * 2
    assert len(site.requests) == 2
    assert (tmp_path / "tiny" / "weights.hdf5").read_bytes() == WEIGHTS


# Archives


def zip_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # With the time of 1980: pytest makes names of tests of these bytes.
            archive.writestr(zipfile.ZipInfo(f"folder/{name}"), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def archive_of(site: Site, name: str, content: bytes, **known: object) -> PublishedModel:
    """A model that is one archive, with this content at the site."""
    site.files[name] = content
    remote = RemoteFile(site.url(name), **known)  # type: ignore[arg-type]
    return PublishedModel("tiny", {name: remote}, remark="Nobody has seen this model.")


@pytest.mark.parametrize(
    ("name", "content"), [("7.zip", zip_of(a=b"a")), ("m.tar.gz", gzip.compress(b"a", mtime=0))]
)
def test_a_model_of_one_file_is_the_path_of_its_archive(
    name: str, content: bytes, site: Site, tmp_path: Path
) -> None:
    archive = fetch(archive_of(site, name, content), cache=tmp_path, progress=False)
    assert archive == tmp_path / "tiny" / name
    assert archive.read_bytes() == content
    sums = archive.with_name("SHA256SUMS").read_text()
    assert sums == f"{sha256(content)}  {name}\n"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("7.zip", b"<html>Moved</html>", "18 bytes that are not a zip, beginning '<html>Moved"),
        ("7.zip", zip_of(a=b"a")[:-9], "bytes that are not a zip"),
        ("m.tar.gz", b"<html>Moved</html>", "18 bytes that are not a gzip file, beginning"),
    ],
)
def test_something_else_than_an_archive_is_dropped(
    name: str, content: bytes, kind: str, site: Site, tmp_path: Path
) -> None:
    with pytest.raises(ElmoError, match=kind):
        fetch(archive_of(site, name, content), cache=tmp_path, progress=False)
    assert list((tmp_path / "tiny").iterdir()) == []


def test_a_remark_is_in_the_error_of_a_failed_download(site: Site, tmp_path: Path) -> None:
    model = archive_of(site, "7.zip", b"")
    del site.files["7.zip"]
    with pytest.raises(ElmoError, match=r"(?s)404.*\n  note: Nobody has seen this model\."):
        fetch(model, cache=tmp_path, progress=False)


MEMBER = ZipMember("model.hdf5", len(WEIGHTS), sha256(WEIGHTS))


def test_a_known_file_in_a_zip_is_verified(site: Site, tmp_path: Path) -> None:
    model = archive_of(site, "7.zip", zip_of(**{"model.hdf5": WEIGHTS}), member=MEMBER)
    assert fetch(model, cache=tmp_path, progress=False).is_file()


def damaged(content: bytes) -> bytes:
    """A zip with other bytes in the middle of its first file."""
    return content[:200] + b"\xff" * 100 + content[300:]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (zip_of(other=WEIGHTS), "a zip with 0 files called model.hdf5"),
        (zip_of(**{"model.hdf5": b"short"}), "a zip with a model.hdf5 of 5 bytes"),
        (zip_of(**{"model.hdf5": WEIGHTS[::-1]}), "a zip with a model.hdf5 of sha256 [0-9a-f]{64}"),
        (damaged(zip_of(**{"model.hdf5": WEIGHTS})), "a zip with a damaged model.hdf5"),
    ],
)
def test_another_file_in_a_zip_is_an_error(
    content: bytes, problem: str, site: Site, tmp_path: Path
) -> None:
    model = archive_of(site, "7.zip", content, member=MEMBER)
    expected = f"a zip, with a model.hdf5 of 102,400 bytes, sha256 {MEMBER.sha256}"
    with pytest.raises(ElmoError, match=rf"(?s){expected}.*got: {problem}"):
        fetch(model, cache=tmp_path, progress=False)
    assert list((tmp_path / "tiny").iterdir()) == []


# When the connection breaks


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_broken_download_resumes_where_it_stopped(
    tells_length: bool, site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.tells_length, site.weight_cuts = tells_length, [HALF]
    folder = fetch(model, cache=tmp_path, progress=False)
    assert site.weight_ranges() == [None, f"bytes={HALF}-"]
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_truncation_is_noticed_by_the_length_that_the_server_said(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.weight_cuts = [HALF]
    unknown = with_weights(model, size=None, sha256=None)
    folder = fetch(unknown, cache=tmp_path, progress=False)
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_a_reset_connection_is_tried_again(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.weight_cuts, site.resets = [0, HALF], 2
    folder = fetch(model, cache=tmp_path, progress=False)
    assert len(site.weight_ranges()) == 3
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_a_download_that_gets_on_may_break_any_number_of_times(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.weight_cuts = [len(WEIGHTS) // 20] * 15
    folder = fetch(model, cache=tmp_path, progress=False)
    assert len(site.weight_ranges()) == 16 > downloading.ATTEMPTS
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_a_part_of_an_earlier_process_is_resumed(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    part_of(tmp_path, WEIGHTS[:HALF])
    folder = fetch(model, cache=tmp_path, progress=False)
    assert site.weight_ranges() == [f"bytes={HALF}-"]
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_an_interrupted_download_says_what_is_kept(
    site: Site, model: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    site.weight_cuts = [HALF]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as caught:
        patch.setattr(downloading.time, "sleep", interrupt)  # between two attempts
        fetch(model, cache=tmp_path, progress=False)
    said = f"{HALF:,} bytes of weights.hdf5 are kept, and the same call resumes there"
    assert caught.value.__notes__ == [said]
    fetch(model, cache=tmp_path, progress=False)
    assert site.weight_ranges() == [None, f"bytes={HALF}-"]


def test_a_whole_part_is_not_requested_again(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    part_of(tmp_path, WEIGHTS)
    folder = fetch(model, cache=tmp_path, progress=False)
    assert site.weight_ranges() == []
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_a_server_without_ranges_sends_the_whole_file_again(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.understands_ranges, site.weight_cuts = False, [HALF]
    folder = fetch(model, cache=tmp_path, progress=False)
    assert len(site.weight_ranges()) == 2
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_a_part_longer_than_the_file_is_started_afresh(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    part_of(tmp_path, WEIGHTS + b"more")
    folder = fetch(model, cache=tmp_path, progress=False)
    assert site.weight_ranges() == [f"bytes={len(WEIGHTS) + 4}-", None]  # the first: 416
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_a_range_that_was_not_asked_for_is_not_used(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.shifts_ranges = True
    part_of(tmp_path, WEIGHTS[:HALF])
    folder = fetch(model, cache=tmp_path, progress=False)
    assert site.weight_ranges() == [f"bytes={HALF}-", None]
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


def test_persistent_truncation_is_an_error_and_keeps_the_part(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.weight_cuts = [HALF] + [0] * 50
    message = failure_of(model, tmp_path)
    assert "closed early: 51,200 of 102,400 bytes came (after 5 attempts)" in message
    assert str(tmp_path / "tiny" / "weights.hdf5") in message
    assert (tmp_path / "tiny" / "weights.hdf5.part").read_bytes() == WEIGHTS[:HALF]
    assert len(site.weight_ranges()) == 1 + downloading.ATTEMPTS - 1


def test_truncation_without_ranges_comes_to_an_end(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.understands_ranges, site.weight_cuts = False, [HALF] * 50
    assert "closed early" in failure_of(model, tmp_path)
    assert len(site.weight_ranges()) == downloading.ATTEMPTS


def test_a_silent_server_is_given_up(
    site: Site, model: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 0.02)
    site.gate.clear()
    assert "timed out (after 5 attempts)" in failure_of(model, tmp_path)


# When something else comes


def test_a_wrong_hash_is_an_error_and_drops_the_part(model: PublishedModel, tmp_path: Path) -> None:
    message = failure_of(with_weights(model, sha256="0" * 64), tmp_path)
    assert model.files["weights.hdf5"].url in message
    assert f"expected: 102,400 bytes, sha256 {'0' * 64}" in message
    assert f"got: 102,400 bytes with sha256 {sha256(WEIGHTS)}" in message
    assert f"save it exactly as {tmp_path / 'tiny' / 'weights.hdf5'}" in message
    assert not (tmp_path / "tiny" / "weights.hdf5.part").exists()


def test_a_part_with_other_bytes_costs_one_try_only(model: PublishedModel, tmp_path: Path) -> None:
    part_of(tmp_path, b"x" * HALF)
    assert "102,400 bytes with sha256" in failure_of(model, tmp_path)
    folder = fetch(model, cache=tmp_path, progress=False)
    assert (folder / "weights.hdf5").read_bytes() == WEIGHTS


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_wrong_size_is_an_error_and_drops_the_part(
    tells_length: bool, site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.tells_length = tells_length
    site.files["weights.hdf5"] = b"<html>Please log in</html>" + WEIGHTS
    message = failure_of(model, tmp_path)
    assert "expected: 102,400 bytes" in message
    assert (
        "102,426 bytes of text/html" if tells_length else "more than the 102,400 bytes"
    ) in message
    assert not (tmp_path / "tiny" / "weights.hdf5.part").exists()


def test_options_that_are_not_json_are_reported(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.files["options.json"] = b"<html>\nPlease log in</html>"
    message = failure_of(model, tmp_path)
    assert "expected: size not known, sha256 not known, a JSON object" in message
    assert "27 bytes that are not a JSON object, beginning '<html> Please log in" in message
    assert list((tmp_path / "tiny").iterdir()) == []


def test_a_missing_file_is_reported_at_once(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    del site.files["weights.hdf5"]
    message = failure_of(model, tmp_path)
    assert "got: HTTP 404 Not Found" in message
    assert f"save it exactly as {tmp_path / 'tiny' / 'weights.hdf5'}" in message
    assert len(site.weight_ranges()) == 1


def test_an_overloaded_server_is_tried_again(
    site: Site, model: PublishedModel, tmp_path: Path
) -> None:
    site.status = 503
    assert "HTTP 503 Service Unavailable (after 5 attempts)" in failure_of(model, tmp_path)
    assert len(site.requests) == downloading.ATTEMPTS


def test_an_unreachable_host_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    missing = RemoteFile(f"http://127.0.0.1:{port}/options.json")
    files = {"options.json": missing, "weights.hdf5": missing}
    message = failure_of(PublishedModel("tiny", files), tmp_path)
    assert missing.url in message
    assert re.search(r"no answer: .*refused.* \(after 5 attempts\)", message)
    assert f"save it exactly as {tmp_path / 'tiny' / 'options.json'}" in message


def test_a_full_disk_is_reported_and_leaves_what_came(
    model: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_chunk(*_: object) -> Iterator[bytes]:
        yield WEIGHTS[:HALF]
        raise OSError(errno.ENOSPC, "No space left on device")

    options = tmp_path / "tiny" / "options.json"
    options.parent.mkdir()
    options.write_bytes(OPTIONS)
    monkeypatch.setattr(downloading, "chunks", one_chunk)
    message = failure_of(model, tmp_path)
    assert re.search(r"weights\.hdf5\.part could not be written: .*No space left", message)
    assert re.search(r"kept: 51,200 bytes, in .*weights\.hdf5\.part; another call resumes", message)
    assert model.files["weights.hdf5"].url in message


@pytest.mark.parametrize(
    ("file_name", "content", "found"),
    [
        ("weights.hdf5", b"short", "5 bytes, beginning 'short'"),
        ("options.json", b"<html>", "6 bytes that are not a JSON object, beginning '<html>'"),
    ],
)
def test_a_wrong_file_placed_by_hand_is_reported_and_kept(
    file_name: str,
    content: bytes,
    found: str,
    site: Site,
    model: PublishedModel,
    tmp_path: Path,
) -> None:
    placed = tmp_path / "tiny" / file_name
    placed.parent.mkdir()
    placed.write_bytes(content)
    with pytest.raises(ElmoError) as caught:
        fetch(model, cache=tmp_path, progress=False)
    message = str(caught.value)
    assert f"{placed} is not the file of the model 'tiny'" in message
    assert f"got: {found}" in message
    assert "delete it, and it will be downloaded" in message
    assert placed.read_bytes() == content
    assert site.requests == []
