"""Arguments and settings of a wrong type: an ElmoError at the door, whatever is passed."""

import dataclasses
import fractions
import inspect
import pickle

import numpy as np
import pytest
import training_run
from checkpoint_files import message_of
from tally import Tally

from elmo_jax import ElmoConfig, ElmoError
from elmo_jax.cli import main
from elmo_jax.errors import shortened
from elmo_jax.training import (
    Corpus,
    TrainingSettings,
    Vocabulary,
    evaluate,
    load_language_model,
    score,
    substitutes,
    survey,
    train,
)
from elmo_jax.training.language_model import init_language_model

NEVER = [object(), b"x", [], {}, {"a": 1}, np.zeros(2), np.zeros((0,)), (1, 2), float("nan"), 1j]
NUMBERS = [2.5, -1, 0, 2**70, 10**5000, float("inf"), True, "4", np.float32(0.5), np.nan]
WORDS = ["x", "", "a\0b", "\ud800", "ü" * 5000]
NAMES = [field.name for field in dataclasses.fields(TrainingSettings)]
COUNTS = [
    "batch_size", "unroll_steps", "n_steps", "shuffle_buffer", "eval_every", "checkpoint_every",
    "keep_checkpoints", "log_every",
]  # fmt: skip
POSITIVE = ["epochs", "learning_rate", "clip_norm"]
NOT_NEGATIVE = ["average_share", "dropout", "warmup_share", "weight_decay"]
NOT_NONE = sorted(
    set(NAMES) - {"n_steps", "learning_rate", "clip_norm", "reset_state", "eval_every"}
    - {"checkpoint_every"}
)  # fmt: skip
REFUSED = {
    **{name: [*NEVER, *NUMBERS, *WORDS] for name in COUNTS},
    **{name: [*NEVER, -1, 0, 10**5000, float("inf"), True, *WORDS] for name in POSITIVE},
    **{name: [*NEVER, -1, 10**5000, float("inf"), True, *WORDS] for name in NOT_NEGATIVE},
    "n_negative_samples": [*NEVER, 2.5, -1, 2**70, "4", True],
    "seed": [*NEVER, 2.5, -1, 2**32, "4", True],
    "recipe": [*NEVER, *NUMBERS, *WORDS, "Modern"],
    "precision": [*NEVER, *NUMBERS, *WORDS, "float16"],
    "tokenizer": [*NEVER, 2.5, True, str.split],
    "reset_state": [*NEVER, 0, 1, 2.5, "true"],
}


def test_a_setting_of_a_wrong_type_is_refused_by_name():
    assert REFUSED.keys() == set(NAMES)
    with Tally("a training setting of a wrong type or out of range") as tally:
        cases = [(name, value) for name in NAMES for value in REFUSED[name]]
        for name, value in [*cases, *((name, None) for name in NOT_NONE)]:
            try:
                TrainingSettings(**{name: value})
            except ElmoError as error:
                assert str(error).startswith("These training settings cannot be used: ")
                assert name in str(error) and len(str(error)) < 300
                tally.refused()
            else:
                tally.wrong(f"{name}={shortened(value)}")


