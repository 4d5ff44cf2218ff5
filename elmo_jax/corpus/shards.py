"""Which shard of a corpus a process makes: the one you name, or the one its cluster assigns.

Launchers number the processes that they start, in environment variables. Each kind has names of its
own, and one may have started another: SLURM's ``srun`` starts ``mpirun`` or ``torchrun``, which
start the processes. So the inner ones are asked first, and a launcher of a single process says
nothing if another one has started several.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax

from ..errors import ElmoError, check_count, shortened


class Launcher(NamedTuple):
    """A program that starts processes, and its variables: the process, of how many, on this host.

    SLURM lists the processes of the host where others count them.
    """

    name: str
    rank: str
    size: str
    local_rank: str
    local_size: str


LAUNCHERS = (  # the inner ones first
    Launcher("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    Launcher(
        "Open MPI",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    Launcher("MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    Launcher("PALS", "PMI_RANK", "PMI_SIZE", "PMI_LOCAL_RANK", "PMI_LOCAL_SIZE"),
    # SLURM_NTASKS would also be there in a batch script, which is one process.
    Launcher("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_GTIDS"),
)


class Process(NamedTuple):
    """One of several processes that were started together."""

    rank: int  # from 0
    size: int
    source: str  # what says so
    local: tuple[int, int] | None = None  # the same among those on this host, if known

    @property
    def shard(self) -> tuple[int, int]:
        """This process's shard of a corpus, as ``embed_corpus`` takes it."""
        return self.rank + 1, self.size


def own_shard(shard: Any) -> tuple[int, int] | None:
    """The shard (i, n) that a process makes: ``shard``, or for "auto" that of ``this_process``."""
    if isinstance(shard, str) and shard == "auto":
        return this_process().shard
    check_shard(shard)
    return shard


def check_shard(shard: Any) -> None:
    """Raise ElmoError unless ``shard`` is None or a pair (i, n) with i from 1 to n."""
    if shard is None:
        return
    try:
        i, n = shard
    except (TypeError, ValueError):
        raise ElmoError(
            f'shard is {shortened(shard)}, expected a pair such as (1, 4), or "auto".'
        ) from None
    check_count(n, "the number of shards")
    check_count(i, "the number of the shard", 1, n)


def this_process(environment: Mapping[str, str] = os.environ) -> Process:
    """Find out which of several processes this is.

    The first of these that knows of more than one process decides: ``jax.distributed``, if it is
    initialized; the launchers in their order; the hosts of a TPU; and a SLURM job array.

    Raises:
        ElmoError: if none of them says, variables make no sense, or a job array and a launcher both
            know of several processes.
    """
    array = _array_task(environment)
    started = [*_of_jax(), *_of_launchers(environment), *_of_tpu_hosts(environment)]
    several = [process for process in started if process.size > 1]
    if array is not None and array.size > 1:
        if several:
            raise ElmoError(
                f"The shard is not clear: a job array has {array.size} tasks ({array.source}), "
                f"and in each of them {several[0].size} processes run ({several[0].source}). "
                + _NAME_IT
            )
        return array
    for process in [*several, *started, *([array] if array else [])]:
        return process
    raise ElmoError(_not_found(environment))


_NAME_IT = "Name the shard: shard=(i, n)."


def _of_jax() -> Iterable[Process]:
    if jax.distributed.is_initialized():
        source = "jax.process_index() and jax.process_count()"
        yield Process(jax.process_index(), jax.process_count(), source)


def _of_launchers(environment: Mapping[str, str]) -> list[Process]:
    processes = []
    for launcher in LAUNCHERS:
        if environment.get(launcher.rank) and environment.get(launcher.size):
            rank, size = (_number(environment, name) for name in launcher[1:3])
            source = f"{launcher.rank} and {launcher.size}"
            _check_rank(rank, size, source)
            local = _local(environment, launcher)
            processes.append(Process(rank, size, source, local))
    return [process._replace(local=_agreed_local(process, processes)) for process in processes]


def _agreed_local(process: Process, others: list[Process]) -> tuple[int, int] | None:
    """Its place on the host, from any launcher that numbers the processes the same.

    With ``srun --mpi=pmi2``, which sets PMI_RANK, only SLURM's variables know it.
    """
    same = (other for other in others if other[:2] == process[:2])
    return next((other.local for other in same if other.local is not None), None)


