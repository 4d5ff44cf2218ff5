"""Output files and input texts: exact layout, clear refusals."""

import io
import json

import h5py
import numpy as np
import pytest

from elmo_jax.corpus import TextFile
from elmo_jax.errors import ElmoError
from elmo_jax.output import check_space, write_hdf5


def text(content):
    return TextFile(io.BytesIO(content), "the text")


def test_any_sentence_is_safe_in_the_listing(tmp_path):
    sentences = ["a/b", 'quo"te', "back\\slash", "naïve 😀", "", "a/b"]
    out = tmp_path / "out.h5"
    write_hdf5(out, (np.zeros((1, 2), np.float32) for _ in sentences), sentences)
    with h5py.File(out, "r") as file:
        assert sorted(file) == ["0", "1", "2", "3", "4", "5", "sentence_to_index"]
        listing = json.loads(file["sentence_to_index"][0])
    assert listing == {sentence: str(index) for index, sentence in enumerate(sentences)}


def test_a_text_counts_lines_words_and_blank_lines():
    counts = text(b"one two\r\n\n  three  \n\t\nlast").count()
    assert (counts.sentences, counts.tokens, counts.blank_lines) == (5, 4, (2, 4))


def test_a_text_can_be_read_again():
    lines = text("é\n a b \n".encode())
    assert list(lines.lines()) == list(lines.lines()) == ["é", "a b"]


def test_only_line_feeds_end_a_line():
    """As in the tools that count lines; a form feed or U+2028 is whitespace within one."""
    assert text("a\u2028b\x0cc\nd".encode()).count().sentences == 2


def test_refused_blank_lines_are_listed():
    with pytest.raises(ElmoError, match=r"blank lines: 1, 2, .* and 5 more"):
        text(b"\n" * 15).count(strict=True)


def test_space_is_checked_where_the_file_will_lie(tmp_path):
    check_space(tmp_path / "out.h5", 1)
    with pytest.raises(ElmoError, match="GB free"):
        check_space(tmp_path / "out.h5", 10**18)
