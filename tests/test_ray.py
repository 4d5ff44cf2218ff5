"""EmbedBatch and train_on_ray: in this process, and (slow) on a local Ray of two workers."""

import json
import os
import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np
import pytest

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.processes import LostProcess
from elmo_jax.ray import EmbedBatch, _first_result, train_on_ray
from elmo_jax.training import TrainingSettings, train

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ["The bank of the river", "", "Hi"]
SAME_RUN_TOLERANCE = 1e-5  # two workers add their gradients in another order
SAME_SENTENCE_TOLERANCE = 1e-5  # sums in another order, in another company


@pytest.fixture
def folder(make_model):
    return make_model(3)[0]


def test_a_batch_gets_a_column_of_vectors(folder):
    batch = {"id": np.arange(3), "text": np.array(TEXTS, object)}
    result = EmbedBatch(folder, layers=0)(batch)
    assert list(result) == ["id", "text", "vector"] and "vector" not in batch
    wanted = elmo_jax.Elmo(folder).embed_sentences(TEXTS, 0)
    np.testing.assert_allclose(result["vector"], wanted, rtol=1e-6, atol=1e-6)


def test_token_vectors_are_one_array_a_row(folder):
    sentences = np.empty(2, object)
    sentences[:] = [np.array(["The", "bank"], object), ["Hi", "."]]
    embed = EmbedBatch(folder, column="words", output="tokens", layers=0, pooling=None)
    vectors = embed({"words": sentences})["tokens"]
    assert vectors.dtype == object and [v.shape for v in vectors] == [(2, 12), (2, 12)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["words"], "no column 'text' with texts, but words"),
        (["text", "vector"], "'vector' already"),
    ],
)
def test_columns_that_do_not_fit_are_named(folder, columns, message):
    with pytest.raises(ElmoError, match=message):
        EmbedBatch(folder)({name: np.array(TEXTS, object) for name in columns})


# On Ray

PROGRAM = """
import json, os, sys, uuid
from pathlib import Path
import ray
from elmo_jax.ray import EmbedBatch

model, source, target, opened = sys.argv[1:]

class Counted(EmbedBatch):
    def __init__(self, *args, **options):
        Path(opened, uuid.uuid4().hex).touch()
        super().__init__(*args, **options)

ray.init(num_cpus=4, include_dashboard=False, _node_ip_address="127.0.0.1",
         object_store_memory=80 * 2**20, log_to_driver=False)
texts = ray.data.read_parquet(source).repartition(8)
vectors = texts.map_batches(Counted, fn_constructor_kwargs={"source": model, "layers": 0},
                            compute=ray.data.ActorPoolStrategy(size=2), batch_size=4)
vectors.write_parquet(target)
ray.shutdown()
"""


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed (extra ray)")


def run_on_ray(program, folder, *arguments):
    """Run a program that starts a local Ray; returns what it prints."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        cwd=folder,
        check=True,
        timeout=600,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.mark.slow
@needs_ray
def test_two_workers_of_ray_go_from_parquet_to_parquet_with_one_model_each(folder, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = [f"Sentence {i} by the bank" for i in range(40)]
    parquet.write_table(arrow.table({"text": texts}), tmp_path / "texts.parquet")
    opened = tmp_path / "opened"
    opened.mkdir()
    run_on_ray(PROGRAM, tmp_path, folder, tmp_path / "texts.parquet", tmp_path / "vectors", opened)
    rows = parquet.read_table(tmp_path / "vectors").to_pylist()
    assert sorted(row["text"] for row in rows) == sorted(texts)
    wanted = elmo_jax.Elmo(folder).embed_sentences([row["text"] for row in rows], 0)
    vectors = np.array([row["vector"] for row in rows], np.float32)
    tolerance = SAME_SENTENCE_TOLERANCE
    np.testing.assert_allclose(vectors, wanted, rtol=tolerance, atol=tolerance)
    assert len(list(opened.iterdir())) == 2


# Training on Ray

TRAINING = """
import json, os, sys
from pathlib import Path
import ray
from elmo_jax import ElmoConfig
from elmo_jax.ray import train_on_ray
from examples import train_ray

