"""A line or record has a limit, so that memory does not depend on the size of a file."""

import gzip
import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elmo_jax import ElmoError
from elmo_jax.text import limits
from elmo_jax.text.readers import Records
from elmo_jax.training.text_files import Corpus

LIMIT = 1 << 16
ENDLESS = {
    "a.txt": b"a " * LIMIT,
    "b.conllu": b"".join(b"%d\ta%s\n" % (i, b"\t_" * 8) for i in range(1, 5000)),
    "c.conll": b"a O\n" * 20_000,
    "d.fasta": b">x\n" + b"MKV\n" * 30_000,
    "e.jsonl": json.dumps({"t": "a " * LIMIT}).encode(),
    "f.csv": b't\n"' + b"a\n" * LIMIT,
    "g.tsv": b"t\n" + b"a" * (2 * LIMIT),
}


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, str(LIMIT))


def options(name):
    return {"column": "t"} if name[2:] in ("jsonl", "csv", "tsv", "parquet") else {}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_record_beyond_the_limit_is_an_error_that_says_how_to_raise_it(
    tmp_path, name, monkeypatch
):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(ENDLESS[name], 1))
    with pytest.raises(ElmoError, match=rf"{name}\.gz, line [12]: .*65,536.*{limits.VARIABLE}"):
        list(Records.of(path, **options(name)))
    monkeypatch.setenv(limits.VARIABLE, str(1 << 24))
    if name != "f.csv":  # its quote is never closed
        assert len(list(Records.of(path, **options(name)))) == 1


def test_a_limit_does_not_add_up_over_records(tmp_path):
    line = b"a " * 20_000 + b"\n"
    path = tmp_path / "a.txt"
    path.write_bytes(line * 5)
    assert len(list(Records.of(path))) == 5
    table = tmp_path / "a.csv"
    table.write_bytes(b"t\n" + line * 5)
    assert len(list(Records.of(table, column="t"))) == 5


def test_training_and_sentence_splitting_have_the_same_limit(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one line\n" + ENDLESS["a.txt"])
    with pytest.raises(ElmoError, match=rf"a\.txt, line 2: .*{limits.VARIABLE}"):
        list(Corpus.of(path).sentences())
    path.write_bytes(b"word\n" * 20_000)
    with pytest.raises(ElmoError, match=r"a\.txt, line \d+: a sentence without an end"):
        list(Records.of(path, split_sentences="en"))


@pytest.mark.parametrize("setting", ["0", "65535", "-1", "1e9", "many", "9" * 30])
def test_a_wrong_limit_is_an_error(tmp_path, monkeypatch, setting):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n")
    monkeypatch.setenv(limits.VARIABLE, setting)
    with pytest.raises(ElmoError, match=f"{limits.VARIABLE} is .*at least 65,536"):
        list(Records.of(path))


def peak_of(action):
    tracemalloc.start()
    before = pa.default_memory_pool().max_memory()
    try:
        action()
        return tracemalloc.get_traced_memory()[1], pa.default_memory_pool().max_memory() - before
    finally:
        tracemalloc.stop()


def dictionary_table(path, text, n):
    indices = pa.array([0] * n, pa.int32())
    pq.write_table(pa.table({"t": pa.DictionaryArray.from_arrays(indices, pa.array([text]))}), path)


def test_a_small_table_that_repeats_a_long_text_takes_the_memory_of_a_few_rows(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.parquet"
    dictionary_table(path, "word " * 200_000, 400)  # of 400 MB altogether
    with pytest.raises(ElmoError, match=rf"a\.parquet, row 1: the row takes .*{limits.VARIABLE}"):
        list(Records.of(path, column="t"))
    monkeypatch.setenv(limits.VARIABLE, str(1 << 24))
    n_rows = 0

    def read():
        nonlocal n_rows
        for record in Records.of(path, column="t", tokenizer="tabs"):
            n_rows += len(record.text) == 999_999

    python, arrow = peak_of(read)
    assert n_rows == 400
    assert python + arrow < 100 << 20


def test_rows_of_very_different_sizes_are_read_one_by_one(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    texts = ["a"] * 2000 + ["b" * 100_000] * 3 + ["c"]
    pq.write_table(pa.table({"t": texts}), path)
    with pytest.raises(ElmoError, match=rf"a\.parquet, row 2001: .*{limits.VARIABLE}"):
        list(Records.of(path, column="t"))
    monkeypatch.setenv(limits.VARIABLE, str(1 << 20))
    assert [record.text for record in Records.of(path, column="t")] == texts
