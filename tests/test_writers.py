"""Every output format: exact layout, round trips, equal bytes, clear refusals."""

import csv
import dataclasses
import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elmo_jax import ElmoError
from elmo_jax.corpus.survey import Survey
from elmo_jax.corpus.writers import FileLayout, check_layout, hdf5, npz, parquet, writer_for
from elmo_jax.corpus.writers.sentence_keys import sentence_key
from elmo_jax.files import check_space
from elmo_jax.text.cut_words import WordLimit
from elmo_jax.text.readers import Record, Records

TEXTS = ["a / b", 'quo"te', "back\\slash naïve 😀", "", "a / b"]
RECORDS = [Record(text.split(), text, f"k/{i}" if i != 1 else None) for i, text in enumerate(TEXTS)]
SHAPES = {"tokens": (2,), "all layers": (3, 2)}


def vectors(record, shape, pooled, dtype):
    n = (*shape[:-1], *(() if pooled else (len(record.words),)), shape[-1])
    return np.random.default_rng(len(record.text)).normal(size=n).astype(dtype)


def case(shape=(2,), pooled=False, dtype="float32", keys=True, with_text=True):
    records = RECORDS if keys else [record._replace(key=None) for record in RECORDS]
    layout = FileLayout(
        shape,
        pooled,
        dtype,
        len(records),
        sum(len(record.words) for record in records),
        sum(len(record.text.encode()) for record in records),
        max(len(record.key or "") for record in records),
        with_text,
    )
    return layout, [(record, vectors(record, shape, pooled, dtype)) for record in records]


def write(path, layout, results):
    writer = writer_for(path)
    writer.check(layout)
    writer.write(path, layout, iter(results))
    return path


def with_sentence_keys(kind, escaped, pooled=False):
    layout, results = case(pooled=pooled)
    results = results[:3]  # the others have no words, or those of the first
    counts = {"sentences": 3, "tokens": sum(len(record.words) for record, _ in results)}
    layout = dataclasses.replace(layout, **counts, sentence_keys=kind, escape_keys=escaped)
    return layout, results


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(
    ("kind", "first"), [("text", "a $backslash$ b"), ("words", "a\t$backslash$\tb")]
)
def test_hdf5_has_sentences_as_keys(tmp_path, kind, first, pooled):
    layout, results = with_sentence_keys(kind, True, pooled)
    with h5py.File(write(tmp_path / "a.h5", layout, results), "r") as file:
        keys = [sentence_key(record, kind, True) for record, _ in results]
        assert sorted(file) == sorted(keys) and keys[0] == first
        for key, (_, expected) in zip(keys, results, strict=True):
            np.testing.assert_array_equal(file[key][()], expected)


def test_only_hdf5_has_sentences_as_keys(tmp_path):
    layout, _ = with_sentence_keys("text", True, pooled=True)
    for suffix in (".npz", ".npy", ".csv", ".tsv", ".vec", ".txt", ".parquet"):
        with pytest.raises(ElmoError, match=r"a\.\w+ cannot have sentences as keys: only \.h5"):
            check_layout(tmp_path / f"a{suffix}", layout)
    check_layout(tmp_path / "a.hdf5", layout)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_hdf5_has_the_layout_of_allennlp(tmp_path, shape, pooled):
    layout, results = case(shape, pooled)
    with h5py.File(write(tmp_path / "a.h5", layout, results), "r") as file:
        assert sorted(file) == ["0", "1", "2", "3", "4", "keys", "sentence_to_index"]
        for index, (_, expected) in enumerate(results):
            np.testing.assert_array_equal(file[str(index)][()], expected)
            assert file[str(index)].dtype == np.float32
        listing = json.loads(file["sentence_to_index"][0])
        assert file["keys"].asstr()[()].tolist() == ["k/0", "", "k/2", "k/3", "k/4"]
    assert listing == {text: str(index) for index, text in enumerate(TEXTS)}


