"""Sentences through Ray Data, on a local Ray of two workers.

``python -m benchmarks.ray_run MODEL TEXT OUT.npz`` does it; ``embed_on_ray`` starts that process,
since Ray forks, which JAX's threads would not survive.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from elmo_jax import ElmoError
from elmo_jax.ray import EmbedBatch

N_WORKERS = 2
_BATCH = 64  # sentences


def embed_on_ray(model: Path, text: Path) -> list[np.ndarray]:
    """All layers of each line of a text, float32 [L, T, D], in order.

    Raises:
        ElmoError: if the process fails.
    """
    checkout = str(Path(__file__).resolve().parents[1])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "vectors.npz"
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks.ray_run", model, text, out],
            # Ray's workers, too, have to find this module.
            env={**os.environ, "PYTHONPATH": os.pathsep.join([checkout, *filter(None, sys.path)])},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise ElmoError(f"The run on Ray failed: {result.stderr[-2000:]}")
        with np.load(out) as arrays:
            return [arrays[str(number)] for number in range(len(arrays))]


class _Flat(EmbedBatch):
    """All layers of each sentence as one row of numbers, which any table can hold."""

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        vectors = super().__call__(batch)["vector"]
        flat = [array.ravel().tolist() for array in vectors]
        return {"number": batch["number"], "shape": [v.shape for v in vectors], "vector": flat}


def _run(model: str, text: str, out: str) -> None:
    import ray

    lines = Path(text).read_text("utf-8").splitlines()
    # Ray's reading needs processors beside the workers.
    ray.init(num_cpus=N_WORKERS + 2, include_dashboard=False, log_to_driver=False)
    items = [{"number": number, "text": line} for number, line in enumerate(lines)]
    embedded = ray.data.from_items(items, override_num_blocks=4 * N_WORKERS).map_batches(
        _Flat,
        fn_constructor_kwargs={"source": model, "layers": "all", "pooling": None},
        compute=ray.data.ActorPoolStrategy(size=N_WORKERS),
        batch_size=_BATCH,
    )
    rows = {str(row["number"]): row for row in embedded.iter_rows()}
    arrays = {
        n: np.array(row["vector"], np.float32).reshape(row["shape"]) for n, row in rows.items()
    }
    np.savez(out, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _run(*sys.argv[1:])
