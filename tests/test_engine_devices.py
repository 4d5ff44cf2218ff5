"""Several devices: four that one CPU pretends to be, in a process of its own."""

import os
import re
import subprocess
import sys

import jax
import pytest

import elmo_jax

PROGRAM = """
import dataclasses, sys
import jax, numpy as np
import elmo_jax
from elmo_jax.engine import engine, plan, run
from elmo_jax.model import init_params

config = elmo_jax.ElmoConfig.preset("tiny")
params = init_params(config, seed=0)
sizes = dataclasses.replace(
    getattr(plan, sys.argv[1]), lane_shapes=(16,), window_tokens=512, word_rows=(512, 512)
)
rng = np.random.default_rng(0)
texts = [[f"w{n}" for n in rng.integers(9, size=size)] for size in rng.integers(0, 30, 400)]
tokens, compiled, where = np.zeros(4), [], set()
read_lanes = run.read_lanes

def spy(*arguments):
    rows = arguments[4]
    outputs, state = read_lanes(*arguments)
    if isinstance(rows, jax.Array) and len(rows.devices()) == 4:
        for shard in rows.addressable_shards:
            tokens[shard.device.id] += (np.asarray(shard.data) > 0).sum()
        if not compiled:
            compiled.append(read_lanes.lower(*arguments).compile().as_text())
        where.update(str(x.sharding.shard_shape(x.shape)[1]) for x in jax.tree.leaves(outputs))
    return outputs, state

run.read_lanes = spy
all_, one = (engine.Engine(config, params, "float32", devices=devices, plan=sizes)
             for devices in (None, jax.devices()[:1]))
elmo = elmo_jax.Elmo.from_params(config, params)
for layers, pooling in (("all", None), ("top", "mean")):
    request = elmo._request(layers, pooling, None, 1.0, "float32")
    pairs = zip(all_.run(texts, request), one.run(texts, request), strict=True)
    print("difference", max(float(np.abs(a - b).max(initial=0)) for a, b in pairs))
print("tokens", *tokens)
print("lanes", *where)
print("collectives", *sorted(word for word in (
    "all-gather", "all-reduce", "all-to-all", "collective-permute") if word in compiled[0]))
few = elmo.embed([["a", "bank"]])[0]
print("few", few.shape)
"""


@pytest.mark.parametrize("device", ["CPU", "ACCELERATOR"])
def test_four_devices_give_the_vectors_of_one_and_share_the_work(device):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, device],
        capture_output=True,
        text=True,
        env=os.environ | flags,
    )
    assert found.returncode == 0, found.stderr
    differences = [float(x) for x in re.findall(r"difference (\S+)", found.stdout)]
    # The same local shapes; sentences may lie in another lane.
    assert len(differences) == 2 and max(differences) <= 5e-6, found.stdout
    tokens = [float(x) for x in re.search(r"tokens (.*)", found.stdout)[1].split()]
    assert len(tokens) == 4 and max(tokens) < 1.05 * min(tokens), found.stdout
    assert "lanes 16\n" in found.stdout
    assert "collectives\n" in found.stdout
    assert "few (3, 2, 64)" in found.stdout


def test_devices_that_are_none_are_refused():
    device = jax.devices()[0]
    for devices in ("cpu", [], [device, device], [0]):
        with pytest.raises(elmo_jax.ElmoError, match=r"devices=.*expected None"):
            elmo_jax.Elmo(devices=devices)
