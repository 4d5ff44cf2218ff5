"""Which shard a process makes: environments of clusters, and two real processes of JAX."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fake_elmo import FakeElmo, sentences

from elmo_jax import ElmoError
from elmo_jax.cli import main
from elmo_jax.cli.own_devices import own_devices
from elmo_jax.corpus import embed_corpus, merge_parts, this_process
from elmo_jax.corpus.shards import LAUNCHERS

ROOT = Path(__file__).resolve().parents[1]


def variables(text):
    """An environment from words such as "RANK=1"."""
    return dict(word.split("=") for word in text.split())


SRUN = "SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=1 SLURM_GTIDS=4,5,6,7"
BATCH_SCRIPT = "SLURM_JOB_ID=9 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_GTIDS=0 SLURM_NTASKS=8"
ARRAY = (
    "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=1 "
    "SLURM_ARRAY_TASK_MAX=10 SLURM_ARRAY_TASK_STEP=3"
)
OPEN_MPI = (
    "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=3 "
    "OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=1"
)


# The shard


@pytest.mark.parametrize(
    ("environment", "shard", "local"),
    [
        (SRUN, (6, 8), (1, 4)),
        (ARRAY, (3, 4), None),
        (OPEN_MPI, (3, 3), (0, 1)),
        ("PMI_RANK=0 PMI_SIZE=2", (1, 2), None),
        ("PMI_RANK=3 PMI_SIZE=4 MPI_LOCALRANKID=1 MPI_LOCALNRANKS=2", (4, 4), (1, 2)),
        ("PMI_RANK=3 PMI_SIZE=4 PMI_LOCAL_RANK=1 PMI_LOCAL_SIZE=2", (4, 4), (1, 2)),
        ("RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2", (2, 2), (1, 2)),
        ("RANK=0 WORLD_SIZE=1", (1, 1), None),
        ("TPU_WORKER_ID=1 TPU_WORKER_HOSTNAMES=10.0.0.1,10.0.0.2", (2, 2), None),
    ],
)
def test_every_launcher_says_which_shard_it_is(environment, shard, local):
    process = this_process(variables(environment))
    assert (process.shard, process.local) == (shard, local)
    assert all(name in environment for name in process.source.split(" and "))


@pytest.mark.parametrize(
    ("environment", "shard", "reason"),
    [
        (f"{SRUN} {OPEN_MPI}", (3, 3), "mpirun starts its processes through srun"),
        (f"{SRUN} RANK=9 WORLD_SIZE=16", (10, 16), "so does torchrun"),
        (f"{SRUN} RANK=0 WORLD_SIZE=1", (6, 8), "a launcher of one process says nothing"),
        (f"{SRUN} WORLD_SIZE=64", (6, 8), "half a pair says nothing"),
        (f"{BATCH_SCRIPT} {ARRAY}", (3, 4), "the script of an array is one process"),
        (f"{ARRAY} SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1", (3, 4), "srun of one task in it too"),
    ],
)
def test_the_inner_launcher_decides(environment, shard, reason):
    assert this_process(variables(environment)).shard == shard, reason


def test_the_hosts_of_all_slices_of_a_tpu_are_counted():
    hosts = "TPU_WORKER_ID=1 TPU_WORKER_HOSTNAMES=a,b,c,d"
    slices = "MEGASCALE_SLICE_ID=2 MEGASCALE_NUM_SLICES=3"
    assert this_process(variables(f"{hosts} {slices}")).shard == (10, 12)
    with pytest.raises(ElmoError, match=r"Process 9 of 8 .*MEGASCALE_SLICE_ID"):
        this_process(variables(f"{hosts} MEGASCALE_SLICE_ID=2 MEGASCALE_NUM_SLICES=2"))


def test_pmi_of_srun_has_its_place_on_the_host_from_slurm():
    assert this_process(variables(f"{SRUN} PMI_RANK=5 PMI_SIZE=8")).local == (1, 4)
    assert this_process(variables(f"{SRUN} PMI_RANK=5 PMI_SIZE=9")).local is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("", r"Looked for jax\.distributed.*RANK with WORLD_SIZE.*shard=\(i, n\)"),
        (BATCH_SCRIPT, "srun has not started the process: use `srun elmo-jax"),
        ("JOB_COMPLETION_INDEX=3", r"use shard=\(JOB_COMPLETION_INDEX \+ 1, n\)"),
        ("RANK=2 WORLD_SIZE=2", r"Process 2 of 2 \(RANK and WORLD_SIZE\)"),
        ("RANK=-1 WORLD_SIZE=2", "The variable RANK is '-1', expected a whole number"),
        ("PMI_RANK=0 PMI_SIZE=two", "The variable PMI_SIZE is 'two'"),
        (f"RANK={'9' * 5000} WORLD_SIZE=2", "The variable RANK is '9999"),
        (f"{SRUN} {ARRAY}", r"not clear: .* has 4 tasks .* 8 processes run \(SLURM_PROCID"),
        (ARRAY.replace("ID=7", "ID=6"), "not evenly numbered .*SLURM_ARRAY_TASK_ID is 6"),
        (ARRAY.replace("MAX=10", "MAX=12"), "not evenly numbered .*such as --array=1-4"),
        ("SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_COUNT is not set"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_shard_is_an_error_that_names_variables(environment, message):
    with pytest.raises(ElmoError, match=message):
        this_process(variables(environment))


def only_these(monkeypatch, environment):
    """Set the variables, and none of another cluster that may run the tests."""
    for name in os.environ:
        if name.startswith(("SLURM_", "TPU_", "MEGASCALE_")) or any(
            name in launcher for launcher in LAUNCHERS
        ):
            monkeypatch.delenv(name)
    for name, value in variables(environment).items():
        monkeypatch.setenv(name, value)


def test_automatic_shards_are_merged_to_the_bytes_of_one_run(tmp_path, monkeypatch):
    records = list(sentences(40))
    embed_corpus(FakeElmo(), records, tmp_path / "whole.h5", part_tokens=12)
    out = tmp_path / "out.h5"
    for rank in (2, 0, 1):
        only_these(monkeypatch, f"RANK={rank} WORLD_SIZE=3")
        summary = embed_corpus(FakeElmo(), records, out, part_tokens=12, shard="auto")
        assert summary["shard"] == f"{rank + 1}/3"
    merge_parts(out)
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()


PROGRAM = """
import sys
import jax
from fake_elmo import FakeElmo, sentences
from elmo_jax.corpus import embed_corpus

