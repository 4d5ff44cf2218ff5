"""`python -m benchmarks kernels`: what a compiled module says of its kernels, and the profiler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_peers import questioner
from jax import lax

from benchmarks import gpus, hlo, kernels, traces
from elmo_jax import ElmoError

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture
def ask(tmp_path, monkeypatch):
    return questioner(tmp_path, monkeypatch)


def compiled_kernels(function, *arguments, n_steps=1):
    return hlo.kernels(jax.jit(function).lower(*arguments).compile().as_text(), n_steps)


def flop(found):
    return sum(kernel.count * kernel.flop for kernel in found)


def n_bytes(found):
    return sum(kernel.count * kernel.n_bytes for kernel in found)


A, B = np.ones((64, 32), np.float32), np.ones((32, 16), np.float32)


def test_a_product_counts_two_for_each_number_that_is_summed():
    assert flop(compiled_kernels(jnp.dot, A, B)) == 2 * 64 * 32 * 16
    batched = np.ones((3, 64, 32), np.float32), np.ones((3, 32, 16), np.float32)
    assert flop(compiled_kernels(jnp.matmul, *batched)) == 3 * 2 * 64 * 32 * 16


def test_a_convolution_counts_the_window_of_every_place():
    x, kernel = np.ones((2, 10, 4), np.float32), np.ones((3, 4, 5), np.float32)

    def convolve(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
        )

    assert flop(compiled_kernels(convolve, x, kernel)) == 2 * (2 * 8 * 5) * (3 * 4)


def test_what_a_loop_does_counts_each_time():
    def loop(n_steps):
        return lambda a, b: lax.fori_loop(0, n_steps, lambda _, x: jnp.tanh(x @ b @ b.T), a)

    once = 2 * 2 * 64 * 32 * 16
    assert flop(compiled_kernels(loop(7), A, B)) == 7 * once
    unknown = lambda n_steps, a, b: loop(n_steps)(a, b)  # noqa: E731
    assert flop(compiled_kernels(unknown, np.int32(7), A, B, n_steps=5)) == 5 * once


def test_elementwise_work_reads_and_writes_each_array_once():
    x = np.ones((1000, 10), np.float32)
    found = compiled_kernels(lambda x, y: jnp.tanh(x) * y + 1, x, x)
    assert n_bytes(found) == 3 * x.nbytes
    half = x.astype(np.float16)
    assert n_bytes(compiled_kernels(jnp.negative, half)) == 2 * half.nbytes


def test_of_a_table_only_the_rows_are_counted_that_are_taken_or_written():
    table, rows = np.ones((4096, 128), np.float32), np.arange(8, dtype=np.int32)
    a_row = table[0].nbytes
    found = compiled_kernels(lambda table, rows: table[rows] * 2, table, rows)
    assert 2 * 8 * a_row <= n_bytes(found) < 2 * 8 * a_row + 1000

    def write(table):
        return table.at[5].set(jnp.full(128, 3.0))

    donated = jax.jit(write, donate_argnums=0).lower(table).compile().as_text()
    assert a_row <= n_bytes(hlo.kernels(donated)) < 3 * a_row


def test_the_profiler_names_the_kernels_that_the_module_has():
    function = jax.jit(lambda a, b: jnp.tanh(a @ b)).lower(A, B).compile()
    names = {kernel.name for kernel in hlo.kernels(function.as_text())}
    seconds = traces.kernel_seconds(lambda: function(A, B))
    assert names & set(seconds)
    assert min(seconds.values()) >= 0
    with pytest.raises(ElmoError, match="saw no kernel"):
        traces.kernel_seconds(lambda: 1)


def test_every_compiled_function_is_listed_with_what_it_takes(ask, capsys):
    code, found = ask("kernels", "--part", "step", "pool", "words")
    assert code == 0 and list(found["functions"]) == ["step", "pool", "words"]
    for function in found["functions"].values():
        rows = [*function["kernels"], function["others"]]
        assert function["launches"] == sum(row["count"] for row in rows)
        assert function["least_seconds"] > 0 and function["seconds"] > 0
    # 8 steps of 4 lanes: each direction two layers, of which the second has an input product.
    gates, projection = 2 * 32 * 4 * 64, 2 * 64 * 32
    step = found["functions"]["step"]
    assert step["gflop"] == pytest.approx(2 * (3 * gates + 2 * projection) * 8 * 4 / 1e9, rel=0.01)
    shown = capsys.readouterr().out
    assert "**step**, 32 tokens a call" in shown and "others" in shown


@pytest.mark.slow
def test_training_is_one_of_the_functions(ask, monkeypatch):
    from benchmarks import compiled

    for name, size in (("_VOCABULARY", 200), ("_NEGATIVES", 20), ("_WORDS_OF_A_WINDOW", 32)):
        monkeypatch.setattr(compiled, name, size)
    code, found = ask("kernels", "--part", "training")
    assert code == 0
    assert found["functions"]["training"]["tokens"] == 4 * 20
    assert found["functions"]["training"]["gflop"] > 0


def test_kernels_that_do_the_same_are_one_row():
    work = {"kind": "fusion", "megabytes": 1.0, "gflop": 0.0}
    rows = [
        {**work, "source": kernels._short(f"a/layers_{n}/mul"), "count": 2, **times}
        for n, times in enumerate([{"least_seconds": 1.0, "seconds": n} for n in (3.0, 4.0)])
    ]
    (only,) = kernels._alike(rows)
    assert (only["count"], only["least_seconds"], only["seconds"]) == (4, 2.0, 7.0)
    assert only["source"] == "layers/mul" and [row["count"] for row in rows] == [2, 2]


def test_a_gpu_that_is_not_there_needs_a_compiler(ask, monkeypatch, capsys):
    def no_compiler(**_):
        raise NotImplementedError("topology not implemented for cuda")

    monkeypatch.setattr(gpus.topologies, "get_topology_desc", no_compiler)
    code, found = ask("kernels", "--for", "h200")
    assert (code, found) == (1, None)
    error = capsys.readouterr().err
    assert 'Expected JAX\'s CUDA plugin (pip install "jax[cuda12]")' in error
    assert "JAX_PLATFORMS=cpu" in error
