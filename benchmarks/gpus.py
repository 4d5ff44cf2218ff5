"""GPUs that need not be there for XLA to compile for them: what it has to be told of each.

The facts are those that the vendor gives of the SXM parts. Compiling for one of them takes JAX's
CUDA plugin (``pip install "jax[cuda12]"``), and ``JAX_PLATFORMS=cpu`` in the environment where
there is no GPU.
"""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU by what its vendor says of it.

    Attributes:
        name: as its driver gives it.
        memory: bytes.
        bandwidth: bytes/s of it.
        gflops: of products, by precision.
    """

    name: str
    memory: int
    bandwidth: float
    gflops: dict[str, float]

    def device(self) -> jax.Device:
        """Something to compile for.

        Raises:
            ElmoError: without the plugin.
        """
        facts = _HOPPER.format(name=self.name, memory=self.memory, bandwidth=int(self.bandwidth))
        try:
            topology: Any = topologies.get_topology_desc(
                platform="cuda", topology_name="", target_config=facts, topology="1x1x1"
            )
        except Exception as error:  # whatever a missing or broken plugin raises
            raise ElmoError(
                f"Cannot compile for {self.name} without one: {error}. Expected JAX's CUDA plugin "
                '(pip install "jax[cuda12]") and, where there is no GPU, JAX_PLATFORMS=cpu.'
            ) from error
        device: jax.Device = topology.devices[0]
        return device


_RATES = {"float32": 67e3, "tf32": 495e3, "bfloat16": 989e3}

GPUS = {
    "h100": Gpu("NVIDIA H100 80GB HBM3", 80 * 10**9, 3.35e12, _RATES),
    "h200": Gpu("NVIDIA H200", 141 * 10**9, 4.8e12, _RATES),
}
