"""What compilers say of devices that are not here: products, memory, talk between devices."""

import collections
import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import calls, hlo, models
from elmo_jax import ElmoConfig
from elmo_jax.engine.plan import plan_for
from elmo_jax.engine.word_table import Words
from elmo_jax.model.config import PRECISIONS

# Products as the library writes them, before any compiler. So this holds on every device.

OPERANDS = {"float32": "f32 HIGHEST", "tf32": "f32 HIGH", "bfloat16": "bf16 DEFAULT"}
"""HIGHEST is six passes of bfloat16 on a TPU and float32 elsewhere, HIGH is three and TF32."""


@pytest.fixture(scope="module")
def model():
    config = ElmoConfig.preset("tiny")
    return config, models.random_params(config)


def recorded(name, config, params, precision):
    if name == calls.TRAIN_STEP:
        return calls.training_call(config, precision, 8, quick=True)
    if name in (calls.WORDS, calls.STEP):
        unwritten = calls.words_unwritten if name == calls.STEP else contextlib.nullcontext
        with calls.planned("tpu"), unwritten():
            return calls.embedding_call(name, config, params, precision, [["a", "b"]] * 9)
    return calls.batch_call(name, config, params, precision)


def products(call):
    """The products of a function: how many of each dtype and precision."""
    lines = [
        line
        for line in call.lower().as_text().splitlines()
        if "stablehlo.dot_general" in line or "stablehlo.convolution" in line
    ]
    kinds = collections.Counter()
    for line in lines:
        dtypes = re.search(r": \(tensor<(?:\d+x)*(\w+)>, tensor<(?:\d+x)*(\w+)>\)", line).groups()
        level = re.search(r"precision(?: = \[|_config = \[#stablehlo<precision )(\w+)", line)
        kinds[" and ".join(sorted(set(dtypes))) + f" {level[1] if level else 'DEFAULT'}"] += 1
    return kinds


@pytest.mark.parametrize(
    "precision",
    [pytest.param(p, marks=pytest.mark.slow if p == "tf32" else ()) for p in PRECISIONS],
)
@pytest.mark.parametrize(
    "name",
    [calls.WORDS, calls.STEP]
    + [
        pytest.param(name, marks=pytest.mark.slow)
        for name in (calls.LAYERS, calls.POOLED, calls.GRADIENT, calls.TRAIN_STEP)
    ],
)
def test_every_product_has_the_precision_that_was_asked_for(model, name, precision):
    kinds = products(recorded(name, *model, precision))
    # The norm of the gradient, which training reports, is exact in each of them.
    reported = {"f32 HIGHEST"} if name == calls.TRAIN_STEP else set()
    assert set(kinds) - reported == {OPERANDS[precision]} - reported
    assert kinds.total() >= 8, "the products were found"


def test_a_product_of_another_precision_is_found():
    multiply = calls.Call(jax.jit(jnp.dot), (np.zeros((2, 2), np.float32),) * 2, {})
    assert products(multiply) == {"f32 DEFAULT": 1}


# What is compiled for a device


def test_the_word_table_is_as_large_as_the_plan_lets_it_grow(model):
    call = recorded(calls.STEP, *model, "float32")
    grown = calls.with_full_table(call, "tpu")
    (before,), (after,) = ([x for x in c.arguments if isinstance(x, Words)] for c in (call, grown))
    assert after.vectors.shape == (plan_for("tpu").word_rows[1], before.vectors.shape[1])
    assert after.gates.shape[1] == len(after.vectors) > len(before.vectors)
    assert "x131072x" in grown.lower().as_text()


# The text of compiled programs

TEXT = """
HloModule jit_f

%inside (p: f32[8,4]) -> bf16[8,4] {
  ROOT %convert.1 = bf16[8,4]{1,0:T(8,128)(2,1)S(1)} convert(%p)
}

%body (t: (s32[], bf16[8,4])) -> (s32[], bf16[8,4]) {
  %x.1 = bf16[8,4]{1,0} fusion(%t), calls=%inside, backend_config={"estimated_cycles":"100"}
  %w.1 = bf16[4,16]{1,0} get-tuple-element(%t), index=1
  %convolution.1 = f32[8,16]{1,0} convolution(%x.1, %w.1), dim_labels=bf_io->bf
  ROOT %tuple.1 = (s32[], bf16[8,4]{1,0}) tuple(%t, %x.1)
}

%until (t: (s32[], bf16[8,4])) -> pred[] {
  %constant.5 = s32[] constant(64)
  ROOT %compare.1 = pred[] compare(%t, %constant.5), direction=LT
}

ENTRY %main (a: f32[8,4], b: f32[4,16]) -> f32[8,16] {
  %a = f32[8,4]{1,0} parameter(0)
  %b = f32[4,16]{1,0} parameter(1)
  %convolution.2 = f32[8,16]{1,0} convolution(%a, %b), operand_precision={highest,highest}
  %gemm = (f32[8,16]{1,0}, s8[4]{0}) custom-call(%a, %b), custom_call_target="__cublas$GEMM
  %sum = (f32[8,16]{1,0}, /*index=1*/bf16[2]{0}) all-reduce-start(%gemm), to_apply=%add
  %done = f32[8,16]{1,0} all-reduce-done(%sum)
  %while.1 = (s32[], bf16[8,4]{1,0}) while(%t), condition=%until, body=%body
  %while.2 = s32[] while(%t), condition=%until, body=%body, "known_trip_count":{"n":"3"}
  ROOT %fusion.9 = f32[8,16]{1,0} fusion(%done), calls=%inside, {"estimated_cycles":"7"}
}
""".replace("GEMM", 'lt$matmul", backend_config={"operand_precision":["HIGH","HIGH"]}')


