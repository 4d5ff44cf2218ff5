"""Any bytes in any format: records or an ElmoError, and the same ones however they are stored."""

import gzip
import io
import random
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import damaged
from tally import Tally, attempts

from elmo_jax import ElmoError, split_sentences, tokenizer_named
from elmo_jax.text import line_ends
from elmo_jax.text.readers import TEXT_FORMATS, Records

COLUMNS = {"column": "t", "key_column": "k"}
OPTIONS = {
    "text": ({}, {"tokenizer": "words"}, {"tokenizer": "tabs"}, {"tokenizer": "spaces"}),
    "conllu": ({}, {"column": "LEMMA"}),
    "conll": ({}, {"column": "2"}),
    "fasta": ({},),
    **dict.fromkeys(("jsonl", "csv", "tsv", "parquet"), (COLUMNS,)),
}

PIECES = [
    *"abc \t\n\r,;:\"'>#-.0123{}[]\\",
    *"\x00\x0b\x0c\x1c\x85\xa0\u2028\u3000\ufeff\ud7ff\U0001f600e\u0301",
    *("\r\n", "\n\n", "\n\n\n", "# sent_id = 1\n", "# text = a\n", "# global.columns = ID FORM\n"),
    *("1\ta" + "\t_" * 8 + "\n", "2\tb" + "\t_" * 8 + "\n", "1-2\tab" + "\t_" * 8 + "\n"),
    *("1.1\tx" + "\t_" * 8 + "\n", "-DOCSTART- -X-\n", "a NN O\n", ">id\n", "MKV\n", ";c\n"),
    *('{"t": "a b", "k": 1}\n', '{"t": ["a", "b"]}\n', '{"t": "\\ud800", "k": "\\u0000"}\n'),
    *('{"k": 1e400, "t": null}', '{"t": 1, "t": 2}', "[" * 200, '{"t":' * 2000, "9" * 5000),
    *("t,k\n", "k\tt\n", "t;k\n", "a,1\n", '"a\nb",2\n', '""', "http://a.b", "a@b.c", "U.S."),
]
BYTES = [piece.encode() for piece in PIECES] + [b"\xff", b"\xc3", b"\xe2\x80", b"\xed\xa0\x80"]


def random_bytes(chance, format):
    starts = {"jsonl": b"", "csv": b"t,k\n", "tsv": b"t\tk\n", "fasta": b">a\n"}
    parts = chance.choices(BYTES, k=chance.randrange(40))
    return chance.choice((b"", starts.get(format, b""))) + b"".join(parts)


def outcome(path, format, options):
    """The records of a file, or the error without the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = [tuple(r) for r in Records.of(path, format, **options)]
    except ElmoError as error:
        return str(error).replace(str(path), "FILE").partition(" (after line")[0]
    return [(list(words), text, key, number) for words, text, key, _, number in records]


def attack_readers(folder, n, seed, monkeypatch, tally):
    chance = random.Random(seed)
    formats = [format for format in TEXT_FORMATS if format != "parquet"]
    for number in range(n):
        format = formats[number % len(formats)]
        options = chance.choice(OPTIONS[format])
        content = random_bytes(chance, format)
        plain, packed = folder / "a", folder / "a.gz"
        plain.write_bytes(content)
        middle = chance.randrange(len(content) + 1)
        packed.write_bytes(gzip.compress(content[:middle], 1) + gzip.compress(content[middle:], 1))
        try:
            result = outcome(plain, format, options)
            with monkeypatch.context() as patch:
                patch.setattr(line_ends, "BLOCK_BYTES", chance.choice((1, 2, 3, 7)))
                others = [outcome(plain, format, options), outcome(packed, format, options)]
        except Exception as error:
            tally.wrong(f"{format} {options} {content!r}: {error!r}")
            continue
        if any(other != result for other in others):
            tally.wrong(f"{format} {options} {content!r}: {result} and {others}")
        elif isinstance(result, str):
            tally.refused()
        else:
            tally.right()


def test_any_bytes_are_records_or_an_error_however_they_are_stored(tmp_path, monkeypatch):
    with Tally("any bytes as text, every format") as tally:
        attack_readers(tmp_path, 300, 1, monkeypatch, tally)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_more_bytes_are_records_or_an_error(tmp_path, monkeypatch, seed):
    with Tally("any bytes as text, every format") as tally:
        attack_readers(tmp_path, attempts(5000), seed + 2, monkeypatch, tally)


def attack_tables(folder, n, seed, tally):
    """Damage in Parquet whose pages have checksums, as pyarrow writes them if it is asked to."""
    chance = random.Random(seed)
    rows = [(f"a{i} é {chance.random()}", i) for i in range(60)]
    texts, keys = zip(*rows, strict=True)
    table = pa.table({"t": texts, "k": keys, "w": [text.split() for text in texts]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=25, write_page_checksum=True)
    path = folder / "a.parquet"
    right = {}
    path.write_bytes(buffer.getvalue())
    for column in ("t", "w"):
        right[column] = outcome(path, None, {"column": column, "key_column": "k"})
        assert len(right[column]) == 60
    for what, content in damaged(buffer.getvalue(), n, seed):
        path.write_bytes(content)
        column = chance.choice("tw")
        try:
            result = outcome(path, None, {"column": column, "key_column": "k"})
        except Exception as error:
            tally.wrong(f"{what}: {error!r}")
            continue
        if isinstance(result, str):
            tally.refused()
        elif result == right[column]:
            tally.right()
        else:
            tally.wrong(f"{what}: other records")


def test_damaged_tables_with_checksums_are_refused_or_read_right(tmp_path):
    with Tally("Parquet whose pages have checksums") as tally:
        attack_tables(tmp_path, 200, 1, tally)


@pytest.mark.slow
def test_many_damaged_tables_are_refused_or_read_right(tmp_path):
    with Tally("Parquet whose pages have checksums") as tally:
        attack_tables(tmp_path, attempts(5000), 2, tally)


def attack_tokenizers(n, seed, tally):
    chance = random.Random(seed)
    names = ("whitespace", "spaces", "tabs", "words")
    for number in range(n):
        text = "".join(chance.choices([*PIECES, "\ud800"], k=chance.randrange(60)))
        try:
            if number % 5 == 4:
                split_sentences(text)
            else:
                split = tokenizer_named(names[number % 5])
                words = split(text)
                assert all(isinstance(word, str) and word for word in words)
                if names[number % 5] != "tabs":
                    assert "".join("".join(words).split()) == "".join(text.split())
            tally.right()
        except ElmoError:
            tally.refused()
        except Exception as error:
            tally.wrong(f"{text!r}: {error!r}")


def test_any_text_is_split_or_refused_and_loses_nothing():
    with Tally("any text in a tokenizer") as tally:
        attack_tokenizers(400, 1, tally)


@pytest.mark.slow
def test_any_more_text_is_split_or_refused():
    with Tally("any text in a tokenizer") as tally:
        attack_tokenizers(attempts(20_000), 2, tally)
