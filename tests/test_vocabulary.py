"""Vocabularies: what a file of words means, and what is none."""

import bz2
import codecs
import gzip
import lzma

import pytest
from checkpoint_files import message_of

from elmo_jax import ElmoError
from elmo_jax.checkpoint.vocabulary import Vocabulary

MARKERS = ["<S>", "</S>", "<UNK>"]


@pytest.fixture
def read(tmp_path):
    """The vocabulary in a file of this content."""

    def read(content):
        (tmp_path / "v.txt").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
        return Vocabulary.read(tmp_path / "v.txt")

    return read


def test_vocabulary_order_size_and_minimum(tmp_path):
    counts = {"rare": 1, "b": 3, "a": 3, "the": 9, "<S>": 4}
    vocabulary = Vocabulary.from_counts(counts)
    assert vocabulary.words == ("<S>", "</S>", "<UNK>", "the", "b", "a", "rare")
    assert Vocabulary.from_counts(counts, min_count=2).words[3:] == ("the", "b", "a")
    assert Vocabulary.from_counts(counts, size=5).words[3:] == ("the", "b")
    assert vocabulary.ids(["the", "new", "</S>"]).tolist() == [3, 2, 1]
    vocabulary.write(tmp_path / "vocab.txt")
    assert Vocabulary.read(tmp_path / "vocab.txt").words == vocabulary.words


def test_a_vocabulary_may_hold_unusual_line_separators(tmp_path):
    vocabulary = Vocabulary(["<S>", "</S>", "<UNK>", "a\u2028b", "c\x0bd"])
    vocabulary.write(tmp_path / "v.txt")
    assert Vocabulary.read(tmp_path / "v.txt").words == vocabulary.words


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<S>\n</S>\nword\n", "lacks <UNK>"),
        ("<S>\n</S>\n<UNK>\nthe 50\nof 30\n", r"2 entries .*'the 50' \(entry 4\).*cut -d' ' -f1"),
        ("<S>\t9\n</S>\t9\n<UNK>\t9\nthe\t50\n", r"4 entries .*: cut -f1 FILE"),
        ("<S>\n</S>\n<UNK>\n  50 the\n", r"awk '\{ print \$2 \}'"),
        ("<S>\n</S>\n<UNK>\na word\n", "without whitespace.$"),
        ("<S>\n</S>\n<UNK>\nthe\n".encode("utf-16"), "UTF-16"),
        ("<S>\n</S>\n<UNK>\nthe\n".encode("utf-16-le"), "iconv -f UTF-16LE -t UTF-8 FILE > NEW"),
        (
            b"<S>\n</S>\n<UNK>\ncaf\xe9\n",
            r"line 4 has the byte 0xe9.*: iconv -f ENCODING -t UTF-8 ",
        ),
        (b"<S>\n</S>\n<UNK>\nth\0e\n", "not UTF-8 text: line 4 has a NUL byte"),
        (b"<S>\n</S>\n<UNK>\n" + b"word\n" * 2000 + b"th\0e\n", "line 2,004 has a NUL byte"),
        (
            lzma.compress(b"<S>\n"),
            r"is xz data, .* one word per line\. Unpack",
        ),
        (bz2.compress(b"<S>\n"), "is bzip2 data"),
        (b"\x28\xb5\x2f\xfd\x00", "is Zstandard data"),
        (b'\x20\0\0\0\0\0\0\0{"a":{"dtype":"F32"}}', "is a safetensors file"),
        ("", "lacks <S>, </S>, <UNK>"),
    ],
)
def test_a_file_that_is_not_a_vocabulary_is_refused(read, content, said):
    with pytest.raises(ElmoError, match=said):
        read(content)


def test_a_file_of_bilm_tf_gives_its_ids(read):
    """A blank line counts, !!!MAXTERMID does not; of equal words the last one has the id."""
    vocabulary = read("<S>\r\n</S>\r\n!!!MAXTERMID\r\n<UNK>\r\n\r\na\r\n b \r\n\r\na\r\n\r\n")
    assert vocabulary.words == (*MARKERS, "", "a", "b", "", "a", "")
    assert vocabulary.ids(["a", "b", "c", "<S>"]).tolist() == [7, 5, 2, 0]


def test_a_file_keeps_its_ids_on_the_way_through(read, tmp_path):
    vocabulary = read("<S>\n</S>\n!!!MAXTERMID\n<UNK>\n\na\n\na\n\n\n")
    vocabulary.write(tmp_path / "copy.txt")
    again = Vocabulary.read(tmp_path / "copy.txt")
    assert again.words == vocabulary.words and again.sha256 == vocabulary.sha256


def test_the_last_newline_ends_a_line_and_begins_none(read):
    assert read("<S>\n</S>\n<UNK>\na").words == read("<S>\n</S>\n<UNK>\na\n").words


def test_a_byte_order_mark_is_not_a_part_of_the_first_word(read):
    assert read(codecs.BOM_UTF8 + b"<S>\n</S>\n<UNK>\n").words == tuple(MARKERS)


def test_the_hash_is_that_of_the_words_in_their_order(read):
    plain = Vocabulary([*MARKERS, "a", "b"])
    windows = read(codecs.BOM_UTF8 + b"<S>\r\n</S>\r\n<UNK>\r\na\r\nb\r\n")
    assert windows.sha256 == plain.sha256
    assert Vocabulary([*MARKERS, "b", "a"]).sha256 != plain.sha256


@pytest.mark.parametrize("word", ["a b", "a\nb", "a\u3000", " a", "!!!MAXTERMID", 7, None])
def test_what_no_file_can_hold_is_not_a_word(word):
    assert message_of(Vocabulary, [*MARKERS, word]).startswith(
        f"The vocabulary has an entry that is not a word: {word!r} (entry 4). "
    )


def test_what_no_file_can_hold_is_not_counted():
    counts = {"a": 2, "!!!MAXTERMID": 9, "b c": 5}
    assert Vocabulary.from_counts(counts).words == (*MARKERS, "a")


def test_a_path_is_not_a_list_of_words():
    assert "got the string 'vocab.txt'" in message_of(Vocabulary, "vocab.txt")


def test_a_file_may_be_compressed(read):
    content = gzip.compress(b"<S>\n</S>\n<UNK>\na\n")
    assert read(content).words == (*MARKERS, "a")
    assert "Cannot read the vocabulary" in message_of(read, content[:-9])


def test_words_may_be_given_in_three_ways(tmp_path):
    vocabulary = Vocabulary([*MARKERS, "a"])
    vocabulary.write(tmp_path / "v.txt")
    assert Vocabulary.of(vocabulary) is vocabulary
    for words in (vocabulary.words, tmp_path / "v.txt", str(tmp_path / "v.txt")):
        assert Vocabulary.of(words).words == vocabulary.words


def test_a_missing_file_is_reported(tmp_path):
    path = tmp_path / "none.txt"
    assert message_of(Vocabulary.read, path) == f"There is no vocabulary at {path}: no such file."
    assert message_of(Vocabulary.read, tmp_path).startswith("Cannot read the vocabulary ")


def test_words_without_an_order_are_no_vocabulary():
    for words in ({*MARKERS, "a"}, frozenset(MARKERS)):
        with pytest.raises(ElmoError, match="has no order, and the order numbers the words"):
            Vocabulary(words)
    counts = dict.fromkeys([*MARKERS, "b", "a"], 1)
    assert Vocabulary(counts).words == Vocabulary(counts.keys()).words == tuple(counts)