def _local(environment: Mapping[str, str], launcher: Launcher) -> tuple[int, int] | None:
    rank, size = (environment.get(name, "") for name in launcher[3:])
    if launcher.local_size == "SLURM_GTIDS":  # a list such as "4,5,6,7"
        size = str(len(size.split(",")))
    if not (_is_number(rank) and _is_number(size) and int(rank) < int(size)):
        return None
    return int(rank), int(size)


def _of_tpu_hosts(environment: Mapping[str, str]) -> Iterable[Process]:
    """One process on each host of a Cloud TPU, which may have several slices of as many hosts."""
    names = environment.get("TPU_WORKER_HOSTNAMES")
    if names and environment.get("TPU_WORKER_ID"):
        n_hosts = len(names.split(","))
        slices = {"MEGASCALE_SLICE_ID": "0", "MEGASCALE_NUM_SLICES": "1", **environment}
        host, part, n_slices = (
            _number(slices, name)
            for name in ("TPU_WORKER_ID", "MEGASCALE_SLICE_ID", "MEGASCALE_NUM_SLICES")
        )
        source = "TPU_WORKER_ID and TPU_WORKER_HOSTNAMES"
        _check_rank(host, n_hosts, source)
        rank, size = part * n_hosts + host, n_slices * n_hosts
        _check_rank(rank, size, f"{source}, MEGASCALE_SLICE_ID and MEGASCALE_NUM_SLICES")
        yield Process(rank, size, source)


def _array_task(environment: Mapping[str, str]) -> Process | None:
    """The task of a SLURM job array: its place among MIN, MIN + STEP, …, MAX."""
    prefix = "SLURM_ARRAY_TASK_"
    if not environment.get(f"{prefix}ID"):
        return None
    names = [prefix + name for name in ("ID", "COUNT", "MIN", "MAX", "STEP")]
    task, count, first, last, step = (_number(environment, name) for name in names)
    source = f"{prefix}ID and {prefix}COUNT"
    if step < 1 or last != first + (count - 1) * step or (task - first) % step:
        raise ElmoError(
            f"The tasks of the job array are not evenly numbered ({_shown(environment, names)}). "
            f"Use an array such as --array=1-{max(count, 2)}. {_NAME_IT}"
        )
    rank = (task - first) // step
    _check_rank(rank, count, source)
    return Process(rank, count, source)


def _is_number(value: str) -> bool:
    return re.fullmatch("[0-9]{1,9}", value) is not None


def _number(environment: Mapping[str, str], name: str) -> int:
    if not _is_number(value := environment.get(name, "")):
        shown = shortened(value) if value else "not set"
        raise ElmoError(f"The variable {name} is {shown}, expected a whole number. {_NAME_IT}")
    return int(value)


def _check_rank(rank: int, size: int, source: str) -> None:
    if not 0 <= rank < size:
        raise ElmoError(
            f"Process {rank} of {size} ({source}): expected a number from 0 to below the number "
            f"of processes. {_NAME_IT}"
        )


def _shown(environment: Mapping[str, str], names: Iterable[str]) -> str:
    return ", ".join(f"{name} is {environment.get(name)}" for name in names)


def _not_found(environment: Mapping[str, str]) -> str:
    pairs = [f"{launcher.rank} with {launcher.size}" for launcher in LAUNCHERS]
    looked_for = ", ".join(dict.fromkeys(pairs))
    hint = ""
    if environment.get("SLURM_JOB_ID"):
        hint = " This is a SLURM job, but srun has not started the process: use `srun elmo-jax …`."
    elif environment.get("JOB_COMPLETION_INDEX"):
        hint = (
            " JOB_COMPLETION_INDEX is set, but Kubernetes does not tell a pod how many there are: "
            "use shard=(JOB_COMPLETION_INDEX + 1, n)."
        )
    return (
        "Nothing says which shard this process makes. Looked for jax.distributed, if it is "
        f"initialized; {looked_for}; TPU_WORKER_ID with TPU_WORKER_HOSTNAMES; and "
        f"SLURM_ARRAY_TASK_ID with SLURM_ARRAY_TASK_COUNT.{hint} {_NAME_IT}"
    )
