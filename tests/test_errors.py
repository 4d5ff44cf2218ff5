"""The parts of messages, and the checks of numbers."""

import math
import pickle

import pytest

from elmo_jax import ElmoError, MissingPackageError
from elmo_jax.errors import (
    count_problem,
    counted,
    did_you_mean,
    missing_package,
    number_problem,
    shortened,
)


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 blank lines"), (1, "1 blank line"), (2000, "2,000 blank lines")]
)
def test_a_count_has_its_noun_in_the_right_number(n, text):
    assert counted(n, "blank line") == text


def test_what_came_is_shown_shortened_however_large_it_is():
    assert shortened("x" * 100) == "'" + "x" * 56 + "…'"
    assert shortened(10**5000) == "a number of thousands of digits"


@pytest.mark.parametrize("value", [1, 7, 2**63 - 1])
def test_a_whole_number_that_arrays_can_have_is_accepted(value):
    assert count_problem(value, "n") is None


@pytest.mark.parametrize("value", [0, -1, 1.0, math.nan, True, "4", None, [1]])
def test_anything_else_is_named(value):
    assert count_problem(value, "n") == f"n is {value!r}, expected a whole number of at least 1"


@pytest.mark.parametrize("value", [2**63, 10**5000], ids=["2**63", "5,000 digits"])
def test_a_number_beyond_64_bits_is_refused_with_the_limit(value):
    problem = count_problem(value, "n") or ""
    assert problem.endswith("expected a whole number of at least 1 and at most 9223372036854775807")


@pytest.mark.parametrize("value", [math.inf, math.nan, -1, 10**400, "1", True, None, 1j])
def test_a_number_that_no_finite_float_holds_is_named(value):
    assert (number_problem(value, "x", positive=False) or "").startswith("x is ")


def test_zero_is_a_number_but_not_a_positive_one():
    assert number_problem(0, "x", positive=False) is None
    assert number_problem(0, "x", positive=True) == (
        "x is 0, expected a finite number of more than 0"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("averge", " Did you mean 'average'?"),
        ("AVERAGE", " Did you mean 'average'?"),
        ("batch-size", " Did you mean 'batch_size'?"),
        ("--overwite", " Did you mean --overwrite?"),
        ("-overwrite", " Did you mean --overwrite?"),
        ("float64", ""),  # nobody who writes it means float32
        ("x" * 10**6, ""),
        ("zebra", ""),
        ("", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_a_message_ends_with_the_name_that_was_likely_meant(name, meant):
    names = ["all", "average", "batch_size", "float32", "--overwrite"]
    assert did_you_mean(name, names) == meant


def test_a_missing_package_is_an_import_error_that_can_be_pickled():
    error = missing_package("spacy", "a test", "spacy")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is MissingPackageError
    assert isinstance(copy, ElmoError) and isinstance(copy, ImportError)
    assert (str(copy), copy.name) == (str(error), "spacy")
