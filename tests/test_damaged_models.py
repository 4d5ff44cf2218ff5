"""Damaged files of models: what opens is the same model, or there is an error.

Formats without a checksum let a changed number through, which nothing can tell from a right one;
such files are named in `FORMATS`, and such cases are counted apart.
"""

import importlib.util
import json
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from damage import damaged
from opening import Apart
from random_models import random_lexicon_model, random_model, write_lexicon_model, write_model
from tally import Tally, attempts
from tensor_bundles import random_softmax, variables_of, write_bundle
from torch_files import state_dict, zipped

from elmo_jax import ElmoConfig, save
from elmo_jax.model.parameters import datasets, unflatten

FEW, MANY = 50, 3_000
WORDS = ["<S>", "</S>", "<UNK>", "the", "bank", "of"]


def small_model(seed=0):
    return random_model(seed, filters=((1, 2), (2, 2)), dim=5, projection_dim=3, n_layers=1)


def torch_tensors(options, weights):
    """The weights of a published file as AllenNLP's state dict has them."""
    tensors = {}
    prefix = "embedder.token_embedder_elmo._elmo._elmo_lstm."
    table = weights["char_embed"]
    padded = np.concatenate([np.zeros_like(table[:1]), table])
    tensors[f"{prefix}_token_embedder._char_embedding_weights"] = padded
    for i in range(2):
        name = f"{prefix}_token_embedder.char_conv_{i}"
        tensors[f"{name}.weight"] = weights[f"CNN/W_cnn_{i}"][0].transpose(2, 1, 0)
        tensors[f"{name}.bias"] = weights[f"CNN/b_cnn_{i}"]
    highway = f"{prefix}_token_embedder._highways._layers.0"
    for kind, suffix in (("W", "weight"), ("b", "bias")):
        carry, transform = (weights[f"CNN_high_0/{kind}_{part}"] for part in ("carry", "transform"))
        tensors[f"{highway}.{suffix}"] = np.concatenate([transform.T, -carry.T])
    tensors[f"{prefix}_token_embedder._projection.weight"] = weights["CNN_proj/W_proj"].T
    tensors[f"{prefix}_token_embedder._projection.bias"] = weights["CNN_proj/b_proj"]
    for d, direction in enumerate(("forward", "backward")):
        cell = f"RNN_{d}/RNN/MultiRNNCell/Cell0/LSTMCell"
        name = f"{prefix}_elmo_lstm.{direction}_layer_0"
        kernel = weights[f"{cell}/W_0"].T
        tensors[f"{name}.input_linearity.weight"] = kernel[:, :3]
        tensors[f"{name}.state_linearity.weight"] = kernel[:, 3:]
        tensors[f"{name}.state_linearity.bias"] = weights[f"{cell}/B"]
        tensors[f"{name}.state_projection.weight"] = weights[f"{cell}/W_P_0"].T
    mix = prefix.removesuffix("_elmo_lstm.") + "scalar_mix_0"
    for layer in range(2):
        tensors[f"{mix}.scalar_parameters.{layer}"] = np.ones(1)
    tensors[f"{mix}.gamma"] = np.ones(1)
    return tensors


def hdf5(folder):
    write_model(folder, *small_model())


def compressed_hdf5(folder):
    options, weights = small_model()
    write_model(folder, options, {})
    with h5py.File(folder / "weights.hdf5", "w") as file:
        for name, array in weights.items():
            file.create_dataset(name, data=array, compression="gzip", fletcher32=True, shuffle=True)


def checkpoint(folder):
    options, weights = small_model()
    write_model(folder, options, {})
    (folder / "weights.hdf5").unlink()
    variables = {**variables_of(weights), **random_softmax(len(WORDS), 3)}
    write_bundle(folder / "model.ckpt-7", variables)
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"\n')
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")


def hub_module(folder):
    _, weights = small_model()
    write_bundle(folder / "variables" / "variables", variables_of(weights, "bilm"))


def allennlp(folder):
    options, weights = small_model()
    folder.mkdir()
    (folder / "weights.th").write_bytes(state_dict(torch_tensors(options, weights), zipped))
    embedder = {"type": "elmo_token_embedder", "options_file": "o.json", "do_layer_norm": False}
    (folder / "config.json").write_text(
        json.dumps({"model": {"token_embedders": {"elmo": embedder}}})
    )