def test_hdf5_leaves_out_missing_keys_and_unwanted_texts(tmp_path, monkeypatch):
    layout, results = case(keys=False, with_text=False)
    with h5py.File(write(tmp_path / "a.h5", layout, results), "r") as file:
        assert sorted(file) == ["0", "1", "2", "3", "4"]
    monkeypatch.setattr(hdf5, "_MAX_TEXT_BYTES", 10)
    layout, results = case(keys=False)
    assert "sentence_to_index is left out" in next(hdf5.notes(layout))
    with h5py.File(write(tmp_path / "b.h5", layout, results), "r") as file:
        assert "sentence_to_index" not in file


def test_hdf5_writes_more_keys_than_one_block_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_KEYS_PER_BLOCK", 2)
    with h5py.File(write(tmp_path / "a.h5", *case()), "r") as file:
        assert file["keys"].asstr()[()].tolist() == ["k/0", "", "k/2", "k/3", "k/4"]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_npz_holds_tokens_and_where_sentences_begin(tmp_path, shape):
    layout, results = case(shape, dtype="float16")
    with np.load(write(tmp_path / "a.npz", layout, results), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["keys", "offsets", "vectors"]
        assert arrays["vectors"].shape == (layout.tokens, *shape)
        assert arrays["vectors"].dtype == np.float16 and arrays["offsets"].dtype == np.int64
        for i, (_, expected) in enumerate(results):
            rows = arrays["vectors"][arrays["offsets"][i] : arrays["offsets"][i + 1]]
            layers = rows.swapaxes(0, 1) if len(shape) > 1 else rows
            np.testing.assert_array_equal(layers, expected)
        assert arrays["keys"].tolist() == ["k/0", "", "k/2", "k/3", "k/4"]


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pooled_sentences_are_one_matrix(tmp_path, shape, suffix):
    layout, results = case(shape, pooled=True, keys=False)
    matrix = np.load(write(tmp_path / f"a{suffix}", layout, results))
    if suffix == ".npz":
        with matrix as archive:
            assert sorted(archive) == ["vectors"]
            matrix = archive["vectors"]
    np.testing.assert_array_equal(matrix, np.stack([vector for _, vector in results]))


def test_npy_refuses_tokens_and_warns_that_keys_are_lost():
    writer = writer_for(Path("a.npy"))
    with pytest.raises(ElmoError, match=r"--pooling.*\.npz"):
        writer.check(case()[0])
    assert "keys" in next(writer.notes(case(pooled=True)[0]))
    assert list(writer.notes(case(pooled=True, keys=False)[0])) == []


@pytest.mark.parametrize("most_rows", [1, 2, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet_has_a_row_per_token(tmp_path, monkeypatch, most_rows, dtype):
    monkeypatch.setattr(parquet, "_GROUP_ROWS", most_rows)
    layout, results = case(dtype=dtype)
    table = pq.read_table(write(tmp_path / "a.parquet", layout, results))
    assert table.column_names == ["key", "sentence", "position", "token", "vector"]
    assert table.schema.field("vector").type == pa.list_(getattr(pa, dtype)(), 2)
    expected = [
        (record.key, i, place, word)
        for i, (record, _) in enumerate(results)
        for place, word in enumerate(record.words)
    ]
    columns = [table.column(name).to_pylist() for name in table.column_names[:4]]
    assert list(zip(*columns, strict=True)) == expected
    numbers = np.array(table.column("vector").to_pylist(), dtype)
    np.testing.assert_array_equal(numbers, np.concatenate([vector for _, vector in results]))


def test_parquet_has_a_row_per_sentence_and_a_column_per_layer(tmp_path):
    layout, results = case((3, 2), pooled=True)
    table = pq.read_table(write(tmp_path / "a.parquet", layout, results))
    assert table.column_names == ["key", "text", "layer_0", "layer_1", "layer_2"]
    assert table.column("text").to_pylist() == TEXTS
    assert table.column("key").to_pylist() == ["k/0", None, "k/2", "k/3", "k/4"]
    for layer in range(3):
        numbers = np.array(table.column(f"layer_{layer}").to_pylist(), np.float32)
        np.testing.assert_array_equal(numbers, np.stack([vector[layer] for _, vector in results]))
    layout, results = case(pooled=True, keys=False, with_text=False)
    table = pq.read_table(write(tmp_path / "b.parquet", layout, results))
    assert table.column_names == ["vector"]


TABLES = {".csv": ",", ".tsv": "\t"}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("suffix", TABLES)
def test_tables_have_a_row_per_token_whose_numbers_read_the_same(tmp_path, suffix, dtype):
    layout, results = case(dtype=dtype)
    path = write(tmp_path / f"a{suffix}", layout, results)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter=TABLES[suffix])
    assert header == ["key", "sentence", "position", "token", "v0", "v1"]
    assert [row[:4] for row in rows] == [
        [record.key or "", str(i), str(place), word]
        for i, (record, _) in enumerate(results)
        for place, word in enumerate(record.words)
    ]
    numbers = np.array([row[4:] for row in rows]).astype(dtype)
    np.testing.assert_array_equal(numbers, np.concatenate([vector for _, vector in results]))


@pytest.mark.parametrize("suffix", TABLES)
def test_tables_have_a_row_per_sentence_that_the_reader_reads_back(tmp_path, suffix):
    layout, results = case((3, 2), pooled=True)
    path = write(tmp_path / f"a{suffix}", layout, results)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=TABLES[suffix]))
    assert list(rows[0]) == ["key", "text", *(f"layer_{i}_v{j}" for i in range(3) for j in (0, 1))]
    numbers = [[float(row["layer_2_v0"]), float(row["layer_2_v1"])] for row in rows]
    np.testing.assert_array_equal(
        np.float32(numbers), np.stack([vector[2] for _, vector in results])
    )
    records = Records.of(path, column="text", key_column="key")
    assert [(r.text, r.key) for r in records] == [(r.text, r.key) for r in RECORDS]
    layout, results = case(pooled=True, keys=False, with_text=False)
    path = write(tmp_path / f"b{suffix}", layout, results)
    assert path.read_text("utf-8").startswith(f"v0{TABLES[suffix]}v1\n")


