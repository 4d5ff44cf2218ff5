"""Is a batch that is sharded over devices the same as on one? On fake devices of a CPU.

``python -m benchmarks.devices MODEL`` does the check, in a process where XLA_FLAGS asks for several
CPU devices; ``check_on_fake_devices`` starts that process. It says nothing about speed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.files import to_json

from .measure import SUMS, assert_equal

N_DEVICES = 4
_SENTENCES = [["The", "bank", "of", "the", "river"], ["Hi"], ["She", "sat", "."], ["By", "it"]]


def fake_devices() -> dict[str, str]:
    """The environment of a process that has N_DEVICES fake devices, and runs this checkout."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={N_DEVICES}"
    # The folder of this checkout first, so that the process runs what this one does.
    paths = [str(Path(__file__).resolve().parents[1]), *filter(None, sys.path)]
    return {
        **os.environ,
        "XLA_FLAGS": flags.strip(),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(paths),
    }


def check_on_fake_devices(model: Path) -> dict[str, Any]:
    """Run the check in a process with N_DEVICES fake devices.

    Raises:
        ElmoError: if the vectors differ, or the process fails.
    """
    command = [sys.executable, "-m", "benchmarks.devices", str(model)]
    result = subprocess.run(
        command, env=fake_devices(), capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise ElmoError(f"The check on {N_DEVICES} fake devices failed: {result.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def check(model: str) -> dict[str, Any]:
    """Compare a batch sharded over all devices with the same batch on the first of them."""
    config, params = elmo_jax.load(model)
    sentences = _SENTENCES * len(jax.devices())
    char_ids, lengths = elmo_jax.encode_batch(sentences, config)
    expected = elmo_jax.layer_outputs(params, char_ids, lengths, config=config)

    mesh = Mesh(np.array(jax.devices()), ("sentences",))
    rows = NamedSharding(mesh, PartitionSpec("sentences"))  # type: ignore[no-untyped-call]
    everywhere = NamedSharding(mesh, PartitionSpec())  # type: ignore[no-untyped-call]
    found = elmo_jax.layer_outputs(
        jax.device_put(params, everywhere),
        jax.device_put(char_ids, rows),
        jax.device_put(lengths, rows),
        config=config,
    )
    if len(found.sharding.device_set) != len(jax.devices()):
        raise ElmoError(
            f"The batch was to run on {len(jax.devices())} devices, but its vectors are on "
            f"{len(found.sharding.device_set)}."
        )
    one, other = list(np.asarray(found)), list(np.asarray(expected))
    difference = assert_equal("The sharded batch", one, other, SUMS)
    return {"devices": len(jax.devices()), "largest_difference": difference}


if __name__ == "__main__":
    print(to_json(check(sys.argv[1])))
