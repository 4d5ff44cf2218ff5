"""Every format to records: words, texts, keys; and what is wrong with a file, with its place."""

import bz2
import gzip
import io
import json
import lzma
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from elmo_jax import ElmoError
from elmo_jax.readers import Record, Records, format_of

CONLLU = """\
# newdoc id = d
# sent_id = d-1
# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\t_\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\t_\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No
3.1\tnow\tnow\tADV\t_\t_\t_\t_\t3:advmod\t_
4\t.\t.\tPUNCT\t_\t_\t3\tpunct\t_\t_

# text = 10 000 €
1\t10 000\t10 000\tNUM\t_\t_\t0\troot\t_\t_
2\t€\t€\tSYM\t_\t_\t1\tnmod\t_\t_


1\tLast\tlast\tADJ\t_\t_\t0\troot\t_\t_"""


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, *args, **kwargs):
    return [(list(r.words), r.text, r.key) for r in Records.of(path, *args, **kwargs)]


def test_text_is_a_sentence_a_line_and_blank_lines_are_sentences(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfone two\r\n\n  three\xc2\xa0x  \n\t\nlast")
    assert [r.words for r in Records.of(path)] == [["one", "two"], [], ["three", "x"], [], ["last"]]
    assert [r.text for r in Records.of(path)] == ["one two", "", "three\xa0x", "", "last"]
    assert [r.number for r in Records.of(path)] == [1, 2, 3, 4, 5]


def test_only_line_feeds_end_a_line(tmp_path):
    """As in the tools that count lines; a form feed or U+2028 is whitespace within one."""
    path = write(tmp_path / "a.txt", "a\u2028b\x0cc\nd")
    assert [r.words for r in Records.of(path)] == [["a", "b", "c"], ["d"]]


def test_a_tokenizer_splits_strings_of_every_format(tmp_path):
    text = write(tmp_path / "a.txt", "a-b\n")
    lines = write(tmp_path / "a.jsonl", '{"t": "a-b"}\n{"t": ["a-b"]}\n')
    split = {"tokenizer": lambda string: string.split("-")}
    assert [r.words for r in Records.of(text, **split)] == [["a", "b"]]
    found = [r.words for r in Records.of(lines, column="t", **split)]
    assert found == [["a", "b"], ["a-b"]], "lists of words are taken as they are"


def test_conllu_gives_the_annotated_words_and_keys(tmp_path):
    assert read(write(tmp_path / "a.conllu", CONLLU)) == [
        (["Do", "n't", "go", "."], "Don't go.", "d-1"),
        (["10 000", "€"], "10 000 €", "10 000 €"),
        (["Last"], "Last", None),
    ]
    assert [r.number for r in Records.of(tmp_path / "a.conllu")] == [1, 11, 16]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1\tDo", "line 2: 2 columns"),
        ("2\tDo" + "\t_" * 8, "line 2: the ID is '2', expected 1"),
        ("x\tDo" + "\t_" * 8, "line 2: the ID is 'x'"),
        ("1\t" + "\t_" * 8, "line 2: the FORM, column 2, is empty"),
        ("1\tDo" + "\t_" * 8 + "\n# sent_id = 2", "line 3: a comment inside a sentence"),
    ],
)
def test_conllu_errors_name_the_line(tmp_path, line, said):
    path = write(tmp_path / "a.conllu", f"# sent_id = 1\n{line}\n")
    with pytest.raises(ElmoError, match=f"a.conllu, {said}"):
        list(Records.of(path))


def test_comments_of_a_conllu_block_without_words_belong_to_no_sentence(tmp_path):
    word = "1\t{}" + "\t_" * 8
    blocks = [
        "# sent_id = gone\n# text = Gone.",
        word.format("One"),
        "# text = Nothing but an empty node\n0.1\tx" + "\t_" * 8,
        "# global.columns = ID FORM\n" + word.format("Two"),
        "# sent_id = last",
    ]
    path = write(tmp_path / "a.conllu", "\n\n".join(blocks))
    assert read(path) == [(["One"], "One", None), (["Two"], "Two", None)]
    assert [r.number for r in Records.of(path)] == [4, 9]


def test_fasta_gives_residues_and_identifiers(tmp_path):
    path = write(
        tmp_path / "a.fasta", ">sp|P1|X first\n; a comment\nMK V\nLA*\n\n>two\n>three x\r\nac-\r\n"
    )
    assert read(path) == [
        (list("MKVLA*"), "MKVLA*", "sp|P1|X"),
        ([], "", "two"),
        (list("ac-"), "ac-", "three"),
    ]
    with pytest.raises(ElmoError, match=r"b\.fa, line 2: residues before"):
        list(Records.of(write(tmp_path / "b.fa", "\nMK\n")))
    with pytest.raises(ElmoError, match=r"c\.faa, line 1: a header without"):
        list(Records.of(write(tmp_path / "c.faa", "> x\nMK\n".replace(" x", " "))))


def test_json_lines_take_strings_and_lists_of_words(tmp_path):
    lines = [{"t": " a b ", "id": 7}, {"t": ["c d", "e"], "id": "x"}, {"t": "", "id": None}]
    path = write(tmp_path / "a.jsonl", "\n\n".join(map(json.dumps, lines)))
    expected = [(["a", "b"], "a b", "7"), (["c d", "e"], "c d e", "x"), ([], "", None)]
    assert read(path, column="t", key_column="id") == expected
    assert [key for _, _, key in read(path, column="t")] == [None] * 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object, got list"),
        ('{"u": "a"}', "no column 't'; those there: 'u'"),
        ('{"t": null}', "'t' is null, expected a string or a list of words"),
        ('{"t": ["a", 1]}', r"'t' is \['a', 1\]"),
        ('{"t": "a \\ud800"}', "lone surrogate"),
    ],
)
def test_json_errors_name_the_line(tmp_path, line, said):
    path = write(tmp_path / "a.jsonl", f'{{"t": "fine"}}\n{line}\n')
    with pytest.raises(ElmoError, match=f"a.jsonl, line 2: {said}|{said}"):
        list(Records.of(path, column="t"))


