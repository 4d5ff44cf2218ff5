"""Several devices: four that one CPU pretends to be, in a process of its own."""

import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import elmo_jax
from elmo_jax.model.bilm import init_params

PROGRAM = """
import dataclasses, sys
import jax, numpy as np
import elmo_jax
from elmo_jax.engine import engine, plan, run
from elmo_jax.model.bilm import init_params

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
short = elmo.embed([["a", "bank"]])[0]
print("short", short.shape)

ids, lengths = elmo_jax.encode_batch(texts[:4], config)
plain = elmo_jax.layer_outputs(params, ids, lengths, config=config)
alone = elmo_jax.Elmo.from_params(config, params, devices=jax.devices()[3:])
for axis_type in jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit:
    if not hasattr(jax, "set_mesh"):
        break
    with jax.set_mesh(jax.make_mesh((4,), ("mine",), axis_types=(axis_type,))):
        inside = elmo_jax.Elmo.from_params(config, params)
        for model in (elmo, inside, alone):
            print("difference", float(np.abs(model.embed([["a", "bank"]])[0] - short).max()))
            pooled = model.embed_sentences(["a bank"] * 99, "all")
            print("difference", float(np.abs(pooled - short.mean(1)).max()))
        outputs = elmo_jax.layer_outputs(params, ids, lengths, config=config)
        print("difference", float(np.abs(np.asarray(outputs) - np.asarray(plain)).max()))
        rows = jax.device_put((ids, lengths), jax.sharding.PartitionSpec("mine"))
        outputs = elmo_jax.layer_outputs(params, *rows, config=config)
        print("difference", float(np.abs(np.asarray(outputs) - np.asarray(plain)).max()))
        print("rows", *{str(x.data.shape[0]) for x in outputs.addressable_shards})
"""


@pytest.mark.parametrize("device", [pytest.param("CPU", marks=pytest.mark.slow), "GPU"])
def test_four_devices_give_the_vectors_of_one_and_share_the_work(device):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, device],
        capture_output=True,
        text=True,
        env=os.environ | flags,
    )
    assert process.returncode == 0, process.stderr
    differences = [float(x) for x in re.findall(r"difference (\S+)", process.stdout)]
    # The same local shapes; sentences may lie in another lane.
    assert len(differences) == 2 + 2 * 8 * hasattr(jax, "set_mesh") and max(differences) <= 5e-6, (
        process.stdout
    )
    tokens = [float(x) for x in re.search(r"tokens (.*)", process.stdout)[1].split()]
    assert len(tokens) == 4 and max(tokens) < 1.05 * min(tokens), process.stdout
    assert "lanes 16\n" in process.stdout
    assert "collectives\n" in process.stdout
    assert process.stdout.count("rows 1\n") == 2 * hasattr(jax, "set_mesh")
    assert "short (3, 2, 64)" in process.stdout


def meshes():
    """Contexts in which a user has set a mesh of the only device."""
    for axis_type in (jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit):
        mesh = jax.make_mesh((1,), ("mine",), axis_types=(axis_type,), devices=jax.devices()[:1])
        yield jax.set_mesh(mesh)


needs_set_mesh = pytest.mark.skipif(
    not hasattr(jax, "set_mesh"), reason="this JAX has no jax.set_mesh"
)


@needs_set_mesh
@pytest.mark.parametrize("devices", [None, jax.devices()[:1]], ids=["usual", "named"])
def test_an_elmo_works_inside_a_mesh_of_the_users(devices):
    config = elmo_jax.ElmoConfig.preset("tiny")
    params = init_params(config, seed=0)
    texts = [["a", "bank"], [], ["x"] * 20]
    outside = elmo_jax.Elmo.from_params(config, params, devices=devices)
    expected = outside.embed(texts)
    suspended = outside.stream(texts)
    begun = next(suspended)
    for mesh in meshes():
        with mesh:
            inside = elmo_jax.Elmo.from_params(config, params, devices=devices)
            results = outside.embed(texts), inside.embed(texts), [begun, *suspended]
            suspended = inside.stream(texts)
            begun = next(suspended)
            pooled = outside.embed_sentences(texts, "mix", "max", mix_weights=[1, 2, 3])
        for vectors in results:
            for one, other in zip(vectors, expected, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-6)
        np.testing.assert_allclose(
            pooled, outside.embed_sentences(texts, "mix", "max", mix_weights=[1, 2, 3]), atol=1e-6
        )
    assert len([begun, *suspended]) == 3  # outside again


@pytest.mark.slow
@needs_set_mesh
def test_the_functions_work_inside_a_mesh_of_the_users():
    config = elmo_jax.ElmoConfig.preset("tiny")
    params = init_params(config, seed=0)
    batch = params, *elmo_jax.encode_batch([["a", "bank"], ["x"]], config)

    def call(params, char_ids, lengths):
        batch, state = (params, char_ids, lengths), elmo_jax.initial_state(config, 1)
        return (
            elmo_jax.layer_outputs(*batch, config=config),
            elmo_jax.layer_outputs(*batch, config=config, boundaries=True),
            *elmo_jax.layer_outputs_with_state(*batch, state, config=config),
            elmo_jax.pooled_sentences(*batch, config=config),
        )

    def divided(char_ids):
        return jax.device_put(char_ids, jax.sharding.PartitionSpec("mine"))

    expected = call(*batch)
    for mesh in meshes():
        with mesh:
            divided_batch = (params, *map(divided, batch[1:]))
            for results in call(*batch), call(*divided_batch), jax.jit(call)(*divided_batch):
                jax.tree.map(
                    lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6),
                    *[jax.tree.map(np.asarray, tree) for tree in (results, expected)],
                )


def test_devices_that_are_none_are_refused():
    device = jax.devices()[0]
    for devices in ("cpu", [], [device, device], [0]):
        with pytest.raises(elmo_jax.ElmoError, match=r"devices=.*expected None"):
            elmo_jax.Elmo(devices=devices)
