"""`python -m benchmarks recipes`: both recipes on the same text, with nothing else different."""

import json

import pytest

from benchmarks import recipes
from elmo_jax.cli import run_command


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_quickly")
def test_both_recipes_are_trained_and_written_down(tmp_path, capsys):
    text, output = tmp_path / "text.txt", tmp_path / "out.json"
    text.write_text("The bank of the river .\nShe sat by the bank .\n" * 50, "utf-8")
    arguments = list(map(str, [text, "--valid", text, "--n-steps", 4, "-o", output]))
    assert run_command("recipes", recipes.HELP, recipes, arguments) == 0
    results = json.loads(output.read_text("utf-8"))["recipes"]
    assert list(results) == ["modern", "original"]
    for result in results.values():
        assert result["tokens"] == 4 * 64 * 20
        assert list(result["perplexity"]) == ["1", "2", "3", "4"]
    assert results["modern"]["reset_state"] and not results["original"]["reset_state"]
    assert capsys.readouterr().out.count("\n|") >= 2
    again = run_command("recipes", recipes.HELP, recipes, arguments)
    assert again == 1, "an existing result is not replaced unasked"