@pytest.mark.parametrize("suffix", [".vec", ".txt", ".TXT"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_word_lines_have_a_word_and_its_numbers_and_a_blank_line_per_sentence(
    tmp_path, suffix, dtype
):
    layout, results = case(dtype=dtype)
    content = write(tmp_path / f"a{suffix}", layout, results).read_bytes().decode()
    lines = content.split("\n")
    ends = [i for i, line in enumerate(lines[:-1]) if not line]
    lengths = np.diff([-1, *ends]) - 1
    assert lengths.tolist() == [len(record.words) for record, _ in results]
    rows = [line.split(" ") for line in lines if line]
    assert [row[0] for row in rows] == [word for record, _ in results for word in record.words]
    numbers = np.array([row[1:] for row in rows]).astype(dtype)
    np.testing.assert_array_equal(numbers, np.concatenate([vector for _, vector in results]))


def test_word_lines_keep_sentences_apart_and_words_whole(tmp_path):
    words = ["New York", "a\tb", "1\u00a0000", "x\u2028y", "c\rd\ne", "\0"]
    records = [Record(words, ""), Record([], ""), Record(["Hi"], "Hi")]
    layout = FileLayout((1,), False, "float32", 3, 7, 40, 0, True)
    results = [(record, np.ones((len(record.words), 1), np.float32)) for record in records]
    content = write(tmp_path / "a.vec", layout, results).read_bytes().decode()
    expected = ["New_York", "a_b", "1\u00a0000", "x\u2028y", "c_d_e", "_", None, None, "Hi", None]
    assert content == "".join("\n" if word is None else f"{word} 1.0\n" for word in expected)


def test_word_lines_refuse_layers_and_pooled_sentences():
    for name in ("a.vec", "a.txt"):
        with pytest.raises(
            ElmoError, match=r"one vector per token, not 3 layers.*--layers \(a num"
        ):
            check_layout(Path(name), case((3, 2))[0])
        with pytest.raises(ElmoError, match=r"\(--pooling\) to a \.tsv"):
            check_layout(Path(name), case(pooled=True)[0])
        assert any("keys" in note for note in writer_for(Path(name)).notes(case()[0]))
        assert not any("keys" in note for note in writer_for(Path(name)).notes(case(keys=False)[0]))


def test_parquet_without_a_token_is_an_empty_table(tmp_path):
    layout = FileLayout((2,), False, "float32", 1, 0, 0, 0, True)
    results = [(Record([], ""), np.zeros((0, 2), np.float32))]
    assert len(pq.read_table(write(tmp_path / "a.parquet", layout, results))) == 0


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".parquet", ".npy", ".csv", ".tsv"])
def test_equal_results_make_equal_bytes_at_any_time(tmp_path, suffix, monkeypatch):
    layout, results = case((3, 2), pooled=True)
    first = write(tmp_path / f"a{suffix}", layout, results).read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert write(tmp_path / f"b{suffix}", layout, results).read_bytes() == first


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".h5", {}), (".npz", {}), (".parquet", {}), (".h5", {"sentence_keys": "text"})]
    + [(suffix, {}) for suffix in (".csv", ".tsv", ".vec", ".txt")],
)
def test_the_estimate_is_close_to_the_size(tmp_path, suffix, options):
    texts = [f"a few words a line {i} ." for i in range(2000)]
    records = [Record(text.split(), text) for text in texts]
    text_bytes = sum(map(len, texts))
    sizes = len(records), 14000, text_bytes, 0
    layout = FileLayout((16,), False, "float32", *sizes, True, **options)
    # As small as those of ELMo are, for text takes more bytes for them than for larger ones.
    results = [(one, 0.2 * vectors(one, (16,), False, "float32")) for one in records]
    path = write(tmp_path / f"a{suffix}", layout, results)
    assert 0.85 < writer_for(path).estimated_bytes(layout) / path.stat().st_size < 1.2


