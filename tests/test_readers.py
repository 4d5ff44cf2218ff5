"""Readers of all formats: the records of good files, and errors that name the place in bad ones."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from elmo_jax import ElmoError
from elmo_jax.errors import WhitespaceWarning
from elmo_jax.text.readers import Record, Records, format_of
from elmo_jax.text.sentences import check_sentence

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


def test_text_has_one_sentence_per_line_blank_lines_included(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfone two\r\n\n  three x  \n\t\nlast")
    assert [r.words for r in Records.of(path)] == [["one", "two"], [], ["three", "x"], [], ["last"]]
    assert [r.text for r in Records.of(path)] == ["one two", "", "three x", "", "last"]
    assert [r.number for r in Records.of(path)] == [1, 2, 3, 4, 5]


def test_form_feeds_and_their_like_do_not_end_a_line(tmp_path):
    """They are whitespace within a line."""
    path = write(tmp_path / "a.txt", "a\u2028b\x0cc\nd")
    with pytest.warns(WhitespaceWarning, match=r"a\.txt, line 1: 'a\\u2028b' is split at U\+2028"):
        assert [r.words for r in Records.of(path)] == [["a", "b", "c"], ["d"]]
    assert [r.words for r in Records.of(path, tokenizer="spaces")] == [["a\u2028b\x0cc"], ["d"]]


@pytest.mark.parametrize("space", "\xa0\u202f\u3000\u2009\x85\x1c")
def test_a_split_at_an_unusual_space_is_warned_of_once_per_file(tmp_path, space):
    text = write(tmp_path / "a.txt", f"t\n 1{space}000 km\n2{space}000\n")
    table = write(tmp_path / "b.csv", text.read_bytes())
    for records in (Records.of(text), Records.of(table, column="t")):
        with pytest.warns(
            WhitespaceWarning, match=f"{records.files[0]}, line 2: .*spaces"
        ) as warned:
            assert [r.words for r in records][-2:] == [["1", "000", "km"], ["2", "000"]]
            list(records)
        assert len(warned) == 1


def test_unusual_spaces_between_words_need_no_warning(tmp_path):
    path = write(tmp_path / "a.txt", "\u3000a b\xa0\nc \xa0 d\n")
    assert [r.words for r in Records.of(path)] == [["a", "b"], ["c", "d"]]
    words = [r.words for r in Records.of(path, tokenizer="spaces")]
    assert words == [["\u3000a", "b\xa0"], ["c", "\xa0", "d"]]


def test_a_tokenizer_splits_strings_of_every_format(tmp_path):
    text = write(tmp_path / "a.txt", "a-b\n")
    lines = write(tmp_path / "a.jsonl", '{"t": "a-b"}\n{"t": ["a-b"]}\n')
    split = {"tokenizer": lambda string: string.split("-")}
    assert [r.words for r in Records.of(text, **split)] == [["a", "b"]]
    words = [r.words for r in Records.of(lines, column="t", **split)]
    assert words == [["a", "b"], ["a-b"]], "lists of words stay as they are"


def test_words_between_tabs_are_read_from_every_format_of_strings(tmp_path):
    text = write(tmp_path / "a.txt", "New York\tis big\r\n\n \nYes\n")
    expected = [["New York", "is big"], [], [], ["Yes"]]
    assert [r.words for r in Records.of(text, tokenizer="tabs")] == expected
    assert next(iter(Records.of(text, tokenizer="tabs"))).text == "New York\tis big"
    table = write(tmp_path / "a.csv", "t\nNew York\tis big\n")
    assert [r.words for r in Records.of(table, column="t", tokenizer="tabs")] == expected[:1]


def test_an_empty_word_between_tabs_is_an_error_at_its_line(tmp_path):
    for line, position in [("a\t\tb", "2 of the 3"), ("\ta", "1 of the 2"), ("a\t", "2 of the 2")]:
        path = write(tmp_path / "a.txt", f"fine\n{line}\n")
        with pytest.raises(ElmoError, match=rf"a\.txt, line 2: Word {position} between tabs is"):
            list(Records.of(path, tokenizer="tabs"))
    with pytest.raises(ElmoError, match=r"tabs.*leave out split_sentences="):
        Records.of(path, tokenizer="tabs", split_sentences="en")


def test_conllu_gives_the_annotated_words_and_keys(tmp_path):
    assert read(write(tmp_path / "a.conllu", CONLLU)) == [
        (["Do", "n't", "go", "."], "Don't go.", "d-1"),
        (["10 000", "€"], "10 000 €", None),
        (["Last"], "Last", None),
    ]
    assert [r.number for r in Records.of(tmp_path / "a.conllu")] == [1, 11, 16]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1\tDo", "line 2: 2 columns"),
        ("2\tDo" + "\t_" * 8, "line 2: the ID is '2', expected 1"),
        ("x\tDo" + "\t_" * 8, "line 2: the ID is 'x'"),
        ("1\t" + "\t_" * 8, "line 2: the FORM, column 2, is empty"),
        ("1\tDo" + "\t_" * 8 + "\n# sent_id = 2", "line 3: a comment inside a sentence"),
    ],
)
def test_conllu_errors_name_the_line(tmp_path, line, problem):
    path = write(tmp_path / "a.conllu", f"# sent_id = 1\n{line}\n")
    with pytest.raises(ElmoError, match=f"a.conllu, {problem}"):
        list(Records.of(path))


@pytest.mark.parametrize(
    ("column", "words"),
    [("FORM", ["Do", "n't", "go", "."]), ("LEMMA", ["do", "not", "go", "."])],
)
def test_a_column_of_conllu_has_a_name_and_a_number(tmp_path, column, words):
    path = write(tmp_path / "a.conllu", CONLLU)
    number = str(["ID", "FORM", "LEMMA"].index(column) + 1)
    for name in (column, number):
        first, *_ = read(path, column=name)
        assert first == (words, "Don't go.", "d-1")


@pytest.mark.parametrize("column", ["form", "11", "0", "-1", "²", "TAG"])
def test_a_column_that_conllu_lacks_is_answered_with_those_it_has(tmp_path, column):
    path = write(tmp_path / "a.conllu", CONLLU)
    problem = rf"a\.conllu, line 4: no column '{column}', expected one of 1 ID, 2 FORM, .* 10 MISC"
    with pytest.raises(ElmoError, match=problem):
        list(Records.of(path, column=column))


def test_conllu_plus_names_its_columns(tmp_path):
    plus = "# global.columns = {}\n# sent_id = p\n{}\n"
    path = write(tmp_path / "a.conllup", plus.format("ID FORM X:Y", "1-1\ta b\t_\n1\ta\tA A"))
    assert read(path) == [(["a"], "a", "p")]
    assert read(path, column="X:Y") == [(["A A"], "A A", "p")]
    without_ids = write(tmp_path / "b.conllu", plus.format("FORM TAG", "a\tX\nb\tY"))
    assert read(without_ids) == [(["a", "b"], "a b", "p")]
    assert read(without_ids, column="2") == [(["X", "Y"], "X Y", "p")]
    for columns, problem in [
        ("TAG WORD", "no column 'FORM', expected one of 1 TAG, 2 WORD"),
        ("FORM", "2 columns between tabs, expected the 1 of the comment global.columns"),
    ]:
        path = write(tmp_path / "c.conllu", plus.format(columns, "a\tX"))
        with pytest.raises(ElmoError, match=f"line 3: {problem}"):
            list(Records.of(path))


CONLL_2003 = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
# # O O
#1 CD B-NP O

1 CD B-NP O
\t
-DOCSTART- -X- -X- O
Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


@pytest.mark.parametrize("separator", [" ", "  ", "\t"])
def test_conll_gives_the_words_of_column_1_and_skips_starts_of_documents(tmp_path, separator):
    content = CONLL_2003.replace(" ", separator).encode()
    path = write(tmp_path / "a.conll.gz", gzip.compress(content))
    sentences = [["EU", "rejects", "#", "#1"], ["1"], ["Peter", "Blackburn"]]
    assert read(path) == [(words, " ".join(words), None) for words in sentences]
    assert [r.number for r in Records.of(path)] == [3, 8, 11]
    assert read(path, column="2")[0][0] == ["NNP", "VBZ", "#", "CD"]
    text = write(tmp_path / "a.txt", CONLL_2003)
    with pytest.raises(ElmoError, match=r"looks like CoNLL.*format='conll' reads it"):
        list(Records.of(text))
    assert [words for words, *_ in read(text, "conll")] == sentences


def test_words_between_the_tabs_of_conll_files_keep_their_spaces_without_a_warning(tmp_path):
    rows = "1\tHà Nội\tX\n2\tlà_gì\tY\n"
    generic = write(tmp_path / "a.conll", f"#\tnews of today\n{rows}")
    conllu = write(tmp_path / "a.conllu", f"# global.columns = ID FORM TAG\n{rows}")
    for path, options in ((generic, {"column": "2"}), (conllu, {})):
        (record,) = Records.of(path, **options)
        assert record.words == ["Hà Nội", "là_gì"] and record.text == "Hà Nội là_gì"
        check_sentence(record.words)
    path = write(tmp_path / "b.conll", "Việt Nam\nlà\n")
    with pytest.raises(
        ElmoError, match=r"b\.conll, line 2: 1 column between spaces, expected 2 as"
    ):
        list(Records.of(path))


def test_conll_files_with_ids_need_the_column_of_the_words(tmp_path):
    path = write(tmp_path / "a.conll", CONLLU)
    with pytest.raises(ElmoError, match=r"line 4: column 1 numbers the words, from 1 to 4\. Name"):
        list(Records.of(path))
    as_conllu = read(path, "conllu")
    for column in ("2", "FORM"):
        assert read(path, column=column) == as_conllu
    assert read(path, column="1")[0][0] == ["1-2", "1", "2", "3", "3.1", "4"]
    numbers = write(tmp_path / "b.conll", "1\ta\n0.5\tb\n\n1-2\tc\n2\td\n")
    assert [words for words, *_ in read(numbers, column="2")] == [["a", "b"], ["c", "d"]]


def test_conll_tells_comments_from_words(tmp_path):
    blocks = [
        "# licence",
        "#begin document (a); part 0",
        "# global.columns = WORD TAG\n# sent_id=s 1\n# text = #a b\n#a O\nb O\n#end document",
        "#love O\n#peace O",
        "# a remark about this\nc O",
    ]
    path = write(tmp_path / "a.conll", "\n\n".join(blocks))
    assert read(path, column="WORD") == [
        (["#a", "b"], "#a b", "s 1"),
        (["#love", "#peace"], "#love #peace", None),
        (["c"], "c", None),
    ]


@pytest.mark.parametrize(
    ("content", "column", "problem"),
    [
        ("a\tX\n", "3", "line 1: no column '3', expected a number from 1 to 2"),
        ("a\tX\n", "FORM", "line 1: no column 'FORM', expected a number from 1 to 2"),
        ("a\tX\tY\nb\tX\n", "3", "line 2: 2 columns, but the words are in column 3"),
        ("a\tX\nb c\n", None, "line 2: no tab, which other lines of the sentence have"),
        ("# text = a\tb\na X\nb\n", None, "line 3: 1 column between spaces, expected 2"),
        ("a\tX\n \tY\n", None, "line 2: column 1 is empty"),
        ("a X\nb Y Z\n", None, "line 2: 3 columns between spaces, expected 2 as in line 1"),
    ],
)
def test_conll_errors_name_the_line(tmp_path, content, column, problem):
    path = write(tmp_path / "a.conll", content)
    with pytest.raises(ElmoError, match=rf"a\.conll, {problem}"):
        list(Records.of(path, column=column))


def test_comments_of_a_conllu_block_without_words_belong_to_no_sentence(tmp_path):
    word = "1\t{}" + "\t_" * 8
    blocks = [
        "# sent_id = gone\n# text = Gone.",
        word.format("One"),
        "# global.columns = ID FORM\n1\tTwo",
        "# sent_id = last",
    ]
    path = write(tmp_path / "a.conllu", "\n\n".join(blocks))
    assert read(path) == [(["One"], "One", None), (["Two"], "Two", None)]
    assert [r.number for r in Records.of(path)] == [4, 6]


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


def test_other_members_may_occur_twice(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"t": "a", "u": {"x": 1, "x": 2}, "v": 1, "v": 2}\n')
    assert read(path, column="t") == [(["a"], "a", None)]


def test_json_lines_take_strings_and_lists_of_words(tmp_path):
    lines = [{"t": " a b ", "id": 7}, {"t": ["c d", "e"], "id": "x"}, {"t": "", "id": None}]
    path = write(tmp_path / "a.jsonl", "\n\n".join(map(json.dumps, lines)))
    expected = [(["a", "b"], "a b", "7"), (["c d", "e"], "c d e", "x"), ([], "", None)]
    assert read(path, column="t", key_column="id") == expected
    assert [key for _, _, key in read(path, column="t")] == [None] * 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object, got list"),
        ('{"t": "a", "t": "b"}', "the column 't' occurs twice"),
        ('{"u": "a"}', "no column 't'; the columns are: 'u'"),
        ('{"t": null}', "'t' is null, expected a string or a list of words"),
        ('{"t": ["a", 1]}', r"'t' is \['a', 1\]"),
        ('{"t": "a \\ud800"}', "lone surrogate"),
    ],
)
def test_json_errors_name_the_line(tmp_path, line, problem):
    path = write(tmp_path / "a.jsonl", f'{{"t": "fine"}}\n{line}\n')
    with pytest.raises(ElmoError, match=f"a.jsonl, line 2: {problem}|{problem}"):
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
    with pytest.raises(ElmoError, match=r"no column 'q'; the columns are: 't', 'w', 'id'"):
        list(Records.of(path, column="q"))
    with pytest.raises(ElmoError, match="row 1: 'id' is 1, expected a string"):
        list(Records.of(path, column="id"))
    with pytest.raises(ElmoError, match=r"Cannot read .*b\.parquet"):
        list(Records.of(write(tmp_path / "b.parquet", "no table"), column="t"))


ROWS = """\
id,text,"n
m"
1,"The bank, he said
, ""closed"" .",x

