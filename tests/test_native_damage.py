"""Damaged native models: opening gives the same model bit for bit, or an error."""

import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from checkpoint_files import edit_config, edit_json, message_of
from damage import damaged, flipped
from safetensors.numpy import load_file, save_file
from tally import Tally

from elmo_jax import ElmoConfig, ElmoError, load, pretrained, save
from elmo_jax.checkpoint import native_config, open_source, open_vocabulary
from elmo_jax.checkpoint.digests import tensor_digest
from elmo_jax.model.alphabet import Alphabet
from elmo_jax.model.parameters import datasets, flatten, unflatten

WORDS = ["<S>", "</S>", "<UNK>", "the", "of", "bank"]
CHARACTERS = ["<bos>", "<eos>", "<oov>", "<bow>", "<eow>", "<pad>", *"bankthe"]
SIZES = {"filters": ((1, 2), (2, 3)), "char_embedding_dim": 3, "projection_dim": 4, "cell_dim": 5}
ALPHABET = Alphabet(["<bos>", "<eos>", "<oov>", "the", "bank"], CHARACTERS)
KINDS = {
    "bytes": ElmoConfig(**SIZES),
    "lexicon": ElmoConfig(**SIZES, token_layer="lexicon", word_dim=3, alphabet=ALPHABET),
}


def random_params(config):
    """Parameters with a softmax over WORDS."""
    rng, flat = np.random.default_rng(0), {}
    for dataset in datasets(config):
        if not dataset.optional or dataset.name.startswith("softmax"):
            shape = [size or len(WORDS) for size in dataset.shape]
            flat |= dataset.to_params(rng.normal(size=shape).astype(np.float32))
    return unflatten(flat)


def write_model(folder, kind="bytes", dtype=None):
    config = KINDS[kind]
    metadata = {"origin": "ein Märchen", "training": {"reset_state": True, "step": 3}}
    params = random_params(config)
    save(folder, config, params, vocabulary=WORDS, dtype=dtype, metadata=metadata)
    return folder


def whole(source):
    """All that a model says, as one value that can be compared."""
    opened = open_source(source)
    words = open_vocabulary(source, opened)
    arrays = {path: array.tobytes() for path, array in flatten(opened.params).items()}
    return opened.config, arrays, opened.remarks, words and words.words


def open_damaged(tally, source, path, n, seed=0):
    """Open the source with each damaged copy of one of its files, and count."""
    content, expected = path.read_bytes(), whole(source)
    for what, changed in damaged(content, n, seed):
        path.write_bytes(changed)
        try:
            found = whole(source)
        except ElmoError:
            tally.refused()
            continue
        except Exception as error:
            tally.wrong(f"{path.name}, {what} (seed {seed}): {error!r}")
            continue
        if found == expected or (found[:3] == expected[:3] and found[3] is None):
            tally.right()
        else:
            tally.wrong(f"{path.name}, {what} (seed {seed}): another model")
    path.write_bytes(content)


def archive_of(folder, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, file.name)
    else:
        with tarfile.open(path, "w") as archive:
            for file in sorted(folder.iterdir()):
                archive.add(file, file.name)
    return path