class Deadly:
    def __reduce__(self):  # whoever reads it, dies
        return os._exit, (1,)

def problem(**arguments):
    try:
        train_on_ray("failed", **arguments)
    except ValueError as error:
        return type(error).__name__, str(error)

ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1",
         object_store_memory=80 * 2**20, log_to_driver=False)
problems = [
    problem(files="none.txt", num_workers=2, config=ElmoConfig.preset("tiny")),
    problem(files="text.txt", num_workers=2, config=Deadly()),
    problem(files="text.txt", num_workers=3, wait=0.5),
]
train_ray.main(["run", "text.txt", *sys.argv[1:]])  # all processors are free again
Path("problems.json").write_text(json.dumps(problems))
ray.shutdown()
"""


@pytest.mark.slow
@needs_ray
def test_two_workers_of_ray_train_one_run_and_their_errors_reach_the_caller(tmp_path):
    text = [f"the bank of river {i % 7} is {i % 5} miles long\n" for i in range(60)]
    (tmp_path / "text.txt").write_text("".join(text))
    choices = ["--workers", 2, "--preset", "tiny", "--batch-size", 8, "--steps", 2]
    assert '"finished": true' in run_on_ray(TRAINING, tmp_path, *choices)
    missing, dead, too_many = json.loads((tmp_path / "problems.json").read_text())
    assert missing[0] == "ElmoError" and "No such file: 'none.txt'" in missing[1]
    assert dead[0] == "ElmoError" and dead[1].startswith("A worker of the training run has died")
    assert "Ray has no 3 times {'CPU': 1}" in too_many[1]
    train(
        tmp_path / "alone",
        tmp_path / "text.txt",
        config=elmo_jax.ElmoConfig.preset("tiny"),
        settings=TrainingSettings(batch_size=8, n_steps=2),
    )
    (_, params), (_, alone) = (
        elmo_jax.load(tmp_path / name / "model") for name in ("run", "alone")
    )
    tolerance = SAME_RUN_TOLERANCE
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance),
        params,
        alone,
    )


class TaskError(Exception):
    """What Ray raises for an error of a task."""

    def __init__(self, cause):
        self.cause = cause


class ActorError(Exception):
    """What Ray raises for a worker that has died."""


class FakeRay:
    """Calls are their results, or the errors that getting them raises; all are done in order."""

    exceptions = types.SimpleNamespace(RayTaskError=TaskError, RayActorError=ActorError)

    def wait(self, calls, timeout):
        return (calls[:1], calls[1:]) if calls[0] is not None else ([], calls)

    def get(self, call):
        if isinstance(call, Exception):
            raise call
        return call


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([{"step": 1}, {"step": 1}], None),
        ([TaskError(LostProcess("lost")), TaskError(ElmoError("the reason"))], "the reason"),
        ([TaskError(ElmoError("the reason")), TaskError(LostProcess("lost"))], "the reason"),
        ([TaskError(LostProcess("lost")), ActorError("out of\nmemory")], "died.*: out of memory$"),
        ([TaskError(ElmoError("the reason")), None], "the reason"),  # the other one hangs
        ([TaskError(KeyError("a bug"))], "a bug"),
    ],
)
def test_the_error_that_explains_a_failed_run_is_raised(calls, expected):
    if expected is None:
        assert _first_result(FakeRay(), calls) == {"step": 1}
        return
    with pytest.raises((ElmoError, KeyError), match=expected):
        _first_result(FakeRay(), calls)


@needs_ray
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": 0}, "num_workers is 0"),
        ({"num_workers": 2, "wait": float("nan")}, "wait is nan"),
    ],
)
def test_bad_numbers_are_refused_before_ray_starts(tmp_path, arguments, message):
    with pytest.raises(ElmoError, match=message):
        train_on_ray(tmp_path / "run", "text.txt", **arguments)
