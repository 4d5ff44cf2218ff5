"""Compilers of devices that are not here.

JAX's plugin for CUDA, and libtpu, compile for a device by its description alone. They belong in a
folder of their own, or JAX looks for their devices in every other process too::

    python -m pip install --no-deps --target FOLDER $(python -m benchmarks.absent)
    JAX_PLATFORMS=cpu PYTHONPATH=FOLDER python -m benchmarks compiled --for v5e
"""

from __future__ import annotations

import dataclasses
import os
import re
from importlib import metadata
from typing import Any

import jax
from jax.experimental import topologies

from elmo_jax import ElmoError

_HOPPER = """
gpu_device_info {{
  cuda_compute_capability {{ major: 9 }}
  core_count: 132  fpus_per_core: 128  clock_rate_ghz: 1.98
  threads_per_block_limit: 1024  threads_per_warp: 32  threads_per_core_limit: 2048
  shared_memory_per_block: 49152  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  registers_per_core_limit: 65536  registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  l2_cache_size: 52428800
  memory_bandwidth: {bandwidth}  device_memory_size: {memory}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9  minor: 10 }}
runtime_version {{ major: 12  minor: 9 }}
device_description_str: "{name}"
"""

_TPU_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",  # else it asks a server in Google's network which TPU this is
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no TPU is used, so processes need not take turns
}


@dataclasses.dataclass(frozen=True)
class Absent:
    """A device, with the vendor's figures in bytes, bytes per second and operations per second."""

    name: str
    platform: str
    memory: int
    bandwidth: int
    bfloat16_rate: int

    @property
    def compiler_options(self) -> dict[str, Any]:
        # XLA chooses among its own kernels for products by timing them; cuBLAS it can just call.
        return {"xla_gpu_enable_triton_gemm": False} if self.platform == "gpu" else {}


_GB, _GB_PER_S, _TFLOP_PER_S = 10**9, 10**9, 10**12
DEVICES = {
    "h100": Absent("NVIDIA H100 80GB HBM3", "gpu", 80 * _GB, 3350 * _GB_PER_S, 989 * _TFLOP_PER_S),
    "h200": Absent("NVIDIA H200", "gpu", 141 * _GB, 4800 * _GB_PER_S, 989 * _TFLOP_PER_S),
    "v5e": Absent("TPU v5e", "tpu", 16 * _GB, 819 * _GB_PER_S, 197 * _TFLOP_PER_S),
    "v6e": Absent("TPU v6e", "tpu", 32 * _GB, 1640 * _GB_PER_S, 918 * _TFLOP_PER_S),
}
"""One GPU (SXM), or one chip of four in a slice of 2 × 2."""


def open_devices(name: str) -> list[jax.Device]:
    """The devices to compile for: one GPU, or four TPU chips."""
    try:
        topology = _tpu(name) if DEVICES[name].platform == "tpu" else _gpu(DEVICES[name])
    except Exception as error:  # whatever a missing or broken compiler raises
        raise ElmoError(
            f"Cannot compile for {DEVICES[name].name} without one: {error}. Expected a compiler "
            f"that fits this JAX (pip install --no-deps {' '.join(requirements())}) and, where "
            "there is no such device, JAX_PLATFORMS=cpu."
        ) from error
    devices: list[jax.Device] = list(topology.devices)
    return devices


def _tpu(name: str) -> Any:
    for key, value in _TPU_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    return topologies.get_topology_desc(platform="tpu", topology_name=f"{name}:2x2")


def _gpu(gpu: Absent) -> Any:
    figures = {"name": gpu.name, "memory": gpu.memory, "bandwidth": gpu.bandwidth}
    options: Any = {"target_config": _HOPPER.format(**figures), "topology": "1x1x1"}
    return topologies.get_topology_desc(platform="cuda", topology_name="", **options)


def requirements() -> list[str]:
    """What pip installs to have the compilers that fit the JAX that is installed."""
    of_jax = " ".join(metadata.requires("jax") or ())
    libtpu = re.search(r"libtpu==[\d.*]+", of_jax)
    plugins = (f"jax-cuda12-{part}=={jax.__version__}" for part in ("plugin", "pjrt"))
    return [libtpu[0] if libtpu else "libtpu", *plugins]


if __name__ == "__main__":
    print(*requirements())
