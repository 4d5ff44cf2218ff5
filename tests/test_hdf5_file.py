"""Hdf5File: what it writes, the HDF5 library reads, changes and enlarges."""

import h5py
import numpy as np
import pytest

from elmo_jax.corpus.writers import hdf5_file
from elmo_jax.corpus.writers.hdf5_file import Hdf5File

# A symbol table node holds 8 names, a B-tree node 32 children: two levels from 9 on, three from
# 257 on, four from 8193 on.
COUNTS = [0, 1, 8, 9, 10, 256, 257, 8193]


def values(i):
    """Arrays of either type and of one to three axes, some without numbers."""
    shape = [(4,), (i % 3, 5), (3, i % 4, 2)][i % 3]
    return np.full(shape, i % 1000, "float32" if i % 2 else "float16")


def texts(n):
    return [f"é{i}" if i % 3 else "" for i in range(n)]


def written(path, n, *, named=True):
    with Hdf5File(path) as file:
        for i in range(n):
            file.add(values(i))
        if named:
            references = [file.add_texts(texts(900)), file.add_texts(texts(2))]
            file.name_texts("keys", np.concatenate(references))
            file.name_texts("sentence_to_index", file.add_texts(["x" * 100_000]))
    return path


@pytest.mark.parametrize(("n", "named"), [*((n, True) for n in COUNTS), (9, False)])
def test_the_library_reads_every_dataset(tmp_path, n, named):
    names = [str(i) for i in range(n)] + ["keys", "sentence_to_index"] * named
    with h5py.File(written(tmp_path / "a.h5", n, named=named)) as file:
        assert list(file) == sorted(names)
        for i in range(n):
            dataset = file[str(i)]
            assert (dataset.dtype, dataset.shape) == (values(i).dtype, values(i).shape)
            assert (dataset[()] == values(i)).all()
        assert "no such name" not in file and "00" not in file
        if named:
            assert file["keys"].asstr()[()].tolist() == texts(900) + texts(2)
            assert file["sentence_to_index"].asstr()[0] == "x" * 100_000
            assert h5py.check_string_dtype(file["keys"].dtype) == ("utf-8", None)


NAMES = ["a bank .", "naïve 日本語 😀", 'a "b"', "a:b", "x" * 100_000, " a\tb ", "0", "10", "keys"]


@pytest.mark.parametrize("n", [0, 300])
def test_datasets_may_have_names_of_their_own(tmp_path, n):
    names = NAMES + [f"sentence {i}" for i in range(n)]
    with Hdf5File(tmp_path / "a.h5") as file:
        for i, name in enumerate(names):
            file.add(values(i), name)
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file) == sorted(names)
        for i, name in enumerate(names):
            np.testing.assert_array_equal(file[name][()], values(i))
        assert "a bank" not in file


def test_names_are_written_in_blocks(tmp_path, monkeypatch):
    whole = written(tmp_path / "whole.h5", 1030).read_bytes()
    monkeypatch.setattr(hdf5_file, "_NAMES_PER_BLOCK", 64)
    assert written(tmp_path / "pieces.h5", 1030).read_bytes() == whole


def test_every_version_of_the_library_reads_it(tmp_path):
    """They know superblock 0; the newest ones write others unless they are asked."""
    content = written(tmp_path / "a.h5", 3).read_bytes()
    assert content[:9] == b"\x89HDF\r\n\x1a\n\0"
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.id.get_create_plist().get_version()[0] == 0
        assert file["0"].id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS


@pytest.mark.parametrize("n", [1, 9, 257])
def test_the_library_can_change_the_file(tmp_path, n):
    path = written(tmp_path / "a.h5", n)
    with h5py.File(path, "r+") as file:
        del file["0"]
        file["keys"][0] = "another"
        for i in range(40):
            file[f"more {i}"] = np.arange(3)
    with h5py.File(path) as file:
        assert len(file) == n + 41
        assert file["keys"].asstr()[0] == "another"
        assert all(file[f"more {i}"][()].tolist() == [0, 1, 2] for i in range(40))
        assert all((file[str(i)][()] == values(i)).all() for i in range(1, n))


def test_arrays_need_not_lie_in_one_piece(tmp_path):
    whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    with Hdf5File(tmp_path / "a.h5") as file:
        file.add(whole.swapaxes(0, 1))
        file.add(whole[:, ::2])
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["0"], whole.swapaxes(0, 1))
        np.testing.assert_array_equal(file["1"], whole[:, ::2])


@pytest.mark.parametrize("size", [4064, 4072, 4048, 4040, 4056])
def test_texts_may_fill_their_heap_to_the_last_byte(tmp_path, size):
    """The rest of the smallest heap, 4096 bytes, may be too small for the header of free space."""
    with Hdf5File(tmp_path / "a.h5") as file:
        file.name_texts("keys", file.add_texts(["x" * size]))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        assert file["keys"].asstr()[0] == "x" * size
        file["keys"][0] = "y" * size
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["keys"].asstr()[0] == "y" * size


def test_an_unfinished_file_is_not_hdf5(tmp_path):
    with pytest.raises(KeyboardInterrupt), Hdf5File(tmp_path / "a.h5") as file:
        file.add(values(1))
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="signature"):
        h5py.File(tmp_path / "a.h5")
