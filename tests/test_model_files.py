"""The files of a model in folders, archives and beside checkpoints, and archives that are bad."""

import bz2
import gzip
import io
import lzma
import random
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from checkpoint_files import message_of

from elmo_jax.checkpoint.containers import archives, model_files
from elmo_jax.checkpoint.containers.model_files import open_files

FILES = {
    "config.json": b"{}",
    "vocabulary/tokens.txt": b"the\n",
    "weights.th": random.Random(0).randbytes(50_000),
    "empty": b"",
}
TARS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
KINDS = ["zip", *TARS]


def folder_of(path, files=FILES):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def archive_of(path, kind, files=FILES, inside=""):
    """An archive; `inside` stands before each name."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(inside + name, content)
    else:
        tar_of(path, [entry(inside + name, content) for name, content in files.items()], kind)
    return path


def tar_of(path, entries, kind="tar"):
    with tarfile.open(path, TARS[kind]) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return path


def entry(name, content=b"", type=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), type, link
    return info, content


def contents(files):
    return {name: files.path(name).read_bytes() for name in files.names}


def opening(path):
    """Open and close."""
    with open_files(path) as files:
        return files


def unpacking(path, name):
    with open_files(path) as files:
        files.path(name)


# What is there


def test_a_folder_gives_its_own_files(tmp_path):
    folder = folder_of(tmp_path / "model")
    with open_files(folder) as files:
        assert files.source == folder and files.prefix is None
        assert files.names == tuple(sorted(FILES))
        assert files.path("vocabulary/tokens.txt") == folder / "vocabulary" / "tokens.txt"
        assert files.label("weights.th") == str(folder / "weights.th")
        assert contents(files) == FILES


@pytest.mark.parametrize("inside", ["", "./", "zhs.model/", "models/zhs.model/"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_gives_what_was_packed(tmp_path, kind, inside):
    path = archive_of(tmp_path / "no suffix", kind, inside=inside)
    with open_files(path) as files:
        assert files.source == path and files.prefix is None
        assert files.names == tuple(sorted(FILES))
        assert contents(files) == FILES
        assert files.label("weights.th") == f"{path}:{inside.removeprefix('./')}weights.th"


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_asked_for_is_unpacked_and_nothing_stays(tmp_path, monkeypatch, kind):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(model_files.tempfile, "tempdir", str(temporary))
    with open_files(archive_of(tmp_path / "model", kind)) as files:
        assert files.read("vocabulary/tokens.txt", 100) == b"the\n"
        assert [path for path in temporary.rglob("*") if path.is_file()] == []
        path = files.path("config.json")
        assert [path for path in temporary.rglob("*") if path.is_file()] == [path]
        assert files.path("config.json") == path, "unpacked once"
    assert list(temporary.iterdir()) == []


def test_nothing_stays_after_an_error(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(model_files.tempfile, "tempdir", str(temporary))
    path = archive_of(tmp_path / "model", "tar.gz")
    with pytest.raises(KeyError), open_files(path) as files:
        files.path("config.json")
        raise KeyError
    assert list(temporary.iterdir()) == []


def test_several_files_of_a_tar_are_unpacked_in_one_pass(tmp_path, monkeypatch):
    """A step back in a compressed tar decompresses it again from the beginning."""
    with open_files(archive_of(tmp_path / "model", "tar.gz")) as files:
        positions, seek = [], archives._TarStream.seek
        monkeypatch.setattr(
            archives._TarStream,
            "seek",
            lambda stream, position: (positions.append(position), seek(stream, position)),
        )
        paths = files.paths(["weights.th", "config.json", "vocabulary/tokens.txt"])
    assert [path.name for path in paths] == ["weights.th", "config.json", "tokens.txt"]
    assert len(positions) == 3 and positions == sorted(positions)


@pytest.mark.parametrize("kind", ["folder", *KINDS])
def test_hidden_files_and_those_of_macos_are_left_out(tmp_path, kind):
    more = {".lock": b"", "._weights.th": b"\0", "__MACOSX/._config.json": b"\0", ".git/HEAD": b""}
    files = {f"model/{name}": content for name, content in FILES.items()} | more
    if kind == "folder":
        del files["__MACOSX/._config.json"]
        path = folder_of(tmp_path, files) / "model"
    else:
        path = archive_of(tmp_path / "m", kind, files)
    assert opening(path).names == tuple(sorted(FILES))


@pytest.mark.parametrize("kind", ["folder", *KINDS])
def test_files_are_looked_for_four_levels_deep(tmp_path, kind):
    files = {"a": b"", "b/b/b/b": b"", "c/c/c/c/c": b""}
    path = tmp_path / "m"
    path = folder_of(path, files) if kind == "folder" else archive_of(path, kind, files)
    assert opening(path).names == ("a", "b/b/b/b")


def test_a_folder_with_very_many_files_is_looked_at_from_the_top(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "_MOST_BELOW", 2)
    folder_of(tmp_path, {"a/1": b"", "a/2": b"", "b/1": b"", "z": b""})
    assert opening(tmp_path).names == ("a/1", "a/2", "z")


def test_links_in_a_folder_are_followed_to_files_but_not_to_folders(tmp_path):
    folder = folder_of(tmp_path / "model")
    (folder / "link").symlink_to(folder / "config.json")
    (folder / "circle").symlink_to(folder)
    (folder / "nowhere").symlink_to("nothing")
    assert opening(folder).names == tuple(sorted([*FILES, "link"]))


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_checkpoint_is_named_by_its_prefix_or_by_one_of_its_files(tmp_path, suffix):
    checkpoint = [f"model.ckpt-9.{end}" for end in ("data-00000-of-00001", "index", "meta")]
    folder_of(tmp_path, dict.fromkeys([*checkpoint, "options.json", "log/events"], b""))
    path = tmp_path / f"model.ckpt-9{suffix}"
    with open_files(path) as files:
        assert files.source == path and files.prefix == "model.ckpt-9"
        assert files.names == ("log/events", *checkpoint, "options.json")
        assert files.path("model.ckpt-9.index") == tmp_path / "model.ckpt-9.index"


def test_equal_names_are_one_file_the_last(tmp_path):
    path = tar_of(tmp_path / "m", [entry("a", b"1"), entry("./a", b"22")])
    with open_files(path) as files:
        assert contents(files) == {"a": b"22"}


def test_names_from_windows_are_paths(tmp_path):
    path = archive_of(tmp_path / "m", "zip", {"zhs\\encoder.pkl": b"1", "zhs\\char.dic": b"2"})
    assert opening(path).names == ("char.dic", "encoder.pkl")


def test_folders_of_an_archive_are_no_files(tmp_path):
    shutil.make_archive(str(tmp_path / "m"), "gztar", folder_of(tmp_path / "f"))
    assert opening(tmp_path / "m.tar.gz").names == tuple(sorted(FILES))


# What cannot be opened


def test_nothing_of_the_name_is_reported(tmp_path):
    path = tmp_path / "model"
    assert message_of(opening, path) == f"There is no model at {path}: no such file or folder."


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b"hello", "a file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (gzip.compress(b"word\n", mtime=0), "gzip data"),
        (bz2.compress(b"word\n"), "bzip2 data"),
        (lzma.compress(b"word\n"), "xz data"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (bytes(10240), "a file"),
    ],
)
def test_a_file_that_is_no_archive_is_named_for_what_it_is(tmp_path, content, what):
    (tmp_path / "model.tar.gz").write_bytes(content)
    assert message_of(opening, tmp_path / "model.tar.gz") == (
        f"{tmp_path / 'model.tar.gz'} is {what}, expected a folder, or an archive "
        "(zip, tar, tar.bz2, tar.gz, tar.xz), of a model. A weight file alone is opened with "
        "options_file= and weight_file=."
    )


@pytest.mark.parametrize("kind", ["folder", *KINDS])
def test_a_file_that_is_not_there_is_named(tmp_path, kind):
    path = tmp_path / "m"
    path = folder_of(path) if kind == "folder" else archive_of(path, kind)
    for get in (lambda files: files.path("word.dic"), lambda files: files.read("word.dic", 9)):
        with open_files(path) as files:
            assert message_of(get, files) == (
                f"{path} has no word.dic; found config.json, empty, vocabulary/tokens.txt, "
                "weights.th."
            )


@pytest.mark.parametrize("kind", ["folder", *KINDS])
def test_a_file_that_is_larger_than_expected_is_not_read(tmp_path, kind):
    path = tmp_path / "m"
    path = folder_of(path) if kind == "folder" else archive_of(path, kind)
    with open_files(path) as files:
        assert files.read("config.json", 2) == b"{}"
        assert message_of(files.read, "config.json", 1) == (
            f"{files.label('config.json')} has 2 bytes, expected at most 1. Is it another kind "
            "of file?"
        )


# Archives that want to reach elsewhere


BAD_NAMES = ["/etc/passwd", "../up", "model/../../up", "..\\up", "C:\\up", "C:up", "\\\\host\\up"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_names_that_lead_out_of_an_archive_are_refused(tmp_path, kind, name):
    path = archive_of(tmp_path / "m", kind, {"config.json": b"", name: b""})
    assert message_of(opening, path) == (
        f"The {kind} {path} has entries that are not opened: {name!r} (outside the archive). "
        "Expected plain files only, below the folder that was packed. If you trust it, unpack it "
        "and name the folder."
    )


@pytest.mark.parametrize("name", [".", "a/\0"])
def test_names_that_are_none_are_refused(tmp_path, name):
    path = tar_of(tmp_path / "m", [entry("config.json", b"{}"), entry(name)])
    if "\0" in name:  # only an extended header has the whole name
        info, _ = entry("a/b")
        header = tarfile.TarInfo.create_pax_header
        info.pax_headers = {"path": name}
        path.write_bytes(header(info, info.get_info(), "utf-8") + bytes(1024))
    assert f"entries that are not opened: {name!r} (no name of a file). " in message_of(
        opening, path
    )


def test_a_name_that_the_disk_does_not_take_is_reported(tmp_path):
    name = "x" * 300
    with open_files(tar_of(tmp_path / "m", [entry(name, b"1")])) as files:
        assert files.names == (name,) and files.read(name, 1) == b"1"
        assert message_of(files.path, name).startswith(f"Cannot unpack {tmp_path / 'm'}:{name} to ")


@pytest.mark.parametrize("kind", TARS)
def test_links_devices_and_sparse_files_in_a_tar_are_named(tmp_path, kind):
    entries = [
        entry("config.json", b"{}"),
        entry("a", type=tarfile.SYMTYPE, link="/etc/passwd"),
        entry("b", type=tarfile.LNKTYPE, link="config.json"),
        entry("c", type=tarfile.CHRTYPE),
        entry("d", type=tarfile.FIFOTYPE),
    ]
    path = tar_of(tmp_path / "m", entries, kind)
    assert message_of(opening, path).startswith(
        f"The {kind} {path} has entries that are not opened: 'a' (a link to '/etc/passwd'), "
        "'b' (a link to 'config.json'), 'c' (a device or pipe), 'd' (a device or pipe). Expected "
    )


def test_only_the_first_of_many_bad_entries_are_listed(tmp_path):
    path = tar_of(tmp_path / "m", [entry(f"../{i}") for i in range(8)])
    assert "'../4' (outside the archive) and 3 more. Expected" in message_of(opening, path)


@pytest.mark.parametrize(
    ("mode", "problem"), [(stat.S_IFLNK, "a link"), (stat.S_IFCHR, "a device or pipe")]
)
def test_links_and_devices_in_a_zip_are_named(tmp_path, mode, problem):
    info = zipfile.ZipInfo("weights.hdf5")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert f"'weights.hdf5' ({problem}). " in message_of(opening, tmp_path / "m")


def test_an_encrypted_zip_is_refused(tmp_path):
    path = archive_of(tmp_path / "m", "zip", {"config.json": b"{}"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert message_of(opening, path) == (
        f"The zip {path} is encrypted ('config.json' needs a password). Unpack it, and name the "
        "folder."
    )


# Archives that claim too much


@pytest.mark.parametrize("kind", KINDS)
def test_more_than_the_disk_can_take_is_refused(tmp_path, monkeypatch, kind):
    size = len(FILES["weights.th"])
    usage = shutil.disk_usage(tmp_path)._replace(free=size)
    monkeypatch.setattr(model_files.shutil, "disk_usage", lambda _: usage)
    with open_files(archive_of(tmp_path / "m", kind)) as files:
        assert files.path("config.json").read_bytes() == b"{}"
        message = message_of(files.path, "weights.th")
        assert message.startswith(
            f"{tmp_path / 'm'}: weights.th would take 50.0 kB, but only 90% of the 50.0 kB that "
            "are free for temporary files in "
        )


@pytest.mark.parametrize("kind", KINDS)
def test_more_entries_than_a_model_has_are_refused(tmp_path, monkeypatch, kind):
    path = archive_of(tmp_path / "m", kind)
    monkeypatch.setattr(archives, "_MOST_ENTRIES", 3)
    assert message_of(opening, path).startswith(f"The {kind} {path} has more than 3 entries; ")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_that_decompresses_without_end_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(archives, "_ALWAYS_EXPANDED", 10**5)
    path = archive_of(tmp_path / "m", kind, {"zeros": bytes(2 * 10**6)})
    assert message_of(opening, path).startswith(
        f"Cannot read the {kind} {path}: it claims to have 2,0"
    )
    # Beyond the end that the tar itself says
    path = archive_of(tmp_path / "m", kind, {"a": b""})
    compress = {"tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}[kind]
    path.write_bytes(path.read_bytes() + compress(bytes(2 * 10**6)))
    assert "it claims to have" in message_of(opening, path)


@pytest.mark.parametrize("type", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_name_of_gigabytes_is_not_read(tmp_path, type):
    info, _ = entry("x", type=type)
    info.size = 2**33
    block = info.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "m").write_bytes(gzip.compress(block + bytes(10**6)))
    assert f"a header claims {2**33:,} bytes" in message_of(opening, tmp_path / "m")


def test_headers_that_lead_back_do_not_loop(tmp_path):
    pax = tarfile.TarInfo.create_pax_header
    info, _ = entry("a")
    info.pax_headers = {"size": "-2048"}
    block = pax(info, info.get_info(), "utf-8")
    (tmp_path / "m").write_bytes(block + bytes(10240))
    message_of(opening, tmp_path / "m")


def zip_claiming(path, size, content=b"123456789"):
    """A zip whose headers claim another size than its only file has."""
    archive_of(path, "zip", {"a": content})
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(magic) + offset
        data[start : start + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [4, 20])
def test_a_file_of_another_size_than_the_zip_claims_is_refused(tmp_path, size):
    path = zip_claiming(tmp_path / "m", size)
    assert message_of(unpacking, path, "a").startswith(f"Cannot read the zip {path}: ")


def test_a_short_zip_file_does_not_expand_beyond_its_claim(tmp_path):
    """Ten megabytes come out of a file that claims four bytes; reading stops before."""
    path = zip_claiming(tmp_path / "m", 4, bytes(10**7))
    with open_files(path) as files:
        message_of(files.read, "a", 100)
        message_of(files.path, "a")
        assert not (files._folder / "a").exists() and not list(files._folder.iterdir())


# Damaged archives


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_archive_is_reported(tmp_path, kind, kept):
    path = archive_of(tmp_path / "m", kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    message = message_of(unpacking, path, "weights.th")
    if kind == "zip":
        assert message == f"The zip {path} is truncated; copy or download it again."
    else:
        assert message.startswith(f"Cannot read the {kind} {path}: ")
        assert message.endswith(". If it is damaged, download it again.")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_wrong_bytes_are_reported(tmp_path, kind):
    path = archive_of(tmp_path / "m", kind)
    content = path.read_bytes()
    for offset in range(0, len(content), max(1, len(content) // 50)):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 0x55]) + content[offset + 1 :])
        try:
            with open_files(path) as files:
                read = contents(files)
        except archives.ElmoError:
            continue
        # Some bytes, such as times, mean nothing here; names of a zip have no checksum.
        assert list(read.values()) == [content for _, content in sorted(FILES.items())] or (
            kind == "zip"
        )


def test_a_damaged_header_is_not_taken_for_the_end_of_a_tar(tmp_path):
    path = archive_of(tmp_path / "m", "tar")
    content = bytearray(path.read_bytes())
    content[1024] ^= 1  # the first letter of the second name
    path.write_bytes(content)
    assert message_of(opening, path) == (
        f"Cannot read the tar {path}: damaged header at byte 1,024. If it is damaged, download it "
        "again."
    )


def test_a_compression_that_python_lacks_is_reported(tmp_path):
    path = archive_of(tmp_path / "m", "zip", {"a": b"1"})
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(magic) + offset] = 97
    path.write_bytes(data)
    assert message_of(unpacking, path, "a").startswith(f"Cannot read the zip {path}: ")


def test_a_disk_that_is_full_is_not_a_damaged_archive(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with open_files(archive_of(tmp_path / "m", "zip")) as files:
        monkeypatch.setattr(Path, "replace", full)
        message = message_of(files.path, "config.json")
    assert message.startswith(f"Cannot unpack {tmp_path / 'm'}:config.json to ")
    assert message.endswith("config.json: No space left on device.")
