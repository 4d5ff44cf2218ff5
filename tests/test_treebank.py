"""English text to words of the Penn Treebank: the rules, and text that models were trained on."""

import re

import pytest

from elmo_jax.text.treebank import treebank

LEAST_UNCHANGED = 0.998  # the rest: hyphens that the text has apart, full stops of rare words
LEAST_RESTORED = 0.99  # beside these, joining the words again loses where some full stops were


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's the bank.", "It 's the bank ."),
        (
            "He didn't, can't, won't: they'll've gone.",
            "He did n't , ca n't , wo n't : they 'll 've gone .",
        ),
        ("Cannot we? I'm gonna.", "Can not we ? I 'm gon na ."),
        ("SHE'D DON'T", "SHE 'D DO N'T"),
        ("“Isn’t it?” — she said…", '" Is n\'t it ? " -- she said ...'),
        ("word--word – word—word", "word -- word -- word -- word"),
        ("One. Two. three? Four", "One . Two . three ? Four"),
        ("Mr. Lee of Acme Inc. in the U.S. left.", "Mr. Lee of Acme Inc. in the U.S. left ."),
        ("J. R. Smith, Ph.D., e.g. etc.", "J. R. Smith , Ph.D. , e.g. etc."),
        ("He said no. No. 5 is no. 6.", "He said no . No. 5 is no. 6 ."),
        ("$5.50 (10%) at 12:30, 1,000 or 1/2", "$ 5.50 ( 10 % ) at 12:30 , 1,000 or 1/2"),
        ("In 1914–1918, the 3rd 20-year-old", "In 1914-1918 , the 3rd 20-year-old"),
        (
            "the '90s, 'tis, O'Neill's dogs' 'quote'",
            "the '90s , 't is , O'Neill 's dogs ' ' quote '",
        ),
        ("AT&T and/or well-known x-rays", "AT&T and/or well-known x-rays"),
        ("me@b.co.uk or https://a.org/b?c=1.", "me@b.co.uk or https://a.org/b?c=1 ."),
        ('[x] {y}; "yes" <b>', '[ x ] { y } ; " yes " < b >'),
        ("nai\u0308ve हिन्दी", "nai\u0308ve हिन्दी"),
        (" \n\t", ""),
    ],
)
def test_words_are_split_as_in_the_penn_treebank(text, expected):
    assert treebank(text) == expected.split()


@pytest.mark.parametrize("text", ["'" * 50_000, "a." * 50_000, "a@" * 50_000, "-1" * 50_000])
def test_hostile_text_takes_no_more_than_linear_time(text):
    assert treebank(text)


def test_text_that_is_tokenized_already_stays_as_it_is(heldout):
    lines = heldout.read_text("utf-8").splitlines()
    unchanged = sum(treebank(line) == line.split() for line in lines)
    assert unchanged / len(lines) > LEAST_UNCHANGED


def test_joined_as_people_write_it_the_training_text_is_split_again(heldout):
    lines = heldout.read_text("utf-8").splitlines()
    restored = sum(treebank(as_written(line)) == line.split() for line in lines)
    assert restored / len(lines) > LEAST_RESTORED


def as_written(line):
    """Tokenized English as people write it."""
    line = re.sub(r" (n't|'(?:s|m|d|ll|re|ve))\b", r"\1", line).replace("can not", "cannot")
    line = re.sub(r" ([.,;:!?%)\]])", r"\1", line)
    return re.sub(r"([(\[$]) ", r"\1", line).replace(" ' ", "' ")