def with_keys(keys, pooled=False):
    """A layout and results of two words per key, as the survey tells of them."""
    records = [Record(["a", "b"], "a b", key, "f", i) for i, key in enumerate(keys, start=1)]
    survey = Survey.from_records(records, limit=WordLimit(48))
    names = {field.name for field in dataclasses.fields(FileLayout)} & set(dir(survey))
    sizes = {name: getattr(survey, name) for name in names}
    layout = FileLayout((2,), pooled, "float32", with_text=True, **sizes)
    return layout, [(record, vectors(record, (2,), pooled, "float32")) for record in records]


def test_npz_refuses_keys_that_would_be_padded_to_more_than_the_vectors():
    """2,000 keys, one of them long, would take 1.6 GB."""
    keys = [*map(str, range(1000)), "k" * 200_000, *map(str, range(1000, 1999))]
    layout, _ = with_keys(keys)
    problem = r"The key of record 1,001 has 200,000 characters.* 1\.60 GB"
    with pytest.raises(ElmoError, match=problem):
        check_layout(Path("a.npz"), layout)
    for suffix in (".h5", ".csv", ".parquet"):
        check_layout(Path(f"a{suffix}"), layout)
    check_layout(Path("a.npz"), dataclasses.replace(layout, tokens=10**9))


def test_tables_of_words_refuse_a_long_key_that_would_be_repeated():
    words = ["word"] * 4000
    text = " ".join(words)
    records = [Record(["a"], "a", "k", "f", 1), Record(words, text * 2, text * 2, "f", 2)]
    survey = Survey.from_records(records, limit=WordLimit(48))
    assert (survey.repeated_key, survey.repeated_key_at) == (4000 * 2 * len(text), 1)
    layout, _ = with_keys(["k"])
    layout = dataclasses.replace(layout, repeated_key=survey.repeated_key, repeated_key_at=1)
    problem = "The key of record 2 is so long that it would take 159,992,000 characters"
    for suffix in (".csv", ".tsv", ".parquet"):
        with pytest.raises(ElmoError, match=problem):
            check_layout(Path(f"a{suffix}"), layout)
        check_layout(Path(f"a{suffix}"), dataclasses.replace(layout, pooled=True))
    for suffix in (".h5", ".npz"):
        check_layout(Path(f"a{suffix}"), layout)


