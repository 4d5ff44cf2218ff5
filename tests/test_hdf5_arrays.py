"""HDF5 files from anywhere: their numbers are in them, or they are refused."""

import zlib

import h5py
import numpy as np
import pytest
from checkpoint_files import assert_same_params, edit_datasets, message_of
from tally import Tally

from elmo_jax import load
from elmo_jax.checkpoint.token_table import read_token_table

NAME = "CNN_proj/W_proj"  # float32 [16, 6]
OTHER_FILE = "its numbers lie in another file"
VIRTUAL = "it is a virtual dataset"
LINK = "A link may lead to any file"


@pytest.fixture
def folder(make_model):
    return make_model()[0]


@pytest.fixture
def secret(tmp_path):
    """A file of the user that no model is about: as raw bytes, and as HDF5."""
    array = np.arange(96, dtype=np.float32).reshape(16, 6)
    (tmp_path / "secret").write_bytes(array.tobytes())
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["stolen"] = array
    return tmp_path / "secret"


def virtual_layout(secret, dataset="stolen"):
    layout = h5py.VirtualLayout((16, 6), np.float32)
    layout[:] = h5py.VirtualSource(f"{secret}.hdf5", dataset, (16, 6))
    return layout


def external(file, secret):
    file.create_dataset(NAME, (16, 6), np.float32, external=[(str(secret), 0, 384)])


def missing_external(file, secret):
    file.create_dataset(NAME, (16, 6), np.float32, external=[(f"{secret}.not there", 0, 384)])


def virtual(file, secret):
    file.create_virtual_dataset(NAME, virtual_layout(secret))


def virtual_without_a_source(file, secret):
    file.create_virtual_dataset(NAME, virtual_layout(f"{secret}.not there"), fillvalue=1)


def virtual_of_the_same_file(file, secret):
    file["hidden"] = np.ones((16, 6), np.float32)
    layout = h5py.VirtualLayout((16, 6), np.float32)
    layout[:] = h5py.VirtualSource(".", "hidden", (16, 6))
    file.create_virtual_dataset(NAME, layout)


def external_link(file, secret):
    file[NAME] = h5py.ExternalLink(f"{secret}.hdf5", "stolen")


def soft_link_through_an_external_one(file, secret):
    file["door"] = h5py.ExternalLink(f"{secret}.hdf5", "/")
    file[NAME] = h5py.SoftLink("/door/stolen")


def link_of_a_group(file, secret):
    del file["RNN_0"]
    file["RNN_0"] = h5py.ExternalLink(f"{secret}.hdf5", "/")


def soft_links_in_a_circle(file, secret):
    file[NAME] = h5py.SoftLink("/a")
    file["a"] = h5py.SoftLink(f"/{NAME}")


def contiguous_never_written(file, secret):
    file.create_dataset(NAME, (16, 6), np.float32)


def fill_value_only(file, secret):
    file.create_dataset(NAME, (16, 6), np.float32, fillvalue=0.5)


def no_chunk_written(file, secret):
    file.create_dataset(NAME, (16, 6), np.float32, chunks=(5, 5))


def some_chunks_written(file, secret):
    file.create_dataset(NAME, (16, 6), np.float32, chunks=(5, 5), compression="gzip")
    file[NAME][:5] = 1


def lossy(file, secret):
    file.create_dataset(NAME, data=np.ones((16, 6), np.float32), scaleoffset=2)


def texts(file, secret):
    file.create_dataset(NAME, data=np.full((16, 6), "0.5", object), dtype=h5py.string_dtype())


def references(file, secret):
    file.create_dataset(NAME, data=np.full((16, 6), file["CNN"].ref), dtype=h5py.ref_dtype)


def ragged_rows(file, secret):
    file.create_dataset(NAME, (16, 6), h5py.vlen_dtype(np.float32))


def pairs(file, secret):
    file.create_dataset(NAME, (16, 6), np.dtype([("re", "f4"), ("im", "f4")]))


