"""Alignment matrices on disk."""

import numpy as np
import pytest
from comparing import assert_close
from torch_files import latin1, numpy_array, storage, stream, tensor, zipped

from elmo_jax import ElmoError, alignment
from elmo_jax.checkpoint.matrices import as_matrix

D = 12


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_a_matrix_is_the_same_after_it_was_written(tmp_path, suffix):
    matrix = np.random.default_rng(0).normal(size=(D, D))
    alignment.write_matrix(tmp_path / f"m{suffix}", matrix)
    with pytest.raises(ElmoError, match="exists already"):
        alignment.write_matrix(tmp_path / f"m{suffix}", matrix)
    renamed = (tmp_path / f"m{suffix}").rename(tmp_path / "m.pth")  # content decides
    read = alignment.read_matrix(renamed)
    assert read.dtype == np.float32 and read.flags.c_contiguous and read.flags.writeable
    np.testing.assert_array_equal(read, matrix.astype(np.float32))
    assert sorted(tmp_path.iterdir()) == [renamed]


@pytest.mark.parametrize("container", [stream, zipped])
def test_a_tensor_or_an_array_of_torch_save_is_a_matrix(tmp_path, container):
    numbers = np.arange(4, dtype=np.float32)
    transposed = tensor(storage("0", 4), 0, (2, 2), (1, 2))
    for value, arrays in (
        (transposed, {"0": numbers}),
        (numpy_array(latin1(np.eye(2).tobytes()), shape=(2, 2)), {}),
    ):
        (tmp_path / "m.npy").write_bytes(container(value, arrays))
        expected = [[0, 2], [1, 3]] if arrays else [[1, 0], [0, 1]]
        matrix = alignment.read_matrix(tmp_path / "m.npy")
        assert matrix.dtype == np.float32 and matrix.tolist() == expected
    (tmp_path / "m.npy").write_bytes(container({"weight": transposed}, {"0": numbers}))
    with pytest.raises(ElmoError, match=r"got dict with the keys \['weight'\]"):
        alignment.read_matrix(tmp_path / "m.npy")


@pytest.mark.parametrize("language", ["en", "es"])
def test_matrices_of_published_form_give_allennlps_vectors(foreign, language):
    folder = foreign / "aligned"
    matrix = alignment.read_matrix(folder / language / f"{language}_best_mapping.pth")
    with np.load(folder / "golden.npz") as golden:
        for sentence in range(4):
            aligned = golden[f"{language}_s{sentence}"][1] @ matrix.T
            assert_close(aligned, golden[f"{language}_aligned{sentence}"])


@pytest.mark.parametrize("dtype", [">f8", "<f4", "f2"])
def test_any_floats_in_any_order_make_a_matrix(tmp_path, dtype):
    matrix = np.asfortranarray(np.arange(9).reshape(3, 3)).astype(dtype)
    np.savez(tmp_path / "m.npz", other=np.zeros(3), alignment=matrix)
    np.savez(tmp_path / "one.npz", anything=matrix)
    for name in ("m.npz", "one.npz"):
        assert alignment.read_matrix(tmp_path / name).tolist() == matrix.tolist()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.zeros((3, 4)), r"its shape is \(3, 4\), expected a square"),
        (np.zeros(4), r"an array of shape \(4,\)"),
        (np.zeros((0, 0)), "expected a square"),
        (np.zeros((2, 3), int), r"its shape is .*; its dtype is int64, expected floats"),
        (np.full((2, 2), 1e300), "4 of its numbers are not finite in float32"),
        (np.array([[1, np.nan], [0, 1]]), "1 of its numbers"),
        ({"weight": np.eye(2)}, r"got dict with the keys \['weight'\]"),
        ([[1.0, 0.0], [0.0]], "got list"),
    ],
)
def test_what_is_not_a_matrix_is_named(value, problem):
    with pytest.raises(ElmoError, match=f"m.npz is not an alignment matrix .*{problem}"):
        as_matrix(value, "m.npz")


def test_a_file_that_holds_no_matrix_is_an_error(tmp_path):
    file = tmp_path / "m.npz"
    with pytest.raises(ElmoError, match="no such file"):
        alignment.read_matrix(file)
    with pytest.raises(ElmoError, match="Cannot read the alignment matrix"):
        alignment.read_matrix(tmp_path)
    np.savez(file, a=np.eye(2), b=np.eye(2))
    with pytest.raises(ElmoError, match=r"It has 'a', 'b'; expected only one, or one named"):
        alignment.read_matrix(file)
    whole = file.read_bytes()
    file.write_bytes(whole[:60])
    with pytest.raises(ElmoError, match="is truncated"):
        alignment.read_matrix(file)
    np.save(tmp_path / "m.npy", np.eye(200))
    whole = (tmp_path / "m.npy").read_bytes()
    for damaged in (whole[:-8], whole[:20], whole[:60] + b"\xff" + whole[61:]):
        file.write_bytes(damaged)
        with pytest.raises(ElmoError, match="Cannot read the alignment matrix"):
            alignment.read_matrix(file)
    np.save(tmp_path / "m.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(ElmoError, match="Cannot read the alignment matrix"):
        alignment.read_matrix(tmp_path / "m.npy")
    file.write_bytes(b"<html>")
    with pytest.raises(ElmoError, match=r"starts with b'<html>'\. Expected one matrix: \.pth"):
        alignment.read_matrix(file)
    with pytest.raises(ElmoError, match=r"ends in \.npy or \.npz"):
        alignment.write_matrix(tmp_path / "m.pth", np.eye(2))