STRANGE_KEYS = ["", "a/b", "..", "é\u2028😀", "k" * 100_000, 'quo"te', "x\ry", "tab\t\n", "  ", "'"]


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("suffix", [".h5", ".npz", ".parquet", *TABLES])
def test_every_format_gives_strange_keys_back(tmp_path, suffix, pooled, monkeypatch):
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 1000)
    monkeypatch.setattr(npz, "_PADDING_BYTES", 1000)
    path = write(tmp_path / f"a{suffix}", *with_keys(STRANGE_KEYS, pooled))
    if suffix == ".h5":
        with h5py.File(path, "r") as file:
            keys = file["keys"].asstr()[()].tolist()
    elif suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            keys = arrays["keys"].tolist()
    elif suffix == ".parquet":
        keys = pq.read_table(path)["key"].to_pylist()
    else:
        with path.open(encoding="utf-8", newline="") as file:
            keys = [row["key"] for row in csv.DictReader(file, delimiter=TABLES[suffix])]
    assert keys[:: len(keys) // len(STRANGE_KEYS)] == STRANGE_KEYS


def test_hdf5_has_a_long_sentence_as_key(tmp_path):
    layout, results = with_sentence_keys("text", True)
    results = [(results[0][0]._replace(text="é" * 500_000), results[0][1])]
    with h5py.File(write(tmp_path / "a.h5", layout, results), "r") as file:
        assert list(file) == ["é" * 500_000]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5", ".npz", ".parquet", ".csv"])
def test_every_format_holds_a_million_keys(tmp_path, suffix):
    layout, _ = with_keys(["key 999999"], pooled=True)
    layout = dataclasses.replace(layout, sentences=10**6, tokens=2 * 10**6)
    row = np.zeros(2, np.float32)
    results = ((Record(["a", "b"], "a b", f"key {i}"), row) for i in range(10**6))
    path = write(tmp_path / f"a{suffix}", layout, results)
    assert path.stat().st_size < 3e8
    if suffix == ".h5":
        with h5py.File(path, "r") as file:
            assert file["keys"].asstr()[-1] == "key 999999" and "999999" in file


def test_a_key_longer_than_those_of_the_layout_is_never_cut(tmp_path):
    layout, results = with_keys(["k" * 10])
    layout = dataclasses.replace(layout, longest_key=9)
    for suffix in (".npz", ".h5", ".parquet"):
        with pytest.raises(ElmoError, match="is longer than the longest of its corpus"):
            write(tmp_path / f"a{suffix}", layout, results)


@pytest.mark.parametrize("suffix", TABLES)
def test_tables_quote_a_carriage_return(tmp_path, suffix):
    layout, _ = with_keys(["k"], pooled=True)
    record = Record(["a"], "one\rtwo", "k")
    path = write(tmp_path / f"a{suffix}", layout, [(record, np.zeros(2, np.float32))])
    rows = ["key", "text", "v0", "v1"], ["k", '"one\rtwo"', "0.0", "0.0"]
    expected = "".join(TABLES[suffix].join(row) + "\n" for row in rows)
    assert path.read_bytes().decode() == expected


def test_tsv_quotes_what_would_end_a_cell(tmp_path):
    layout, _ = with_keys(["k"], pooled=True)
    record = Record(["a"], 'tab\t, "quote"', "k")
    path = write(tmp_path / "a.tsv", layout, [(record, np.zeros(2, np.float32))])
    assert path.read_text() == 'key\ttext\tv0\tv1\nk\t"tab\t, ""quote"""\t0.0\t0.0\n'


def test_unknown_suffixes_are_refused():
    for name in ("a.xlsx", "a"):
        with pytest.raises(
            ElmoError, match=r"^Unknown format of .*: expected a name that ends in \.h5, \.hdf5"
        ):
            writer_for(Path(name))


def test_parquet_without_pyarrow_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ElmoError, match=r"elmo-jax\[parquet\]"):
        parquet.check(case()[0])


def test_npz_leaves_no_other_file_behind(tmp_path):
    npz.write(tmp_path / "a.npz", *case())
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_space_is_checked_where_the_file_will_lie(tmp_path):
    check_space(tmp_path / "out.h5", 1)
    with pytest.raises(ElmoError, match="GB free"):
        check_space(tmp_path / "out.h5", 10**18)