@pytest.mark.parametrize(
    ("n", "seed"), [(25, 0), pytest.param(600, 1, marks=pytest.mark.slow)], ids=["some", "many"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_folder_opens_as_it_was_or_not_at_all(tmp_path, kind, n, seed):
    folder = write_model(tmp_path / "model", kind, "float16" if kind == "bytes" else None)
    with Tally(f"damage to a file of a native model ({kind})") as tally:
        for path in sorted(folder.iterdir()):
            open_damaged(tally, folder, path, n, seed)


@pytest.mark.parametrize(
    ("n", "seed"), [(30, 0), pytest.param(500, 1, marks=pytest.mark.slow)], ids=["some", "many"]
)
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_a_damaged_archive_opens_as_it_was_or_not_at_all(tmp_path, suffix, n, seed):
    path = archive_of(write_model(tmp_path / "model", "lexicon"), tmp_path / f"model{suffix}")
    with Tally(f"damage to a {suffix} of a native model") as tally:
        open_damaged(tally, path, path, n, seed)


@pytest.mark.parametrize(
    ("n", "seed"), [(3, 0), pytest.param(100, 1, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_damage_to_the_bundled_model_is_noticed(tmp_path, n, seed):
    folder = shutil.copytree(pretrained.fetch("mini"), tmp_path / "mini")
    with Tally("damage to a file of the bundled model") as tally:
        for name in ("config.json", "model.safetensors", "vocab.txt"):
            open_damaged(tally, folder, folder / name, n, seed)


def test_any_flipped_bit_of_a_small_config_is_noticed(tmp_path):
    """All of them in one text: those of spaces and of escapes may change nothing."""
    folder = write_model(tmp_path / "model")
    text = (folder / "config.json").read_bytes()
    expected = native_config.parse_content(text, "it")
    with Tally("a flipped bit in the configuration of a native model") as tally:
        for position in range(len(text)):
            try:
                found = native_config.parse_content(flipped(text, position, position % 8), "it")
            except ElmoError:
                tally.refused()
                continue
            if found == expected:
                tally.right()
            else:
                tally.wrong(f"bit {position % 8} of byte {position}")


def test_a_changed_weight_is_named_and_opens_if_asked_to(tmp_path):
    folder = write_model(tmp_path / "model")
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["forward.layers_0.bias"][3] += 1
    save_file(tensors, path)
    assert message_of(load, folder) == (
        f"{path} is not what was saved with this model: config.json has other digests of "
        "forward.layers_0.bias. The file is damaged, or belongs to another model: copy the whole "
        "folder again. If you changed it yourself, open it with verify=False and save it."
    )
    config, params = load(folder, verify=False)
    assert params["forward"]["layers_0"]["bias"][3] == tensors["forward.layers_0.bias"][3]
    save(folder, config, params, overwrite=True)
    load(folder)


def test_a_changed_configuration_is_refused_and_opens_if_asked_to(tmp_path):
    folder = write_model(tmp_path / "model")
    edit_json(folder / "config.json", lambda content: content["config"].update(cell_clip=4))
    assert message_of(load, folder).startswith(
        f"{folder / 'config.json'} is not what was saved: it has a digest of itself that"
    )
    assert load(folder, verify=False)[0].cell_clip == 4


def test_a_configuration_of_one_model_does_not_open_the_weights_of_another(tmp_path):
    write_model(tmp_path / "one")
    config, params = load(tmp_path / "one")
    params["backward"]["layers_1"]["bias"] = -params["backward"]["layers_1"]["bias"]
    save(tmp_path / "two", config, params)
    shutil.copy(tmp_path / "one" / "config.json", tmp_path / "two")
    assert "has other digests of backward.layers_1.bias" in message_of(load, tmp_path / "two")


def test_a_model_without_digests_opens(tmp_path):
    """Version 1 had none."""
    folder = write_model(tmp_path / "model", "lexicon")
    expected = whole(folder)

    def as_version_1(content):
        del content["tensors"], content["sha256"]
        content["version"] = 1

    edit_json(folder / "config.json", as_version_1)
    assert whole(folder) == expected


def test_a_model_of_this_version_must_have_its_digests(tmp_path):
    folder = write_model(tmp_path / "model")
    edit_json(folder / "config.json", lambda content: content.pop("sha256"))
    assert "is not what was saved" in message_of(load, folder)
    edit_config(folder, lambda content: content.pop("tensors"))
    assert "expected 'tensors' with the digest of each, got None" in message_of(load, folder)


def test_a_record_of_another_number_of_words_is_noticed(tmp_path):
    folder = write_model(tmp_path / "model")
    edit_config(folder, lambda content: content["vocabulary"].update(size=7))
    assert message_of(load, folder) == (
        f"{folder}: the softmax has 6 words, but the record of its vocabulary has 7. Its files "
        "belong to different models."
    )


def test_the_digest_of_a_tensor_has_its_type_and_its_shape():
    zeros = np.zeros((2, 3), np.float16)
    others = [zeros.reshape(3, 2), zeros.view(np.int16), np.zeros((2, 3), np.float32)]
    assert tensor_digest(zeros) == tensor_digest(zeros.copy(order="F"))
    assert len({tensor_digest(array) for array in (zeros, *others)}) == 4
    assert len(tensor_digest(np.float32(1)[...])) == 64 == len(tensor_digest(zeros[:0]))
