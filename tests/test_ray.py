"""EmbedBatch: in this process, and (slow) on a local Ray of two workers."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.ray import EmbedBatch

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ["The bank of the river", "", "Hi"]
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


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed (extra ray)")
def test_two_workers_of_ray_go_from_parquet_to_parquet_with_one_model_each(folder, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = [f"Sentence {i} by the bank" for i in range(40)]
    parquet.write_table(arrow.table({"text": texts}), tmp_path / "texts.parquet")
    opened = tmp_path / "opened"
    opened.mkdir()
    paths = map(str, (folder, tmp_path / "texts.parquet", tmp_path / "vectors", opened))
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths],
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        cwd=tmp_path,
        check=True,
        timeout=600,
    )
    rows = parquet.read_table(tmp_path / "vectors").to_pylist()
    assert sorted(row["text"] for row in rows) == sorted(texts)
    wanted = elmo_jax.Elmo(folder).embed_sentences([row["text"] for row in rows], 0)
    vectors = np.array([row["vector"] for row in rows], np.float32)
    tolerance = SAME_SENTENCE_TOLERANCE
    np.testing.assert_allclose(vectors, wanted, rtol=tolerance, atol=tolerance)
    assert len(list(opened.iterdir())) == 2