def test_a_key_is_a_string_or_an_integer(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"t": "a", "id": 1.5}\n')
    with pytest.raises(ElmoError, match=r"line 1: 'id' is 1\.5, expected a string or an integer"):
        list(Records.of(path, column="t", key_column="id"))


def test_parquet_takes_columns_of_strings_and_of_lists(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {"t": ["a b", "", "c"], "w": [["x y"], [], ["z"]], "id": [1, 2, 3]}
    pq.write_table(pa.table(columns), path)
    assert read(path, column="t", key_column="id") == [
        (["a", "b"], "a b", "1"),
        ([], "", "2"),
        (["c"], "c", "3"),
    ]
    assert [words for words, *_ in read(path, column="w")] == [["x y"], [], ["z"]]
    with pytest.raises(ElmoError, match=r"no column 'q'; those there: 't', 'w', 'id'"):
        list(Records.of(path, column="q"))
    with pytest.raises(ElmoError, match="row 1: 'id' is 1, expected a string"):
        list(Records.of(path, column="id"))
    with pytest.raises(ElmoError, match=r"Cannot read .*b\.parquet"):
        list(Records.of(write(tmp_path / "b.parquet", "no table"), column="t"))


OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open, ".zst": zstandard.open}


@pytest.mark.parametrize("suffix", OPENERS)
def test_compressed_files_read_alike_and_say_when_they_break_off(tmp_path, suffix):
    lines = [f"{i} é" for i in range(20000)]
    path = tmp_path / f"a.txt{suffix}"
    with OPENERS[suffix](path, "wb") as file:
        file.write("\n".join(lines).encode())
    assert [r.text for r in Records.of(path)] == lines
    cut = write(tmp_path / f"cut.txt{suffix}", path.read_bytes()[:-20])
    with pytest.raises(ElmoError, match=r"cut\.txt.* to its end"):
        list(Records.of(cut))
    bad = write(tmp_path / f"bad.txt{suffix}", b"not compressed at all")
    with pytest.raises(ElmoError, match=r"Cannot read .*bad\.txt"):
        list(Records.of(bad))


def test_zst_files_of_several_frames_are_read_to_their_end(tmp_path):
    frames = [zstandard.compress(part) for part in (b"a\nb", b"c\n", b"", b"d\n")]
    assert [r.text for r in Records.of(write(tmp_path / "a.zst", b"".join(frames)))] == [
        "a",
        "bc",
        "d",
    ]


def test_a_missing_package_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ElmoError, match=r'zstandard is not .*"elmo-jax\[zstd\]"'):
        list(Records.of(write(tmp_path / "a.txt.zst", b"")))
    with pytest.raises(ElmoError, match=r'pyarrow is not .*"elmo-jax\[parquet\]"'):
        list(Records.of(write(tmp_path / "a.parquet", b""), column="t"))


def test_formats_are_told_by_suffix_below_compression():
    names = ["a.CONLLU.gz", "a.ndjson.zst", "b.pq", "x.faa.xz", "x.txt", "no", "y.tokens.bz2"]
    expected = ["conllu", "jsonl", "parquet", "fasta", "text", "text", "text"]
    assert list(map(format_of, names)) == expected


def test_many_files_patterns_and_formats_make_one_corpus(tmp_path):
    write(tmp_path / "b.txt", "b\n")
    write(tmp_path / "a.txt", "a\n")
    write(tmp_path / "c.fasta", ">c\nC\n")
    records = Records.of([tmp_path / "c.fasta", tmp_path / "b.txt", str(tmp_path / "*.txt")])
    assert [r.text for r in records] == ["C", "b", "a"]
    assert [r.text for r in records] == ["C", "b", "a"], "it can be read again"
    assert [r.text for r in Records.of(tmp_path / "c.fasta", "text")] == [">c", "C"]


def test_standard_input_can_be_read_twice(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b">x\nMK\n")))
    records = Records.of("-", "fasta")
    assert list(records) == list(records) == [Record(["M", "K"], "MK", "x", "standard input", 1)]


def test_what_cannot_be_opened_is_refused_at_once(tmp_path):
    text = write(tmp_path / "a.txt", "caf\xe9\n".encode("latin-1"))
    for arguments, said in [
        (dict(files=tmp_path / "no"), "No such file"),
        (dict(files=tmp_path), "folder"),
        (dict(files=[]), "none"),
        (dict(files=text, format="word"), "Unknown format 'word': expected one of text, conllu"),
        (dict(files=text, column="t"), "read as text, which has no columns"),
        (dict(files=text, format="jsonl"), "which column"),
    ]:
        with pytest.raises(ElmoError, match=said):
            Records.of(**arguments)
    with pytest.raises(ElmoError, match=r"a\.txt, line 1: not UTF-8 \(byte 0xe9 at column 4\)"):
        list(Records.of(text))


@given(st.lists(st.text()), st.text(), st.none() | st.text())
def test_a_record_survives_its_line(words, text, key):
    record = Record(words, text, key)
    assert Record.of_line(record.line()) == record
    assert record.line().count("\n") == 1 and record.line().isascii()
