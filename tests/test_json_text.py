"""Files and summaries are JSON to every reader, whatever numbers are in them."""

import ast
import json
import math

import numpy as np
import pytest
from checkpoint_files import message_of
from hypothesis import given
from hypothesis import strategies as st
from test_imports import ROOT, module_name

from elmo_jax import ElmoConfig, save
from elmo_jax.json_text import parse_json, parse_json_object, to_json
from elmo_jax.model.bilm import init_params
from elmo_jax.training import TrainingSettings
from elmo_jax.training.reporting import Reporter, read_metrics

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def strict(text):
    """Read JSON as others do, who know no NaN."""

    def refuse(name):
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def without(value):
    if isinstance(value, list):
        return [without(part) for part in value]
    if isinstance(value, dict):
        return {key: without(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@given(values)
def test_numbers_that_json_lacks_become_null_and_all_else_stays(value):
    assert strict(to_json(value)) == without(value)


@given(values)
def test_what_is_written_is_read_back(value):
    assert parse_json(to_json(value), "x") == without(value)


BAD_TEXTS = {
    "cut off": (b'{"a": [1', "x is not JSON: "),
    "nested too deep": (b"[" * 200_000, "x is not JSON that can be read: it is nested too deep."),
    "a number of 5,000 digits": (b"1" * 5000, "x is not JSON: Exceeds the limit"),
    "no UTF-8": (b'"\xff\xfe"', "x is not JSON: "),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_text_that_is_no_json_is_one_error_that_says_where(name):
    text, message = BAD_TEXTS[name]
    assert message_of(parse_json, text, "x").startswith(message)


@pytest.mark.parametrize(("text", "kind"), [("[]", "list"), ("null", "NoneType"), ("1", "int")])
def test_an_object_is_told_from_other_values(text, kind):
    assert parse_json_object('{"a": 1}', "x") == {"a": 1}
    expected = f"x: expected a JSON object, got {kind}."
    assert message_of(parse_json_object, text, "x") == expected


def test_what_a_model_is_saved_with_is_json(tmp_path):
    config = ElmoConfig.preset("tiny")
    metadata = {"training": {"valid_perplexity": math.inf, "loss": np.float64("nan")}}
    save(tmp_path / "model", config, init_params(config, seed=0), metadata=metadata)
    content = strict((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert content["metadata"] == {"training": {"valid_perplexity": None, "loss": None}}


def test_lines_of_metrics_that_are_kept_become_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "valid_perplexity": Infinity}\n', "utf-8")
    Reporter(path, TrainingSettings(), n_steps=2, first_step=1, loss_kind="full").close()
    assert strict(path.read_text("utf-8")) == {"step": 1, "valid_perplexity": None}
    assert read_metrics(path) == [{"step": 1, "valid_perplexity": None}]


def writers_of_json(folder):
    """Files that call json.dump or json.dumps themselves."""
    for path in sorted(folder.rglob("*.py")):
        if any(name.startswith(".") for name in path.relative_to(folder).parts):
            continue  # an environment of somebody's packages
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        names = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
        if names & {"json.dump", "json.dumps"}:
            yield path


def test_whatever_may_hold_such_numbers_goes_through_to_json():
    assert {module_name(path) for path in writers_of_json(ROOT)} == {
        "json_text",
        "model.alphabet",  # strings
        "text.readers.record",  # strings
        "checkpoint.digests",  # a digest
        "corpus.job",  # a digest
        "corpus.lock",  # strings and integers
        "corpus.part_file",  # strings and integers
    }
    benchmarks = ROOT.parent / "benchmarks"
    # Lines between two processes.
    assert {path.relative_to(benchmarks).parts[0] for path in writers_of_json(benchmarks)} == {
        "peers"
    }