def test_a_program_is_read_from_its_text():
    program = hlo.Program(TEXT)
    kinds = {"bfloat16": 1, "float32 highest": 1, "float32 high": 1}
    assert program.products() == kinds
    assert program.n_kernels == 4, "each body of a loop, a library call, and the last fusion"
    assert program.trip_counts() == [64, 3]
    assert program.collectives() == {"all-reduce": (1, 4 * 8 * 16 + 2 * 2)}
    assert program.cycles(n_trips=1) == 67 * 100 + 7
    assert program.n_host_transfers == 0
    unknown = hlo.Program(TEXT.replace("constant(64)", "get-tuple-element(%t), index=0"))
    assert unknown.trip_counts() == [None, 3] and unknown.cycles(n_trips=10) == 13 * 100 + 7
    sent = hlo.Program(TEXT.replace("fusion(%done)", "infeed(%done)"))
    assert sent.n_host_transfers == 1


# Compilers of devices that are not here, in a folder that ELMO_JAX_COMPILERS names


@pytest.fixture
def compiled_for(tmp_path, monkeypatch):
    """Rows of ``python -m benchmarks compiled --for DEVICE``, by function and precision."""
    folder = os.environ.get("ELMO_JAX_COMPILERS")
    if not folder:
        pytest.skip("ELMO_JAX_COMPILERS names no folder of compilers, see benchmarks/absent.py")
    text = tmp_path / "text.txt"
    text.write_text("the bank of the river\nshe sat by the bank\n" * 20, "utf-8")

    def ask(device, *arguments):
        output = tmp_path / "out.json"
        command = [sys.executable, "-m", "benchmarks", "compiled", "--quick", "--corpus", text]
        command += ["--for", device, "--output", output, "--overwrite", *arguments]
        paths = [folder, Path(__file__).parents[1], os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, paths))),
            "JAX_PLATFORMS": "cpu",
            "ELMO_JAX_CACHE": str(tmp_path),
        }
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        rows = json.loads(output.read_text("utf-8"))["functions"]
        return {(row["function"], row["precision"]): row for row in rows}

    return ask


@pytest.mark.slow
def test_the_step_of_a_tpu_keeps_to_the_precision_and_to_the_chip(compiled_for):
    precisions = "--precision", *PRECISIONS
    rows = compiled_for("v5e", "--model", "tiny", "--function", calls.STEP, *precisions)
    kinds = {"float32": "10 float32 highest", "tf32": "10 float32 high", "bfloat16": "10 bfloat16"}
    for precision, products in kinds.items():
        row = rows[calls.STEP, precision]
        assert row["products"] == products
        assert row["host_transfers"] == 0 and row["between_devices"] == {}
        assert row["per_cent_of_memory"] < 100


@pytest.mark.slow
def test_four_tpu_chips_divide_every_product_of_a_training_step(compiled_for):
    functions = "--function", calls.TRAIN_STEP, calls.DIVIDED_STEP
    rows = compiled_for("v6e", "--model", "tiny", *functions)
    whole, divided = (rows[name, "bfloat16"] for name in functions[1:])
    # Operations of one chip. A product that each chip makes whole would add to a quarter of all.
    assert divided["gflop"] < 0.26 * whole["gflop"]
    assert whole["between_devices"] == {}
    assert "all-reduce" in divided["between_devices"], "the sum of the gradients"
    assert divided["host_transfers"] == 0


@pytest.mark.slow
def test_the_step_of_a_gpu_is_few_kernels_and_needs_no_host(compiled_for):
    rows = compiled_for("h100", "--model", "tiny", "--function", calls.STEP)
    row = rows[calls.STEP, "bfloat16"]
    # Both directions are one product, and so are input and state: two products for each layer.
    assert row["products"] == "4 bfloat16"
    n_steps = plan_for("gpu").chunk_steps
    assert row["loops"] == f"{n_steps}, {n_steps}", "the host need not look whether a loop goes on"
    assert row["host_transfers"] == 0
    assert row["kernels"] <= 50