b,Hi,
,"",y
"""


@pytest.mark.filterwarnings("ignore::elmo_jax.RawTextWarning")
@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_a_table_is_read_by_the_names_of_its_columns(tmp_path, suffix, delimiter):
    quoted = ROWS.replace(",", delimiter).replace(f"bank{delimiter} he", "bank, he")
    path = write(tmp_path / f"a.{suffix}.gz", gzip.compress(b"\xef\xbb\xbf" + quoted.encode()))
    records = list(Records.of(path, column="text", key_column="id"))
    end = delimiter if delimiter != "\t" else ""
    assert [r.words for r in records] == [
        ["The", "bank,", "he", "said", *end, '"closed"', "."],
        ["Hi"],
        [],
    ]
    assert [(r.key, r.number) for r in records] == [("1", 3), ("b", 6), (None, 7)]
    assert [r.text for r in Records.of(path, column="n\nm")] == ["x", "", "y"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,text\n1,a\n2,b,c\n", r"line 3: 3 cells, expected 2"),
        ("id,text\n1\n", r"line 2: 1 cell, expected 2"),
        ('id,text\n1,a\n2,"b\nc\n', r"line 3: cannot read the row: unexpected end"),
        ('id,text\n1,"a" b\n', r"line 2: cannot read the row: .* quotes inside it are doubled"),
        ("id,t\n", r"no column 'text'; the columns are: 'id', 't'"),
        ("text,text\n", r"several columns 'text'"),
        ("", r"is empty: its first line must name the columns"),
    ],
)
def test_errors_of_a_table_name_the_line_and_the_columns(tmp_path, content, problem):
    with pytest.raises(ElmoError, match=rf"a\.csv.*{problem}"):
        list(Records.of(write(tmp_path / "a.csv", content), column="text"))


def test_a_table_is_not_text_unless_the_format_says_so(tmp_path):
    path = write(tmp_path / "a.tsv", "A\tthe play\n")
    with pytest.raises(ElmoError, match=r"read as tsv: which column.*format='text'"):
        Records.of(path)
    assert read(path, "text") == [(["A", "the", "play"], "A\tthe play", None)]
    assert read(write(tmp_path / "a.txt", "A\tthe play\n"))[0][0] == ["A", "the", "play"]


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


@pytest.mark.parametrize("suffix", OPENERS)
def test_parquet_is_read_when_it_is_compressed_as_a_whole(tmp_path, suffix):
    pq.write_table(pa.table({"t": ["a b", "c"]}), tmp_path / "a.parquet")
    path = tmp_path / f"a.parquet{suffix}"
    with OPENERS[suffix](path, "wb") as file:
        file.write((tmp_path / "a.parquet").read_bytes())
    assert [r.words for r in Records.of(path, column="t")] == [["a", "b"], ["c"]]


@pytest.mark.parametrize("suffix", OPENERS)
def test_what_follows_compressed_data_is_read_or_an_error_but_never_dropped(tmp_path, suffix):
    parts = []
    for text in ("a b\n", "c\n"):
        with OPENERS[suffix](tmp_path / "part", "wb") as file:
            file.write(text.encode())
        parts.append((tmp_path / "part").read_bytes())
    path = write(tmp_path / f"a.txt{suffix}", b"".join(parts))
    assert [r.text for r in Records.of(path)] == ["a b", "c"]
    write(path, parts[0] + b"plain\n")
    with pytest.raises(ElmoError, match=r"a\.txt\.\w+ to its end"):
        list(Records.of(path))


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


def test_formats_are_taken_from_the_suffix_below_compression():
    names = ["a.CONLLU.gz", "a.ndjson.zst", "b.pq", "x.faa.xz", "x.txt", "no", "y.tokens.bz2"]
    expected = ["conllu", "jsonl", "parquet", "fasta", "text", "text", "text"]
    names += ["a.json", "a.CSV.gz", "a.tsv", "a.conll", "a.conllup.xz"]
    expected += ["jsonl", "csv", "tsv", "conll", "conllu"]
    assert list(map(format_of, names)) == expected


def test_many_files_patterns_and_formats_make_one_corpus(tmp_path):
    write(tmp_path / "b.txt", "b\n")
    write(tmp_path / "a.txt", "a\n")
    write(tmp_path / "c.fasta", ">c\nC\n")
    records = Records.of([tmp_path / "c.fasta", tmp_path / "b.txt", str(tmp_path / "*.txt")])
    assert [r.text for r in records] == ["C", "b", "a"]
    assert [r.text for r in records] == ["C", "b", "a"], "it can be read again"
    assert [r.text for r in Records.of(tmp_path / "c.fasta", "text")] == [">c", "C"]


def test_a_file_is_read_as_often_as_it_is_named_and_patterns_add_the_others(tmp_path, monkeypatch):
    for name in "abc":
        write(tmp_path / f"{name}.txt", f"{name}\n")
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "z.txt").hardlink_to(tmp_path / "b.txt")
    monkeypatch.chdir(tmp_path)
    for named, expected in [
        (["a.txt", "a.txt"], "aa"),
        (["a.txt", tmp_path / "link.txt"], "aa"),
        (["*.txt"], "abc"),
        (["*.txt", "b.txt"], "acb"),
        (["b.txt", "[ab].txt", "*.txt"], "bac"),
        (["link.txt", "*.txt"], "abc"),
        (["a.txt", "?.txt", "a.txt"], "abca"),
    ]:
        assert "".join(record.text for record in Records.of(named)) == expected, named


@pytest.mark.parametrize("space", "\xa0\u3000\u2028\x1c")
def test_the_text_of_a_record_has_the_spaces_that_its_tokenizer_takes_for_words(tmp_path, space):
    path = write(tmp_path / "a.txt", f" {space}\n")
    assert read(path, tokenizer="spaces") == [([space], space, None)]
    table = write(tmp_path / "a.csv", f"t\n{space}a \n")
    assert read(table, column="t", tokenizer="spaces") == [([f"{space}a"], f"{space}a", None)]


@pytest.mark.parametrize("name", ["p.parquet.gz.zst", "a.txt.xz.bz2", "a.GZ.gz"])
def test_a_file_that_is_compressed_twice_is_an_error(tmp_path, name):
    path = write(tmp_path / name, b"")
    for format in (None, "text"):
        with pytest.raises(ElmoError, match=f"{name} is compressed twice"):
            list(Records.of(path, format))


def test_a_closed_standard_input_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it where the shell closed it
    with pytest.raises(ElmoError, match=r"standard input.*is closed"):
        Records.of("-")


def test_standard_input_can_be_read_twice(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b">x\nMK\n")))
    records = Records.of("-", "fasta")
    assert list(records) == list(records) == [Record(["M", "K"], "MK", "x", "standard input", 1)]


NOT_TEXT = {
    "UTF-16 with a mark": ("The bank .\n".encode("utf-16"), "is UTF-16.*iconv -f UTF-16 -t"),
    "UTF-16 without": ("一个 bank\n".encode("utf-16-le"), "is UTF-16LE.*iconv -f UTF-16LE -t"),
    "UTF-16, the other order": ("一个 bank\n".encode("utf-16-be"), "iconv -f UTF-16BE -t"),
    "one NUL": (b"the bank of a ri\0ver\n", "byte 17 is NUL"),
    "UTF-32": ("a\n".encode("utf-32"), "is UTF-32, expected"),
    "UTF-32 without a mark": ("a\n".encode("utf-32-be"), "is UTF-32BE"),
    "gzip": (gzip.compress(b"a b\n"), r"gzip data, not text.*suffix \.gz"),
    "bzip2": (bz2.compress(b"a b\n"), r"bzip2 data.*suffix \.bz2"),
    "xz": (lzma.compress(b"a b\n"), r"xz data.*suffix \.xz"),
    "Zstandard": (zstandard.compress(b"a b\n"), r"Zstandard data.*suffix \.zst"),
    "zip": (b"PK\x03\x04....", r"zip archive, as \.docx"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file, not text"),
    "NumPy": (b"\x93NUMPY\x01\x00", "a NumPy array"),
    "pickle": (pickle.dumps(["a"]), "a pickle"),
    "pickle of protocol 1": (pickle.dumps([1, 2], 1), "a pickle"),
    "Parquet": (b"PAR1\x15\x04\x00", "a Parquet file, not text.*parquet' reads it"),
    "PDF with NUL": (b"%PDF-1.7\n1 0 obj\n\0\0", "a PDF document, not text"),
    "Arrow stream": (b"\xff\xff\xff\xff\x78\0\0\0", "an Arrow stream"),
    "program": (b"MZ\x90\0\x03\0", "a program, not text"),
    "safetensors": ((80).to_bytes(8, "little") + b'{"a":', "a safetensors file"),
    "SQLite": (b"SQLite format 3\0", "an SQLite database"),
    "image": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "tar": (b"a.txt".ljust(257, b"\0") + b"ustar", "a tar archive"),
    "NUL": (b"a b\n\x01\0\0\x02\x03\n", "is not text: byte 6 is NUL"),
    "compress": (b"\x1f\x9d\x90abc\xff", r"data of compress \(\.Z\), not text"),
    "GIF": (b"GIF89a\x10\xf0", "a GIF image"),
    "unknown": (b"\xfe\x01\x02abc\xff\n", "a binary file, not text"),
}
OTHER_TEXT = {
    "FASTA": (">x first\nMKV\n", "looks like FASTA.*format='fasta'"),
    "CoNLL-U": (CONLLU, "looks like CoNLL-U.*format='conllu'"),
    "JSON lines": ('{"t": "a"}\n', "looks like JSON.*format='jsonl'"),
    "JSON array": ('[\n {"t": "a"}]\n', "looks like JSON"),
    "JSON strings": ('["a b", "d"]\n', r"looks like a JSON array.*jq -c '\.\[\] \| \{text: \.\}'"),
    "JSON string": ('[\n "a \\"b\\""\n]\n', "looks like a JSON array"),
    "JSON lists": ('[["a", "b"], ["c"]]\n', "looks like a JSON array"),
    "soft-masked FASTA": (">chr1\nACGTacgtNNNN\n", "looks like FASTA"),
    "FASTA with a comment": (";comment\n>x\nMKV\n", "looks like FASTA"),
    "FASTA with a space": ("> p1\nMKV\n", "looks like FASTA"),
    "FASTQ": ("@id 1\nACGTN\n+\nIIII!\n", "looks like FASTQ.*Write it as FASTA: awk"),
    "FASTQ with names": ("@id 1\nACGT\n+id 1\nIIII\n", "looks like FASTQ"),
    "CoNLL-U with an empty node first": (
        "0.1\tx" + "\t_" * 8 + "\n1\ta" + "\t_" * 8 + "\n",
        "looks like CoNLL-U",
    ),
    "CoNLL-U below many comments": (
        "# sent_id = 1\n" + "# licence\n" * 500 + "1\ta" + "\t_" * 8 + "\n",
        "looks like CoNLL-U",
    ),
    "CoNLL-U below other comments": (
        "# licence\n" * 500 + "1\ta" + "\t_" * 8 + "\n",
        "looks like a table below comments",
    ),
    "4 columns": (
        "1\ta\tb\tc\n2\td\te\tf\n",
        "looks like CoNLL, .*conll' reads it, with column=N",
    ),
    "4 columns, short sentences": ("1\ta\tb\tc\n\n1\td\te\tf\n", "looks like CoNLL, "),
    "2 columns": ("# sent_id = 1\n# text = a b\n1\ta\n2\tb\n", "looks like CoNLL"),
    "9 columns": ("# text = a\n1\ta" + "\t_" * 7 + "\n", "looks like CoNLL, "),
    "XML": ('<?xml version="1.0"?>\n', "looks like XML or HTML"),
    "PDF": ("%PDF-1.7\n", "looks like a PDF document"),
    "pickled list": (pickle.dumps([1, 2], 0).decode(), "looks like a pickle"),
    "pickled dictionary": (pickle.dumps({"a": 1}, 0).decode(), "looks like a pickle"),
    "pickled set": (pickle.dumps({1, 2}, 0).decode(), "looks like a pickle"),
}


@pytest.mark.parametrize(("content", "problem"), NOT_TEXT.values(), ids=NOT_TEXT)
def test_files_that_are_not_text_are_refused_whatever_their_name(tmp_path, content, problem):
    path = write(tmp_path / "a.txt", content)
    for format, columns in [(None, {}), ("text", {}), ("conllu", {}), ("csv", {"column": "t"})]:
        with pytest.raises(ElmoError, match=f"a.txt.*{problem}"):
            list(Records.of(path, format, **columns))


@pytest.mark.filterwarnings("ignore::elmo_jax.RawTextWarning")
@pytest.mark.parametrize(("content", "problem"), OTHER_TEXT.values(), ids=OTHER_TEXT)
def test_text_of_another_format_is_refused_unless_the_user_says_text(
    tmp_path, monkeypatch, content, problem
):
    path = write(tmp_path / "a.txt", content)
    with pytest.raises(ElmoError, match=f"{problem}.*format='text' reads it as it is"):
        list(Records.of(path))
    assert read(path, "text")[0][1] == content.split("\n")[0]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    with pytest.raises(ElmoError, match=f"standard input {problem}"):
        list(Records.of("-"))


def test_a_nul_byte_far_into_a_text_is_an_error_at_its_line(tmp_path):
    with pytest.raises(ElmoError, match="line 2001: a NUL byte"):
        list(Records.of(write(tmp_path / "a.txt", b"a b\n" * 2000 + b"c\0d\n")))


@pytest.mark.filterwarnings("ignore::elmo_jax.RawTextWarning")
def test_text_that_only_begins_like_another_format_is_text(tmp_path):
    for line in [
        "> so he wrote\nhello",
        "{ brace }",
        "[ 1 ] note",
        "1\ta\tb",
        "<p> is a tag",
        "-",
        ">quote\nHello",
        "@user\nhi\n+1 from me",
        '["Yes", he said]',
        "1\tone text\tpositive\n2\tanother\tnegative",
        "# heading\ntext",
        "#tag " * 300 + "#",
        ";-) fine",
        "[1] first\n[2] second",
    ]:
        assert read(write(tmp_path / "a.txt", line))[0][1] == line.split("\n")[0]


def test_text_below_many_blank_lines_is_read(tmp_path):
    assert read(write(tmp_path / "a.txt", "\n" * 4000 + "a b"))[-1][1] == "a b"


def test_a_json_array_is_refused_with_advice(tmp_path):
    with pytest.raises(ElmoError, match=r"a\.json, line 1: a JSON array.*jq -c '\.\[\]' FILE"):
        list(Records.of(write(tmp_path / "a.json", '[{"t": "a"}]'), column="t"))


def test_byte_order_marks_where_files_were_joined_are_not_part_of_words(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    assert [r.words for r in Records.of(path)] == [["a"], ["b"]]


def test_what_cannot_be_opened_is_refused_at_once(tmp_path):
    text = write(tmp_path / "a.txt", "caf\xe9\n".encode("latin-1"))
    for arguments, problem in [
        (dict(files=tmp_path / "no"), "No such file"),
        (dict(files=tmp_path), "folder"),
        (dict(files=[]), "none"),
        (dict(files=text, format="word"), "Unknown format 'word': expected one of text, conllu"),
        (dict(files=text, column="t"), "read as text, which has no columns"),
        (dict(files=text, format="jsonl"), "which column"),
        (dict(files=text, format="conll", key_column="k"), "sent_id is the key of a sentence"),
    ]:
        with pytest.raises(ElmoError, match=problem):
            Records.of(**arguments)
    problem = (
        r"a\.txt, line 1: not UTF-8 \(byte 0xe9 at column 4\).*iconv -f ENCODING.*WINDOWS-1252"
    )
    with pytest.raises(ElmoError, match=problem):
        list(Records.of(text))


@given(st.lists(st.text()), st.text(), st.none() | st.text())
def test_a_record_survives_its_line(words, text, key):
    record = Record(words, text, key)
    assert Record.from_line(record.line()) == record
    assert record.line().count("\n") == 1 and record.line().isascii()
