"""Embed with a model in each worker of Ray Data, and train with Ray workers (extra ``ray``).

Example:
    >>> import ray
    >>> texts = ray.data.read_parquet("texts")                 # with a column "text"
    >>> vectors = texts.map_batches(EmbedBatch, concurrency=2, batch_size=1000)
    >>> vectors.write_parquet("vectors")                       # with a column "vector" beside it

With ``num_gpus=1`` each worker has a GPU to itself. ``EmbedBatch`` does not import Ray, and works
without it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .embedder import Elmo
from .errors import ElmoError, check_count, number_problem, optional_module, shortened
from .model.layers import Layers
from .processes import LostProcess
from .text.readers import Files
from .text.sentences import tokenize
from .text.tokenizers import Tokenizer


class EmbedBatch:
    """Adds a column of vectors to batches of texts.

    Ray makes one object per worker, each with its own model, from ``fn_constructor_kwargs``.

    Args:
        source: a model as ``elmo_jax.load`` takes it; every worker must be able to open it.
        column: the column with the texts: strings, or lists of words.
        output: the column to add.
        layers: "average", "top", a layer's number (0 is the token layer), or "all".
        pooling: "mean", "max" or "sif" over a text's tokens; None for one vector per token.
        tokenizer: a name, see ``elmo_jax.tokenizer_named``, or a function; None for whitespace.
        precision: for matrix products: "float32", "tf32" or "bfloat16".
        dtype: type of the vectors: "float32" or "float16".

    Example:
        >>> embed = EmbedBatch(pooling="max")
        >>> embed({"text": np.array(["The bank .", "Hi"])})["vector"].shape
        (2, 256)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        column: str = "text",
        output: str = "vector",
        layers: Layers = "average",
        pooling: str | None = "mean",
        tokenizer: Tokenizer | str | None = None,
        precision: str = "float32",
        dtype: Any = "float32",
    ) -> None:
        for name, value in {"column": column, "output": output}.items():
            if not isinstance(value, str):
                raise ElmoError(f"{name} is {shortened(value)}, expected the name of a column.")
        self._elmo = Elmo(source, precision=precision)
        self._column, self._output, self._tokenizer = column, output, tokenizer
        self._layers, self._pooling, self._dtype = layers, pooling, dtype

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Add a column of vectors to a batch, a dictionary of columns with B entries each.

        The vectors are [B, D], or [B, L, D] for ``layers="all"``. Without pooling they are an array
        of B objects, each [T, D], or [L, T, D].

        Raises:
            ElmoError: if the column is missing, the new one already exists, or a text is bad.
        """
        if not isinstance(batch, Mapping):
            raise ElmoError(f"Expected a batch as a dictionary, got {shortened(batch)}.")
        if self._column not in batch:
            raise ElmoError(
                f"The batch has no column {self._column!r} with texts, but {', '.join(batch)}. "
                "Name the column with column=."
            )
        if self._output in batch:
            raise ElmoError(
                f"The batch has a column {self._output!r} already. Choose another with output=."
            )
        return {**batch, self._output: self._vectors(batch[self._column])}

    def _vectors(self, texts: np.ndarray) -> np.ndarray:
        if self._pooling is not None:
            return self._elmo.embed_sentences(
                texts, self._layers, self._pooling, tokenizer=self._tokenizer, dtype=self._dtype
            )
        sentences = list(tokenize(texts, self._tokenizer))
        vectors = np.empty(len(sentences), object)
        embedded = self._elmo.embed(sentences, self._layers, dtype=self._dtype)
        for index, vectors_TD in enumerate(embedded):  # NumPy would stack arrays of one shape
            vectors[index] = vectors_TD
        return vectors


# Training

_SECONDS_FOR_OTHER_ERRORS = 10
"""How long a failed run waits for the error of the worker that has failed first."""


def train_on_ray(
    output: str | os.PathLike[str],
    files: Files,
    *,
    num_workers: int,
    resources_per_worker: Mapping[str, float] | None = None,
    wait: float = 600,
    **arguments: Any,
) -> dict[str, Any]:
    """Run ``training.train`` in several workers of a Ray cluster, which share one run.

    The workers are plain actors that ``jax.distributed`` joins. They start all together or not at
    all. The run's folder and the text must be on a disk that all hosts share; relative paths start
    from the caller's working folder. After an error or the death of a worker, the same call resumes
    the run.

    Args:
        output: the folder of the run.
        files: the text.
        num_workers: number of processes. On a host with several devices, one worker may have all
            of them.
        resources_per_worker: what Ray reserves for each worker: {"CPU": 4, "GPU": 1}, {"TPU": 4};
            None for one CPU. A worker sees only its reserved GPUs.
        wait: seconds to wait for these resources.
        arguments: the other arguments of ``training.train``.

    Returns:
        What ``training.train`` returns.

    Raises:
        ElmoError: what ``training.train`` raises in a worker; or if the resources do not become
            available, or a worker dies.

    Example:
        >>> train_on_ray("/shared/run", "/shared/corpus/*.txt", num_workers=8,
        ...              resources_per_worker={"GPU": 1}, config=ElmoConfig.preset("small"))
    """
    ray = optional_module("ray", "train_on_ray", "ray")
    check_count(num_workers, "num_workers")
    if problem := number_problem(wait, "wait", positive=True):
        raise ElmoError(f"{problem}.")
    resources = dict({"CPU": 1} if resources_per_worker is None else resources_per_worker)
    try:
        group = ray.util.placement_group([resources] * num_workers)
    except (TypeError, ValueError) as error:
        raise ElmoError(f"resources_per_worker is {shortened(resources)}: {error}") from None
    workers: list[Any] = []
    try:
        if not group.wait(wait):
            raise ElmoError(
                f"Ray has no {num_workers} times {resources} for the workers after {wait:g} "
                f"seconds; in all the cluster has {ray.cluster_resources()}."
            )
        workers += [_start_worker(ray, group, resources, i) for i in range(num_workers)]
        coordinator = _result(ray, workers[0].address.remote())
        call = (output, files, arguments)
        calls = [
            worker.train.remote(str(Path.cwd()), (coordinator, num_workers, i), *call)
            for i, worker in enumerate(workers)
        ]
        return _first_result(ray, calls)
    finally:
        for worker in workers:
            ray.kill(worker)
        ray.util.remove_placement_group(group)


class _TrainingWorker:
    """One process of the run."""

    def address(self) -> str:
        """Where the other processes reach this one, with a free port."""
        ray: Any = optional_module("ray", "a worker of train_on_ray", "ray")
        with contextlib.closing(socket.socket()) as free:
            free.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def train(
        self,
        folder: str,
        process: tuple[str, int, int],
        output: str | os.PathLike[str],
        files: Files,
        arguments: dict[str, Any],
    ) -> dict[str, Any]:
        """Join the others, before anything else uses JAX, and train."""
        import jax

        from .training import train

        with contextlib.suppress(OSError):  # a host without it may do with absolute paths
            os.chdir(folder)
        # Ray may run inside a job of SLURM or MPI: its variables are not about this process.
        jax.distributed.initialize(*process, cluster_detection_method="deactivate")
        result = train(output, files, **arguments)
        jax.distributed.shutdown()  # type: ignore[no-untyped-call]
        return result


def _start_worker(ray: Any, group: Any, resources: Mapping[str, float], number: int) -> Any:
    others = {name: n for name, n in resources.items() if name not in ("CPU", "GPU")}
    strategy = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
        placement_group=group, placement_group_bundle_index=number
    )
    actor = ray.remote(_TrainingWorker).options(
        num_cpus=resources.get("CPU", 0),
        num_gpus=resources.get("GPU", 0),
        resources=others,
        scheduling_strategy=strategy,
    )
    return actor.remote()


def _first_result(ray: Any, calls: Sequence[Any]) -> dict[str, Any]:
    """The result of the first call, or the error that explains why one has failed."""
    pending, errors = list(calls), list[Exception]()
    while pending:
        timeout = _SECONDS_FOR_OTHER_ERRORS if errors else None
        done, pending = ray.wait(pending, timeout=timeout)
        if not done:
            break
        for call in done:
            try:
                _result(ray, call)
            except Exception as error:
                errors.append(error)
    if errors:  # one worker fails, and the others miss it
        raise min(errors, key=lambda error: isinstance(error, LostProcess))
    return _result(ray, calls[0])


def _result(ray: Any, call: Any) -> Any:
    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayActorError as error:
        raise ElmoError(
            "A worker of the training run has died; the same call resumes the run from its last "
            f"checkpoint. Ray said: {' '.join(str(error).split())[:600]}"
        ) from error