def allennlp_stream(folder):
    allennlp(folder)
    (folder / "weights.th").write_bytes(state_dict(torch_tensors(*small_model())))


def manylangs(folder):
    sizes = {"filters": ((1, 2), (2, 2)), "dim": 5, "projection_dim": 3, "n_layers": 1}
    write_lexicon_model(folder, *random_lexicon_model(0, **sizes))


def native(folder):
    options, weights = small_model()
    config, flat = ElmoConfig.from_options(options), {}
    for dataset in datasets(config):
        if not dataset.optional:
            flat |= dataset.to_params(weights[dataset.name])
    save(folder, config, unflatten(flat))


def packed_zip(folder):
    folder.mkdir()
    hdf5(folder / "model")
    with zipfile.ZipFile(folder / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "model").iterdir()):
            archive.write(path, path.name)


def packed_tar_gz(folder):
    folder.mkdir()
    allennlp(folder / "model")
    with tarfile.open(folder / "m.tar.gz", "w:gz") as archive:
        for path in sorted((folder / "model").iterdir()):
            archive.add(path, path.name)


DATA = ".data-00000-of-00001"
UNVERIFIED = importlib.util.find_spec("google_crc32c") is None  # which checks numbers of TensorFlow

FORMATS = {
    # What to write; what to open; the files whose changed bytes may go unnoticed.
    hdf5: ("", ["weights.hdf5", "options.json"]),
    compressed_hdf5: ("", ["options.json", "weights.hdf5"]),
    checkpoint: (
        "",
        ["options.json", "checkpoint", "vocab.txt", *[f"model.ckpt-7{DATA}"] * UNVERIFIED],
    ),
    hub_module: ("", [f"variables{DATA}"] * UNVERIFIED),
    allennlp: ("", ["config.json"]),
    allennlp_stream: ("", ["weights.th", "config.json"]),
    manylangs: (
        "",
        ["encoder.pkl", "token_embedder.pkl", "word.dic", "char.dic", "cnn.json", "config.json"],
    ),
    native: ("", ["config.json", "model.safetensors"]),
    packed_zip: ("m.zip", []),
    packed_tar_gz: ("m.tar.gz", []),
}


def campaign(apart, tmp_path, write, n, seed):
    folder = tmp_path / "m"
    write(folder)
    source, without_checksum = FORMATS[write]
    arguments = {"source": str(folder / source) if source else str(folder)}
    targets = [folder / source] if source else sorted(p for p in folder.rglob("*") if p.is_file())
    # An equal share for each file, but more for the larger ones.
    weights = [max(path.stat().st_size, 300) for path in targets]
    changed = dict.fromkeys((path.name for path in targets), 0)
    kind_of_file = write.__name__.replace("_", " ")
    with Tally(f"damaged files of a model: {kind_of_file}") as tally:
        kind, right = apart.open({}, arguments)
        assert kind == "opened", right
        for number, path in enumerate(targets):
            content = path.read_bytes()
            share = max(5, n * weights[number] // sum(weights))
            for what, copy in damaged(content, share, seed + number):
                kind, result = apart.open({str(path): copy}, arguments)
                case = f"{path.name}, seed {seed + number}: {what}"
                if kind == "refused":
                    tally.refused()
                elif kind == "opened" and result == right:
                    tally.right()
                elif kind == "opened" and path.name in without_checksum:
                    changed[path.name] += 1
                else:
                    tally.wrong(f"{case}: {result if kind == 'wrong' else 'another model'}")
            path.write_bytes(content)
    print(json.dumps({"opened with other numbers, which no checksum tells": changed}))
    return changed


@pytest.fixture(scope="module")
def apart():
    with Apart() as process:
        yield process


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_a_damaged_model_is_right_or_refused(apart, tmp_path, write):
    campaign(apart, tmp_path, write, FEW, 1)


@pytest.mark.slow
@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_many_damaged_models_are_right_or_refused(apart, tmp_path, write):
    campaign(apart, tmp_path, write, attempts(MANY), 1_000)
