"""Do all ways of embedding a corpus give the same vectors?

A text goes through ``elmo-jax embed`` once, on one device. Then it goes other ways: once more;
killed (SIGKILL) on the way and started again; on four devices, which one CPU pretends to be; in
three shards that are merged; and through two workers of Ray Data. The table says where the file has
the same bytes; every number must be the same except for the order of sums.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from elmo_jax import Elmo, ElmoError, pretrained

from .corpus import COMMAND
from .measure import SUMS, assert_equal
from .question import setting
from .tables import markdown
from .texts import count_tokens, write_sentences

MODEL = pretrained.BUNDLED

N_DEVICES, N_SHARDS, N_WORKERS = 4, 3, 2
_TOKENS = 20_000
_PARTS = 12  # enough for each shard to have several, and for a kill to leave some


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    setup = setting(args, _TOKENS)
    model = setup.model.native
    rows: list[dict[str, Any]] = []
    result = {"setting": setup.json(), "parts": _PARTS, "rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "text.txt", setup.sentences)
        part_tokens = -(-count_tokens(setup.sentences) // _PARTS)
        options = "--model", model, "--quiet", "--part-tokens", part_tokens
        whole, out = Path(folder) / "whole.h5", Path(folder) / "out.h5"
        _once("embed", text, *options, "-o", whole)
        expected = _read(whole)
        ways: dict[str, Callable[..., None]] = {
            "the same once more": _once,
            "killed and started again": _killed,
            "four devices": _on_devices,
            "three shards, merged": _in_shards,
        }
        for name, embed in ways.items():
            embed("embed", text, *options, "-o", out)
            same_bytes = out.read_bytes() == whole.read_bytes()
            rows.append(_row(name, _read(out), expected, same_bytes))
            out.unlink()
            yield result
        if find_spec("ray") is None:
            result["left_out"] = "Ray is not installed (extra ray)."
        else:
            vectors = _on_ray(model, text)
            own = list(Elmo(model).embed_sentences(setup.sentences))
            rows.append(_row("two workers of Ray, sentence vectors", vectors, own, None))
    yield result


def _run(*command: object, **variables: str) -> None:
    environment = {**os.environ, **variables}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ElmoError(f"A command failed: {done.stderr.strip()[-2000:]}")


def _once(*arguments: object, **variables: str) -> None:
    _run(*COMMAND, *arguments, **variables)


def _killed(*arguments: Any) -> None:
    """Killed when a third of the parts are there, and started again."""
    command, out = [*COMMAND, *map(str, arguments)], arguments[-1]
    parts = out.with_name(f"{out.name}.parts")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(list(parts.glob("part-*"))) < _PARTS // 3 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    if out.exists():
        raise ElmoError("The process ended before it was killed. Take more --tokens.")
    _once(*arguments)


def _on_devices(*arguments: object) -> None:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={N_DEVICES}"
    _once(*arguments, XLA_FLAGS=flags.strip(), JAX_PLATFORMS="cpu")


def _in_shards(*arguments: object) -> None:
    """The shards one after the other, the last one first; then merged."""
    for number in range(N_SHARDS, 0, -1):
        _once(*arguments, "--shard", f"{number}/{N_SHARDS}")
    _once("merge", arguments[-1], "--quiet")


def _on_ray(model: Path, text: Path) -> list[np.ndarray]:
    """Sentence vectors; Ray forks, which JAX's threads would not survive: a process of its own."""
    out = text.with_name("ray.npy")
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[1]), *filter(None, sys.path)])
    variables = {"PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0"}  # for Ray's workers, too
    _run(sys.executable, "-m", __name__, model, text, out, **variables)
    return list(np.load(out))


def _run_on_ray(model: str, text: str, out: str) -> None:
    import ray

    from elmo_jax.ray import EmbedBatch

    # Ray's reading needs processors beside the workers.
    ray.init(num_cpus=N_WORKERS + 2, include_dashboard=False, log_to_driver=False)
    lines = Path(text).read_text("utf-8").splitlines()
    items = [{"number": number, "text": line} for number, line in enumerate(lines)]
    embedded = ray.data.from_items(items, override_num_blocks=4 * N_WORKERS).map_batches(
        EmbedBatch,
        fn_constructor_kwargs={"source": model},
        compute=ray.data.ActorPoolStrategy(size=N_WORKERS),
        batch_size=64,
    )
    rows = sorted(embedded.iter_rows(), key=lambda row: row["number"])
    np.save(out, np.stack([row["vector"] for row in rows]))


def _read(file: Path) -> list[np.ndarray]:
    """All layers of each sentence."""
    with h5py.File(file) as arrays:
        return [arrays[str(number)][()] for number in range(len(arrays) - 1)]


def _row(
    name: str, vectors: list[np.ndarray], expected: list[np.ndarray], same_bytes: bool | None
) -> dict[str, Any]:
    return {
        "way": name,
        "same_bytes": same_bytes,
        "same_numbers": all(map(np.array_equal, vectors, expected)),
        "largest_difference": assert_equal(name, vectors, expected, SUMS),
        "largest_number": float(max(np.abs(array).max() for array in expected)),
    }


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    rows = (
        {
            "against one process on one device": row["way"],
            "the same file": {True: "yes", False: "no", None: "–"}[row["same_bytes"]],
            "the same numbers": "yes" if row["same_numbers"] else "no",
            "largest difference": f"{row['largest_difference']:.2g}",
        }
        for row in result["rows"]
    )
    largest = max((row["largest_number"] for row in result["rows"]), default=0.0)
    head = (
        f"Model {what['model']}, all layers of {what['tokens']:,} tokens, in about "
        f"{result['parts']} parts; the largest number is {largest:.3g}."
    )
    return "\n\n".join([head, markdown(rows), *filter(None, [result.get("left_out")])])


if __name__ == "__main__":
    _run_on_ray(*sys.argv[1:])
