"""Compressed files of several streams: their whole text, or an error that says where it ends."""

import bz2
import gzip
import itertools
import lzma
import random
import tracemalloc
import zlib

import pytest
import zstandard
from damage import damaged, flipped
from tally import Tally, attempts

from elmo_jax import ElmoError
from elmo_jax.text.readers import BrokenFile, Records, open_file
from elmo_jax.training.text_files import Corpus

COMPRESS = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
EDGE = 24
"""Headers and footers are about as long as this."""


def lines(n, seed=0):
    chance = random.Random(seed)
    return "".join(f"{i} {chance.getrandbits(40):x} é\n" for i in range(n)).encode()


def written(folder, suffix, content):
    path = folder / f"a.txt{suffix}"
    path.write_bytes(content)
    return path


def read(path):
    with open_file(path) as file:
        return file.read()


def streams(suffix, chance):
    """One to four streams, tiny ones and empty ones among them."""
    sizes = [chance.choice((0, 1, 3, 200)) for _ in range(chance.randint(1, 4))]
    texts = [lines(size, seed) for seed, size in enumerate(sizes)]
    return texts, [COMPRESS[suffix](text) for text in texts]


def flips_at_edges(parts, n, chance):
    """Flipped bits in the headers and footers of streams."""
    content = b"".join(parts)
    borders = list(itertools.accumulate(map(len, parts), initial=0))
    for _ in range(n):
        position = chance.choice(borders) + chance.randint(-EDGE, EDGE)
        if 0 <= position < len(content):
            bit = chance.randrange(8)
            yield f"bit {bit} of byte {position}", flipped(content, position, bit)


def are_streams(content, parts):
    """Whether a damaged file has whole streams alone: then it is a right file of another text."""
    rest = content
    while part := next((part for part in parts if rest.startswith(part)), None):
        rest = rest.removeprefix(part)
    return bool(content) and not rest


def attack(folder, suffix, n, seed, tally):
    chance = random.Random(seed)
    while n > 0:
        texts, parts = streams(suffix, chance)
        text, whole = b"".join(texts), b"".join(parts)
        copies = [*damaged(whole, 5, chance.random()), *flips_at_edges(parts, 20, chance)]
        for what, content in copies:
            if are_streams(content, parts):
                continue
            n -= 1
            path = written(folder, suffix, content)
            try:
                result = read(path)
            except BrokenFile as error:
                assert error.file == str(path) and 0 <= error.byte <= len(content)
                tally.refused()
            else:
                if result == text:
                    tally.right()
                else:
                    tally.wrong(f"{suffix}, seed {seed}, sizes {list(map(len, texts))}: {what}")


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_damaged_stream_is_refused_or_makes_no_difference(tmp_path, suffix):
    with Tally(f"compressed text of several streams, {suffix}") as tally:
        attack(tmp_path, suffix, 100, 1, tally)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", COMPRESS)
def test_many_damaged_streams_are_refused_or_make_no_difference(tmp_path, suffix):
    with Tally(f"compressed text of several streams, {suffix}") as tally:
        attack(tmp_path, suffix, attempts(5000), 2, tally)


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("strict", [False, True])
def test_training_reads_up_to_the_damage_and_reports_it_or_stops(tmp_path, caplog, suffix, strict):
    first, second = COMPRESS[suffix](lines(3)), bytearray(COMPRESS[suffix](lines(5, 1)))
    second[1] ^= 1
    path = written(tmp_path, suffix, first + second)
    corpus = Corpus.of(path, strict)
    if strict:
        with pytest.raises(ElmoError, match=r"a\.txt\.\w+ breaks off after line 3"):
            list(corpus.sentences())
    else:
        assert len(list(corpus.sentences())) == 3
        assert "breaks off after line 3" in caplog.text


@pytest.mark.parametrize("suffix", COMPRESS)
def test_an_error_of_a_broken_file_says_where_it_breaks_off(tmp_path, suffix):
    first = COMPRESS[suffix](lines(3))
    path = written(tmp_path, suffix, first + b"this is no stream")
    with pytest.raises(BrokenFile, match=r"Cannot read .* to its end: .*after line 3") as caught:
        list(Records.of(path))
    error = caught.value
    assert (error.file, error.line, error.byte) == (str(path), 3, len(first))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\x50\x2a\x4d\x18\x03\0\0\0abc"])
def test_a_file_without_a_stream_is_no_empty_text(tmp_path, suffix, content):
    with pytest.raises(BrokenFile, match="Cannot read"):
        list(Records.of(written(tmp_path, suffix, content)))


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_empty_text_is_an_empty_text(tmp_path, suffix):
    assert list(Records.of(written(tmp_path, suffix, COMPRESS[suffix](b"")))) == []


def test_padding_is_what_the_format_allows_and_shorter_than_any_stream(tmp_path):
    for suffix, allowed, refused in [
        (".xz", (4, 8, 16), (1, 2, 3, 5, 20, 512)),
        (".gz", (1, 2, 16), (17, 20, 512)),
        (".bz2", (), (1, 4)),
        (".zst", (), (1, 4)),
    ]:
        part = COMPRESS[suffix](b"a\n")
        for n in (*allowed, *refused):
            for content, text in [
                (part + bytes(n), b"a\n"),
                (part + bytes(n) + part, b"a\na\n"),
            ]:
                path = written(tmp_path, suffix, content)
                if n in allowed and (suffix == ".xz" or text == b"a\n"):
                    assert read(path) == text
                else:
                    with pytest.raises(BrokenFile):
                        read(path)
        with pytest.raises(BrokenFile):
            read(written(tmp_path, suffix, bytes(4) + part))


def test_frames_of_zstandard_without_content_are_passed_over(tmp_path):
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    frame = COMPRESS[".zst"](b"a\n")
    content = skippable + frame + skippable + frame + skippable
    assert read(written(tmp_path, ".zst", content)) == b"a\na\n"
    with pytest.raises(BrokenFile):
        read(written(tmp_path, ".zst", content[:-1]))


def test_an_xz_file_may_not_ask_for_any_amount_of_memory(tmp_path):
    content = bytearray(lzma.compress(b"a\n"))
    assert content[12:16] == b"\x02\x00\x21\x01", "the header of the block, up to its dictionary"
    content[16] = 40  # 4 GiB
    content[20:24] = zlib.crc32(content[12:20]).to_bytes(4, "little")
    with pytest.raises(BrokenFile, match="Memory usage limit"):
        read(written(tmp_path, ".xz", bytes(content)))


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_file_of_zeros_streams_through_in_little_memory(tmp_path, suffix):
    path = written(tmp_path, suffix, COMPRESS[suffix](bytes(32 << 20)))
    tracemalloc.start()
    try:
        with open_file(path) as file:
            size = sum(map(len, iter(lambda: file.read(1 << 16), b"")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 32 << 20
    assert peak < 24 << 20, "the whole text has 32 MiB"
