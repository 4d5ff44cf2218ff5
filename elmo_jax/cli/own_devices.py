"""The devices of one process among several on a host, chosen before JAX takes all of them.

JAX opens every GPU that it sees and takes most of the memory of those it uses, so processes that
share a host must not see each other's. A launcher may have seen to that, or show all to each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

# What CUDA and ROCm show to a process, by numbers or identifiers with commas between them.
_CUDA, _ROCM = "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"


def own_devices(
    local: tuple[int, int] | None, environment: Mapping[str, str], n_nvidia: int
) -> dict[str, str]:
    """The variables to set, so that process i of n on a host sees its share of the devices.

    There are none if ``local`` (i from 0, n) is unknown, if the launcher has divided the devices,
    or if they cannot be divided evenly. ``n_nvidia`` is the number of NVIDIA's GPUs on the host,
    for environments that name none.
    """
    if local is None or local[1] == 1 or _are_divided(environment):
        return {}
    visible = {name: environment[name] for name in (_CUDA, _ROCM) if environment.get(name)}
    if not visible and _CUDA not in environment:
        visible = {_CUDA: ",".join(map(str, range(n_nvidia)))}
    shares = {name: _share(value.split(","), *local) for name, value in visible.items()}
    return {name: ",".join(share) for name, share in shares.items() if share}


def count_nvidia() -> int:
    """The number of NVIDIA's GPUs that this host, or its container, has."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def _are_divided(environment: Mapping[str, str]) -> bool:
    """Whether SLURM shows each task its own devices only."""
    binding = environment.get("SLURM_GPU_BIND", "")
    if binding:
        return not binding.endswith("none")
    per_task = environment.get("SLURM_TRES_PER_TASK", "")  # it may speak of CPUs only
    return bool(environment.get("SLURM_GPUS_PER_TASK")) or "gpu" in per_task


def _share(devices: Sequence[str], i: int, n: int) -> Sequence[str]:
    n_each, remainder = divmod(len(devices), n)
    return () if remainder else devices[i * n_each : (i + 1) * n_each]
