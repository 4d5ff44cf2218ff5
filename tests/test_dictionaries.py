"""word.dic and char.dic: tokens by number, as the original reads them."""

import pytest
from checkpoint_files import message_of
from hypothesis import given
from hypothesis import strategies as st

from elmo_jax.checkpoint.foreign.dictionaries import read_dictionary

# What the original's dictionaries can hold: it strips tokens, and divides lines at tabs.
tokens = st.text(min_size=1).filter(lambda token: token == token.strip() and "\t" not in token)
tokens = tokens.filter(lambda token: "\n" not in token)


def read(text):
    return read_dictionary(text.encode(), "char.dic")


@given(st.lists(tokens, unique=True), st.randoms(use_true_random=False))
def test_tokens_come_in_the_order_of_their_numbers(entries, random):
    lines = [f"{token}\t{row}\n" for row, token in enumerate(entries)]
    random.shuffle(lines)
    assert read("".join(lines)) == tuple(entries)


def test_a_line_that_is_only_a_number_is_the_ideographic_space():
    assert read("a\t0\n\u3000\t1\nb\t2\n") == ("a", "\u3000", "b")
    assert read("\t0\n") == ("\u3000",)


def test_lines_are_stripped_and_divided_at_tabs_only():
    assert read(" a b \t0\r\n<oov>\t1 \nc\u2028d\t2") == ("a b ", "<oov>", "c\u2028d")


def test_of_equal_tokens_the_last_number_counts():
    assert read("a\t1\nb\t0\na\t2\n") == ("b", "", "a")
    assert read("\u3000\t0\n\xa0\t1\n") == ("", "\u3000")  # both are stripped away


def test_a_byte_order_mark_is_not_part_of_the_first_token():
    assert read("\ufeffa\t0\n") == ("a",)


def test_an_empty_file_has_no_tokens():
    assert read("") == ()


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a\tb\t0\n", ["line 1 is 'a\\tb\\t0', expected a token, a tab, a number"]),
        ("a\t0\nb\n", ["line 2 is 'b', expected a token, a tab, a number"]),
        ("a\t0\n\n", ["line 2 is '', expected a token, a tab, a number"]),
        ("a\t-1\n", ["line 1 is 'a\\t-1', expected a token, a tab, a number"]),
        ("a\t٣\n", ["line 1 is 'a\\t٣', expected a token, a tab, a number"]),
        ("9" * 5000, ["line 1 is '" + "9" * 59 + ", expected a token, a tab, a number"]),
        ("a\t0\nb\t0\n", ["line 2 has the number 0, which an earlier line has"]),
        ("a\t0\nb\t1234\n", ["line 2 has the number 1,234, but there are 2 lines"]),
        (
            "a\n" * 1003,
            [*(f"line {i} is 'a', expected a token, a tab, a number" for i in (1, 2, 3)),
             "and 1,000 more"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_listed(text, problems):
    n = text.count("\na") + 1 if len(problems) > 1 else 1
    listed = "".join(f"\n  {problem}" for problem in problems)
    assert message_of(read, text) == (
        "char.dic is not a dictionary of ELMoForManyLangs, or is damaged "
        f"({n:,} problem{'s' * (n > 1)}):{listed}"
    )


def test_another_encoding_is_reported():
    message = message_of(read_dictionary, b"a\t0\n\xe9\t1\n", "char.dic")
    assert message.startswith("char.dic is not UTF-8: line 2 has the byte 0xe9.")