ATTACKS = {
    external: OTHER_FILE,
    missing_external: OTHER_FILE,
    virtual: VIRTUAL,
    virtual_without_a_source: VIRTUAL,
    virtual_of_the_same_file: VIRTUAL,
    external_link: LINK,
    soft_link_through_an_external_one: LINK,
    link_of_a_group: LINK,
    soft_links_in_a_circle: LINK,
    contiguous_never_written: "only 0 of its 384 bytes were ever written",
    fill_value_only: "only 0 of its 384 bytes were ever written",
    no_chunk_written: "only 0 of its 8 chunks were ever written",
    some_chunks_written: "only 2 of its 8 chunks were ever written",
    lossy: "compressed in an unusual way (filter 6)",
    texts: "dtype object, expected float32",
    references: "dtype object, expected float32",
    ragged_rows: "dtype object, expected float32",
    pairs: "expected float32",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_numbers_that_are_not_in_the_file_are_refused(folder, secret, attack):
    edit_datasets(folder / "weights.hdf5", {NAME: None})
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        attack(file, secret)
    with Tally("an HDF5 file whose numbers lie elsewhere or nowhere") as tally:
        message = message_of(load, folder)
        assert ATTACKS[attack] in message and str(folder / "weights.hdf5") in message
        tally.refused()


@pytest.mark.parametrize(
    "attack",
    [external, virtual, external_link, contiguous_never_written, no_chunk_written],
    ids=lambda attack: attack.__name__,
)
def test_a_token_table_is_opened_by_the_same_door(tmp_path, secret, attack, monkeypatch):
    monkeypatch.setitem(globals(), "NAME", "embedding")
    words = ["<S>", "</S>", "<UNK>", *"abcdefghijklm"]
    with h5py.File(tmp_path / "table.hdf5", "w") as file:
        attack(file, secret)
    message = message_of(read_token_table, tmp_path / "table.hdf5", words)
    assert ATTACKS[attack] in message and str(tmp_path / "table.hdf5") in message


def test_a_link_is_not_followed_to_find_out_which_file_has_an_elmo(folder, secret):
    (folder / "weights.hdf5").rename(folder / "a.hdf5")
    with h5py.File(folder / "b.hdf5", "w") as file:
        file["RNN_0"] = h5py.ExternalLink(str(folder / "a.hdf5"), "/RNN_0")
    load(folder)  # b.hdf5 is no candidate


def test_a_group_that_is_a_part_of_itself_is_walked_once(folder):
    expected = load(folder)[1]
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        file["CNN/again"] = file["CNN"]
        file["CNN/top"] = file["/"]
    assert_same_params(load(folder)[1], expected)


def test_all_ways_of_storing_numbers_in_the_file_are_read(folder, make_model):
    _, expected = load(folder)
    array = make_model()[1].weights[NAME]
    for number, choices in enumerate(
        [
            {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": (5, 4)},
            {"compression": "lzf", "chunks": (16, 1)},
            {"chunks": (3, 6)},
            {"chunks": True, "maxshape": (None, 6)},
            {"dtype": np.float64},
            {"dtype": ">f4"},
        ]
    ):
        edit_datasets(folder / "weights.hdf5", {NAME: None})
        with h5py.File(folder / "weights.hdf5", "r+") as file:
            file.create_dataset(NAME, data=array, **choices)
            file[NAME].attrs["notes"] = "x" * 60_000
        assert_same_params(load(folder)[1], expected), number


def test_a_compact_dataset_is_read(folder, make_model):
    """The smallest arrays may lie in the header of their dataset."""
    _, expected = load(folder)
    array = make_model()[1].weights[NAME]
    edit_datasets(folder / "weights.hdf5", {NAME: None})
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(array.shape)
        kind = h5py.h5t.IEEE_F32LE
        dataset = h5py.h5d.create(file["CNN_proj"].id, b"W_proj", kind, space, plan)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    assert_same_params(load(folder)[1], expected)


# Sizes


@pytest.mark.parametrize("rows", [10**9, 10**12, 2**60])
def test_a_softmax_of_terabytes_that_was_never_written_is_refused(folder, rows):
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        file.create_dataset("softmax/W", (rows, 6), np.float32, chunks=(1000, 6))
        file.create_dataset("softmax/b", (rows,), np.float32, chunks=(1000,))
    assert "chunks were ever written" in message_of(load, folder)


def test_a_dataset_that_expands_to_gigabytes_is_refused_before_it_is_read(folder):
    chunk = zlib.compress(bytes(24_000_000), 9)
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        choices = {"chunks": (1_000_000, 6), "compression": "gzip"}
        softmax = file.create_dataset("softmax/W", (50_000_000, 6), np.float32, **choices)
        for start in range(0, 50_000_000, 1_000_000):
            softmax.id.write_direct_chunk((start, 0), chunk)
    message = message_of(load, folder)
    assert "but its datasets claim to have 1.20 GB" in message


def test_a_chunk_that_is_far_larger_than_its_dataset_is_refused(folder):
    edit_datasets(folder / "weights.hdf5", {NAME: None})
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        file.create_dataset(
            NAME, (16, 6), np.float32, maxshape=(None, 6), chunks=(10**7, 6), compression="gzip"
        )
        file[NAME].id.write_direct_chunk((0, 0), b"x")
    assert "but its datasets claim to have 240." in message_of(load, folder)


def test_datasets_that_share_their_bytes_are_refused(folder):
    """A small file could fill any memory, if many datasets were the same bytes of it."""
    weights = folder / "weights.hdf5"
    with h5py.File(weights, "r+") as file:
        for name in ("embedding", "softmax/W"):
            file[name] = np.ones((20_000, 6), np.float32)
        first, second = (file[name].id.get_offset() for name in ("embedding", "softmax/W"))
    content = weights.read_bytes()[:second]  # the numbers of the second were the last
    content = content.replace(second.to_bytes(8, "little"), first.to_bytes(8, "little"))
    end_of_file = slice(40, 48)  # in the superblock
    content = bytearray(content)
    content[end_of_file] = second.to_bytes(8, "little")
    weights.write_bytes(content)
    message = message_of(load, folder)
    assert f"has {second / 1e3:.1f} kB, but its datasets claim to have " in message


def test_a_file_of_very_many_groups_is_refused(folder, monkeypatch):
    monkeypatch.setattr("elmo_jax.checkpoint.hdf5_arrays._MOST_ENTRIES", 20)
    assert "has more than 20 groups and datasets" in message_of(load, folder)
