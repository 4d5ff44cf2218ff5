"""What goes into each reader, and exactly what comes out: no record may vanish or change."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elmo_jax import ElmoError, split_sentences
from elmo_jax.text.line_ends import split_lines
from elmo_jax.text.readers import Records

REST = "\t_" * 8
ROW = f"1\ta{REST}\n"
TABLE = {"column": "t", "key_column": "k"}
MARK = "\ufeff"

# (format, options, what goes in, the records (text, key, number) or a part of the error)
CASES = [
    ("text", {}, "", []),
    ("text", {}, "a", [("a", None, 1)]),
    ("text", {}, "\n", [("", None, 1)]),
    ("text", {}, "a\n\n \nb", [("a", None, 1), ("", None, 2), ("", None, 3), ("b", None, 4)]),
    ("text", {}, "a\r\nb\rc\nd", [("a", None, 1), ("b", None, 2), ("c", None, 3), ("d", None, 4)]),
    ("text", {}, "a\r\r\nb\n\r", [("a", None, 1), ("", None, 2), ("b", None, 3), ("", None, 4)]),
    ("text", {}, f"{MARK}{MARK}a\n{MARK}b{MARK}c", [("a", None, 1), (f"b{MARK}c", None, 2)]),
    (
        "text",
        {"tokenizer": "spaces"},
        "a\x0cb\u2028c\x85d\x1ce",
        [("a\x0cb\u2028c\x85d\x1ce", None, 1)],
    ),
    ("text", {}, "a\0b\n", "byte 2 is NUL"),
    ("text", {}, b"a\nb \xe2\x82", "in the middle of a character, or is not UTF-8 (after line 1"),
    ("text", {}, b"a\nb \xe2\x82\n", "line 2: not UTF-8 (byte 0xe2 at column 3)"),
    (
        "text",
        {"split_sentences": "en"},
        "A cat. The\rdog.\n\nE",
        [("A cat.", None, 1), ("The dog.", None, 2), ("E", None, 3)],
    ),
    ("conllu", {}, "", []),
    ("conllu", {}, "# only\n\n# comments", []),
    ("conllu", {}, ROW.rstrip("\n"), [("a", None, 1)]),
    ("conllu", {}, f"{MARK}{ROW}\r\n{ROW}".replace("\n", "\r\n"), [("a", None, 1), ("a", None, 4)]),
    ("conllu", {}, f"{ROW}\n{ROW}".replace("\n", "\r"), [("a", None, 1), ("a", None, 3)]),
    ("conllu", {}, f"# sent_id =\n# text = A\n{ROW}\n\n\n{ROW}", [("A", None, 1), ("a", None, 7)]),
    ("conllu", {}, f"# sent_id = s\n{ROW}", [("a", "s", 1)]),
    ("conllu", {}, f"1-2\tab{REST}\n\n{ROW}", "line 1: the words of the multiword token 1-2 do"),
    ("conllu", {}, f"{ROW}2-3\tb{REST}\n", "line 2: the words of the multiword token 2-3 do"),
    ("conllu", {}, f"{ROW}\n# text = b\n1.1\tb{REST}\n", "line 4: a sentence without words"),
    ("conllu", {}, f"2-1\tb{REST}\n{ROW}", "line 1: the ID is '2-1', expected 1"),
    ("conllu", {}, f"1-{'9' * 5000}\tb{REST}\n", "line 1: the ID is '1-999"),
    ("conllu", {}, f"{ROW}\u2028\n{ROW}", "line 2: 1 column between tabs, expected the 10"),
    ("conllu", {}, f"{ROW}2\tb\n", "line 2: 2 columns between tabs, expected the 10"),
    ("conll", {}, "a X\n\n-DOCSTART-\nb Y", [("a", None, 1), ("b", None, 4)]),
    ("conll", {}, "a X\r\rb Y", [("a", None, 1), ("b", None, 3)]),
    ("conll", {}, "# a note\na X\n# X\n", [("a #", None, 1)]),
    ("conll", {}, "a X\n# a b c\nb Y\n", "line 2: 4 columns, which other lines of the sentence do"),
    ("conll", {}, "#a\n\n#b\n", [("#a", None, 1), ("#b", None, 3)]),
    ("conll", {"column": "2"}, "1-2\tab\n1\ta\n", "line 1: the words of the multiword token 1-2"),
    ("conll", {"column": "2"}, "1-2\tab\n", [("ab", None, 1)]),
    ("conll", {"column": "9" * 5000}, "a\n", "line 1: no column"),
    ("fasta", {}, "", []),
    ("fasta", {}, "; only a comment\n", []),
    ("fasta", {}, ">a\n>b\rM K\r\nV", [("", "a", 1), ("MKV", "b", 2)]),
    ("fasta", {}, "M\n>a\n", "line 1: residues before the first header"),
    ("jsonl", TABLE, "", []),
    ("jsonl", TABLE, '{"t":"a","k":1}\r\n\r\n{"t":"b","k":""}', [("a", "1", 1), ("b", None, 3)]),
    ("jsonl", TABLE, '{"t":"a","k":1}\r{"t":"b","k":null}', [("a", "1", 1), ("b", None, 2)]),
    ("jsonl", TABLE, '{"t":["a b",""],"k":99999999999999999999}', [("a b ", "9" * 20, 1)]),
    ("jsonl", TABLE, "\u2028\n", "line 1 is not JSON"),
    ("jsonl", TABLE, '{"t":"a\\u0000","k":1}', "line 1: a NUL character"),
    ("jsonl", TABLE, '{"t":"a","k":"\\u0000"}', "line 1: a NUL character"),
    ("jsonl", TABLE, '{"t":"a","k":"\\ud800"}', "line 1: half a character (a lone surrogate)"),
    ("jsonl", TABLE, '{"t":["\\ud800"],"k":1}', "line 1: half a character (a lone surrogate)"),
    ("jsonl", TABLE, '{"t":"a","k":1,"k":2}', "line 1: the column 'k' occurs twice"),
    ("jsonl", TABLE, '{"t":"a"}', "line 1: no column 'k'; the columns are: 't'"),
    ("jsonl", TABLE, '{"t":"a","k":1.0}', "line 1: 'k' is 1.0, expected a string or an integer"),
    ("jsonl", TABLE, '{"t":"a","k":NaN}', "line 1: 'k' is nan, expected a string or an integer"),
    ("jsonl", TABLE, '{"t":"a","k":true}', "line 1: 'k' is True, expected a string"),
    ("jsonl", TABLE, '{"t":"a","k":' + "9" * 5000 + "}", "line 1 is not JSON"),
    ("jsonl", TABLE, '{"t":"a","k":' + "[" * 9999, "nested too deep"),
    ("jsonl", TABLE, '{"t":"a","k":' + "[" * 60 + "]" * 60 + "}", "line 1: 'k' is [[["),
    ("csv", TABLE, "", "is empty: its first line must name the columns"),
    ("csv", TABLE, "t,k\n", []),
    ("csv", TABLE, f'{MARK}t,k\r\na,1\r\r\n"b\rc",2', [("a", "1", 2), ("b\rc", "2", 4)]),
    ("csv", TABLE, 't,k\na,1\n,2\n\n"",3\n', [("a", "1", 2), ("", "2", 3), ("", "3", 5)]),
    ("csv", TABLE, "t,k\na\u2028b\x0c,1\n", [("a\u2028b", "1", 2)]),
    ("csv", {"column": "t"}, 't\n""\na\n', [("", None, 2), ("a", None, 3)]),
    ("csv", TABLE, "t,k\na,1\n \n", "line 3: 1 cell, expected 2"),
    ("csv", TABLE, 't,k\n"a,1\nb,2\n', "line 2: cannot read the row"),
    ("csv", TABLE, f"t,k\n{'a' * 200_000},1\nb,2", [("a" * 200_000, "1", 2), ("b", "2", 3)]),
    ("tsv", TABLE, "t\tk\na\t1\r\n\tb", [("a", "1", 2), ("", "b", 3)]),
]


def outcome(records):
    return [(record.text, record.key, record.number) for record in records]


@pytest.mark.filterwarnings("ignore::elmo_jax.errors.WhitespaceWarning")
@pytest.mark.filterwarnings("ignore::elmo_jax.RawTextWarning")
@pytest.mark.parametrize(("format", "options", "content", "expected"), CASES)
def test_exactly_these_records_come_out(tmp_path, format, options, content, expected):
    path = tmp_path / "a"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    records = Records.of(path, format, **options)
    if isinstance(expected, str):
        with pytest.raises(ElmoError) as caught:
            list(records)
        assert expected in str(caught.value)
        assert str(path) in str(caught.value)
        assert len(str(caught.value)) < 1000
    else:
        assert outcome(records) == expected


NOT_UTF8 = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a", b"\xff"]).buffers())

TABLES = [
    (pa.table({"t": ["a b", ""], "k": ["x", ""]}), [("a b", "x", 1), ("", None, 2)]),
    (
        pa.table({"t": [["a b"], []], "k": [2**63 - 1, None]}),
        [("a b", str(2**63 - 1), 1), ("", None, 2)],
    ),
    (
        pa.table({"t": pa.array(["a", "b", "a"]).dictionary_encode(), "k": [1, 2, 3]}),
        [("a", "1", 1), ("b", "2", 2), ("a", "3", 3)],
    ),
    (pa.table({"t": pa.array(["a"], pa.large_string()), "k": [1]}), [("a", "1", 1)]),
    (pa.table({"t": pa.array([], pa.string()), "k": pa.array([], pa.int64())}), []),
    (pa.table({"t": ["a", None], "k": [1, 2]}), "row 2: 't' is null, expected a string"),
    (pa.table({"t": [["a", None]], "k": [1]}), "row 1: 't' is ['a', None], expected a string"),
    (pa.table({"t": [b"a"], "k": [1]}), "row 1: 't' is b'a', expected a string"),
    (pa.table({"t": [{"x": "a"}], "k": [1]}), "row 1: 't' is {'x': 'a'}, expected a string"),
    (pa.table({"t": ["a"], "k": [1.5]}), "row 1: 'k' is 1.5, expected a string or an integer"),
    (pa.table({"t": ["a\0"], "k": [1]}), "row 1: a NUL character"),
    (pa.table([["a"], ["b"], [1]], names=["t", "t", "k"]), "has several columns 't'"),
    (pa.table({"t": ["a"]}), "no column 'k'"),
    (pa.table({"t": NOT_UTF8, "k": [1, 2]}), "after row 0: 'utf-8' codec"),
]


@pytest.mark.parametrize(("table", "expected"), TABLES, ids=range(len(TABLES)))
def test_exactly_these_records_come_out_of_a_table(tmp_path, table, expected):
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    records = Records.of(path, **TABLE)
    if isinstance(expected, str):
        with pytest.raises(ElmoError) as caught:
            list(records)
        assert expected in str(caught.value)
    else:
        assert outcome(records) == expected


def test_columns_with_dots_in_their_names_are_told_from_nested_ones(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [{"b": "no"}], "a.b": ["yes"], "k": ["x"]}), path)
    assert outcome(Records.of(path, column="a.b", key_column="k")) == [("yes", "x", 1)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("\n\n", ["", ""]),
        ("a\r\nb\rc\n\rd", ["a", "b", "c", "", "d"]),
        ("a\x0cb\x0b\x1c\x1d\x1e\x85\u2028\u2029c", ["a\x0cb\x0b\x1c\x1d\x1e\x85\u2028\u2029c"]),
    ],
)
def test_a_line_is_what_python_files_call_a_line(tmp_path, text, lines):
    assert split_lines(text) == lines
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    with path.open(encoding="utf-8") as file:
        assert [line.removesuffix("\n") for line in file] == lines
    assert [line for _, _, line in Records.of(path).lines()] == lines


@pytest.mark.filterwarnings("ignore::elmo_jax.RawTextWarning")
def test_split_sentences_takes_the_lines_that_commands_take(tmp_path):
    text = "One\x0c\x0ctwo\u2029\u2029three. Four\r\rFive"
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8", newline="")
    sentences = [record.text for record in Records.of(path, split_sentences="en")]
    assert split_sentences(text) == sentences == ["One two three.", "Four", "Five"]