port, rank, out = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(rank))
options = {"part_tokens": 12, "shard": "auto", "merge": True}
print(embed_corpus(FakeElmo(), list(sentences(40)), out, **options)["shard"])
"""


def test_processes_of_one_jax_run_make_a_shard_each_and_the_last_one_merges(tmp_path):
    embed_corpus(FakeElmo(), list(sentences(40)), tmp_path / "whole.h5", part_tokens=12)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / "out.h5"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port), str(rank), str(out)],
            env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    shown = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert shown == ["1/2\n", "2/2\n"]
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "whole.h5"]


# The command


def test_the_command_takes_its_shard_and_its_devices_from_the_launcher(
    tmp_path, make_model, monkeypatch, capsys
):
    text, out = tmp_path / "text.txt", tmp_path / "out.npz"
    text.write_text("a b\nc d\ne f\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    options = ["--model", str(make_model()[0]), "--part-tokens", "2", "--shard", "auto", "--merge"]
    for rank, told in enumerate(("The last one to finish joins all.", "6 tokens")):
        only_these(
            monkeypatch,
            f"RANK={rank} WORLD_SIZE=2 LOCAL_RANK={rank} LOCAL_WORLD_SIZE=2 "
            "CUDA_VISIBLE_DEVICES=0,1,2,3",
        )
        assert main(["embed", str(text), "-o", str(out), *options]) == 0
        shown = capsys.readouterr()
        devices = ("0,1", "2,3")[rank]
        assert (
            f"shard {rank + 1}/2, from RANK and WORLD_SIZE; CUDA_VISIBLE_DEVICES={devices}\n"
            in (shown.err)
        )
        assert os.environ["CUDA_VISIBLE_DEVICES"] == devices
        assert told in shown.out
    assert out.exists()
    only_these(monkeypatch, "")
    assert main(["embed", str(text), "-o", str(tmp_path / "b.npz"), *options]) == 1
    assert "Nothing says which shard" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("local", "environment", "n_nvidia", "devices"),
    [
        (None, "CUDA_VISIBLE_DEVICES=0,1", 4, ""),
        ((0, 1), "CUDA_VISIBLE_DEVICES=0,1", 4, ""),
        ((1, 2), "CUDA_VISIBLE_DEVICES=4,6", 8, "CUDA_VISIBLE_DEVICES=6"),
        ((1, 2), "CUDA_VISIBLE_DEVICES=GPU-a,GPU-b", 8, "CUDA_VISIBLE_DEVICES=GPU-b"),
        ((3, 4), "ROCR_VISIBLE_DEVICES=0,1,2,3", 0, "ROCR_VISIBLE_DEVICES=3"),
        ((1, 2), "", 4, "CUDA_VISIBLE_DEVICES=2,3"),
        ((1, 2), "", 0, ""),
        ((1, 2), "CUDA_VISIBLE_DEVICES=", 4, ""),  # all are hidden
        ((1, 2), "CUDA_VISIBLE_DEVICES=3", 4, ""),  # the launcher has divided them, or they share
        ((1, 2), "CUDA_VISIBLE_DEVICES=0,1,2", 4, ""),
        ((1, 2), "CUDA_VISIBLE_DEVICES=0,1 SLURM_GPUS_PER_TASK=2", 4, ""),
        ((1, 2), "CUDA_VISIBLE_DEVICES=0,1 SLURM_TRES_PER_TASK=cpu:2,gres/gpu:2", 4, ""),
        ((1, 2), "CUDA_VISIBLE_DEVICES=0,1 SLURM_TRES_PER_TASK=cpu:2", 4, "CUDA_VISIBLE_DEVICES=1"),
        ((1, 2), "CUDA_VISIBLE_DEVICES=0,1 SLURM_GPU_BIND=closest", 4, ""),
        (
            (1, 2),
            "CUDA_VISIBLE_DEVICES=0,1 SLURM_GPU_BIND=none SLURM_GPUS_PER_TASK=1",
            4,
            "CUDA_VISIBLE_DEVICES=1",
        ),
    ],
)
def test_processes_of_a_host_divide_the_devices_that_all_of_them_see(
    local, environment, n_nvidia, devices
):
    environment = variables(environment)
    assert own_devices(local, environment, n_nvidia) == variables(devices)