def test_numbers_of_other_packages_are_settings_like_pythons():
    settings = TrainingSettings(
        batch_size=np.int64(4),
        dropout=np.float32(0.25),
        epochs=fractions.Fraction(1, 2),
        reset_state=np.bool_(True),
        seed=np.uint8(3),
    )
    plain = TrainingSettings(batch_size=4, dropout=0.25, epochs=0.5, reset_state=True, seed=3)
    assert settings == plain
    values = dataclasses.asdict(settings).values()
    assert {type(value) for value in values} == {int, float, bool, str, type(None)}
    assert pickle.loads(pickle.dumps(settings)) == dataclasses.replace(settings, seed=3)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("batchsize", "Did you mean 'batch_size'?"),
        ("lr_rate", "Did you mean 'learning_rate'?"),
        ("zzz", "Expected one of recipe, "),
        ("n_epochs", "Did you mean 'epochs'?"),
        ("checkpoints_every", "Did you mean 'checkpoint_every'?"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_the_likely_one(name, meant):
    for make in (TrainingSettings, lambda **choices: TrainingSettings.from_options({}, **choices)):
        message = message_of(make, **{name: 4})
        assert f"no training setting '{name}'. {meant}" in message


@pytest.fixture(scope="module")
def model():
    words = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b"])
    return training_run.CONFIG, init_language_model(training_run.CONFIG, len(words)), words


NOT_FLAGS = [*NEVER, None, 0, 1, "yes"]
NOT_PATHS = [*NEVER, None, 5, True, "a\0b", "\ud800", ["a\0b"], [None], [5]]
NOT_COUNTS = [*NEVER, *NUMBERS]
NOT_CHOICES = [*NEVER, None, 5, True, *WORDS]
NOT_MODELS = [*NEVER, None, 5, "tiny"]
NOT_SENTENCES = [object(), None, 5, True, "a b", b"x", [5], [None], [[5]], [["a", None]], [[b"a"]]]


def wrong_arguments(text):
    """{function: (arguments that are right, {name: values that are wrong})}."""
    words = {"vocabulary": [object(), 5, True, [5], ["a"], "no such file", "a\0b", b"x", 1j]}
    of_model = {"config": NOT_MODELS, "params": NOT_MODELS, "vocabulary": [*NEVER, None, 5, "x"]}
    return {
        train: (
            {"output": text.parent / "run", "files": text, "config": training_run.CONFIG},
            {
                "output": [*NEVER, None, 5, True, "a\0b", "\ud800", str(text)],
                "files": [*NOT_PATHS, "no such file"],
                "config": NOT_MODELS,
                "start_from": [object(), 5, "no such model", "a\0b", (), (1, 2), [1], 1j],
                **words,
                "vocabulary_size": [*NEVER, *NUMBERS, 3],
                "min_count": [*NOT_COUNTS, None],
                "valid_files": [x for x in NOT_PATHS if x is not None],
                "max_valid_tokens": NOT_COUNTS,
                "settings": [object(), 5, True, "x", {"batch_size": 4}, (), TrainingSettings],
                "formats": [*NEVER, None, 5, True, "x", ["native", 5], [None]],
                "strict": NOT_FLAGS,
                "input_format": [x for x in NOT_CHOICES if x is not None],
                "tokenized_with": [x for x in NOT_CHOICES if x is not None],
                "progress": NOT_FLAGS,
            },
        ),
        evaluate: (
            {"files": text},
            {
                **of_model,
                "files": [*NOT_PATHS, "no such file"],
                "batch_size": [*NOT_COUNTS, None],
                "unroll_steps": [*NOT_COUNTS, None],
                "max_tokens": NOT_COUNTS,
                "reset_state": NOT_FLAGS,
                "precision": NOT_CHOICES,
                "progress": NOT_FLAGS,
            },
        ),
        score: (
            {"sentences": [["a"]]},
            {
                **of_model,
                "sentences": NOT_SENTENCES,
                "unknown": NOT_CHOICES,
                "precision": NOT_CHOICES,
            },
        ),
        substitutes: (
            {"sentence": ["a"], "position": 0},
            {
                **of_model,
                "sentence": [*NOT_SENTENCES, [], ["a", 5]],
                "position": [*NEVER, None, 2.5, -2, 1, 2**70, True, "0", 10**5000],
                "n": [*NOT_COUNTS, None],
                "direction": NOT_CHOICES,
                "precision": NOT_CHOICES,
            },
        ),
        load_language_model: (
            {"source": "mini"},
            {
                "source": [*NEVER, 5, True, "no such model", "a\0b", "\ud800"],
                **words,
                "options": [object(), 5, True, "x"],
            },
        ),
        Corpus.of: (
            {"files": text},
            {
                "files": [*NOT_PATHS, "no such file"],
                "strict": NOT_FLAGS,
                "tokenizer": NOT_CHOICES,
                "format": [x for x in NOT_CHOICES if x is not None],
            },
        ),
        survey: ({}, {"corpus": [*NEVER, None, 5, "x", text]}),
        Vocabulary.from_counts: (
            {"counts": {"a": 2}},
            {"counts": [object(), None, 5, "x", {"a": "2"}, ["a"]], "size": [*NEVER, *NUMBERS]}
            | {"min_count": [*NOT_COUNTS, None]},
        ),
    }


def test_an_argument_of_a_wrong_type_is_refused(model, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a b a\n")
    with Tally("an argument of a training function of a wrong type") as tally:
        for function, (right, wrong) in wrong_arguments(text).items():
            parameters = inspect.signature(function).parameters
            assert wrong.keys() == parameters.keys(), function
            if "config" in wrong and function is not train:
                right = {
                    **dict(zip(("config", "params", "vocabulary"), model, strict=True)),
                    **right,
                }
            for name, values in wrong.items():
                for value in values:
                    arguments = {**right, name: value}
                    if name == "start_from":
                        del arguments["config"]
                    tally_refusal(tally, function, name, arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def tally_refusal(tally, function, name, arguments):
    what = f"{function.__name__}({name}={shortened(arguments[name])})"
    try:
        function(**arguments)
    except ElmoError as error:
        (tally.refused if len(str(error)) < 10_000 else lambda: tally.wrong(what))()
    except Exception as error:
        tally.wrong(f"{what}: {error!r:.80}")
    else:
        tally.wrong(what)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--batch-size", "0"], "--batch-size is 0, expected a whole number of at least 1"),
        (["--epochs", "inf"], "epochs is inf, expected a finite number of more than 0"),
        (["--epochs", "nan", "--seed", "-1"], "epochs is nan"),
        (["--learning-rate", "nan"], "--learning-rate is nan"),
        (["--seed", str(2**70)], f"seed is {2**70}, expected a whole number of at least 0 and"),
        (["--max-valid-tokens", "-1"], "--max-valid-tokens is -1"),
        (["--vocabulary-size", "3"], "--vocabulary-size"),
        (["--tokenizer", "no"], "Unknown tokenizer"),
    ],
)
def test_flags_out_of_range_are_refused_in_one_line(tmp_path, capsys, flags, said):
    (tmp_path / "text.txt").write_text("a b\n")
    arguments = ["train", str(tmp_path / "text.txt"), "-o", str(tmp_path / "run"), *flags]
    assert main([*arguments, "--preset", "tiny"]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("flags", [["--batch-size", "4.5"], ["--seed", "9" * 5000]])
def test_flags_of_a_wrong_type_are_wrong_usage(tmp_path, capsys, flags):
    with pytest.raises(SystemExit) as exit:
        main(["train", "text.txt", "-o", str(tmp_path / "run"), "--preset", "tiny", *flags])
    assert exit.value.code == 2
    assert "invalid int value" in capsys.readouterr().err


def test_the_command_evaluate_refuses_numbers_out_of_range(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("a b\n")
    for flags in (["--batch-size", "0"], ["--max-tokens", "-3"]):
        assert main(["evaluate", str(tmp_path / "text.txt"), *flags]) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_an_architecture_is_checked_before_the_text_is_read():
    with pytest.raises(ElmoError, match="config is 'tiny', expected an ElmoConfig"):
        train("run", "no such file", config="tiny")
    assert ElmoConfig.preset("tiny")
