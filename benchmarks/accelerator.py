"""How fast is an accelerator, how near to its limit, and against PyTorch on the same one?

Run from a checkout on a machine with a GPU::

    python -m benchmarks accelerator --save --peers-here
    python -m benchmarks training --save --batch-size 1024 --peers-here

Everything in one run, so that all numbers are of one card: its rates; the error of the precision,
before anything is timed; sentence vectors and all layers of a large text, from words to host
memory; PyTorch peers in turn with elmo-jax; the compiled step alone by lanes and length; and the
step in its forms, which the engine's plan chooses from. The results are written after every part,
and no part begins once --budget seconds are over, so a machine that is lent for minutes is enough.

``--peers-here`` runs the peers with this Python, where PyTorch with CUDA, NumPy and h5py must be.
AllenNLP is pure Python: it runs beside any PyTorch if it, and three packages that it imports, lie
in a folder that PYTHONPATH names::

    pip install --no-deps --target FOLDER allennlp==2.10.1 base58 dill more-itertools

On a CPU, which is no accelerator, it reads a little text: that shows that it works.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

import elmo_jax
from elmo_jax import Elmo, ElmoError
from elmo_jax.model.precision import PRECISIONS

from .accelerator_peers import PEERS, compare_with_peers
from .compiled import planned, step_call
from .limit import bandwidth, matmul_rate, precisions
from .measure import Spread, timed
from .precision import compare_layers
from .question import Setting, setting
from .systems import add_peers, check_peers
from .tables import markdown, number, spread
from .texts import Sentence, even_sample
from .work import needed_work, step_work

HELP = "Throughput on a GPU, per cent of its limit, and PyTorch on the same one."

BOUNDS = {"float32": 1e-5, "tf32": 0.003, "bfloat16": 0.03}
"""The relative error of a layer above which a precision is broken, not coarse."""

LANES, LENGTHS = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096), (64, 16)
FORMS: dict[str, dict[str, Any]] = {
    "as planned": {},
    "each product by itself": {"together": False},
    "any number of steps": {"all_steps": False},
}
"""Of the engine's plan; a form stays in the library if this shows what it gains."""
_PLATFORM = "gpu"  # whose plan the steps have, also where it is only tried out
_FORM_LANES = (64, 256, 1024, 2048)

_TOKENS, _CPU_TOKENS = 2_000_000, 5_000
_LAYER_TOKENS = 500_000  # all layers of a token are 6 KB of float16 in the *original* shape
_CHECKED_TOKENS = 1_000


class Job:
    """What the parts share: the model on the device, the text, and the time that is left."""

    def __init__(self, args: argparse.Namespace, setup: Setting) -> None:
        self.args, self.setup, self.text = args, setup, setup.sentences
        self.config, params = elmo_jax.load(setup.model.native)
        self.params = jax.device_put(params)
        self.sample = even_sample(setup.text, _CHECKED_TOKENS)
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return round(time.perf_counter() - self._started, 1)

    @property
    def is_over(self) -> bool:
        return self.seconds > self.args.budget

    def elmo(self, precision: str | None = None) -> Elmo:
        """A new one, which knows no word."""
        return Elmo.from_params(
            self.config, self.params, precision=precision or self.args.precision
        )

    @functools.cached_property
    def rates(self) -> dict[str, Spread]:
        """GFLOP/s of large products, by precision."""
        return {name: matmul_rate(name, quick=self.args.quick) for name in precisions()}

    def per_cent(self, gflops: float) -> float:
        rate = self.rates.get(self.args.precision, self.rates["float32"])
        return round(100 * gflops / rate.median, 2)


def limit(job: Job) -> Iterator[dict[str, Any]]:
    """The rates of the device."""
    yield {
        "gflops": {name: rate.json() for name, rate in job.rates.items()},
        "gigabytes_per_second": bandwidth(quick=job.args.quick).json(),
    }


def error(job: Job) -> Iterator[dict[str, Any]]:
    """The errors of the lower precisions, before anything is timed."""
    exact = job.elmo("float32").embed(job.sample)
    layers = {}
    for name in ("bfloat16", "tf32"):
        layers[name] = compare_layers(job.elmo(name).embed(job.sample), exact)
        _check_error(name, layers[name], BOUNDS[name])
    yield layers


def _check_error(name: str, layers: list[dict[str, float]], bound: float) -> float:
    worst = max(layer["relative_error"] for layer in layers)
    if not worst <= bound:  # NaN is within nothing
        raise ElmoError(
            f"{name} does not compute the same as float32: a layer's relative error is "
            f"{worst:.2g}, expected at most {bound}. Nothing was timed."
        )
    return worst


def sentences(job: Job) -> Iterator[dict[str, Any]]:
    """Sentence vectors of the whole text, on the host."""
    yield _embed(job, job.text, lambda elmo, text: elmo.embed_sentences(text))


def layers(job: Job) -> Iterator[dict[str, Any]]:
    """All layers in float16; each sentence's are dropped when they are there."""
    text = even_sample(job.text, _LAYER_TOKENS)
    yield _embed(job, text, lambda elmo, text: [None for _ in elmo.stream(text, dtype="float16")])


def _embed(
    job: Job, text: list[Sentence], embed: Callable[[Elmo, list[Sentence]], Any]
) -> dict[str, Any]:
    """Rounds over a text: by a new Elmo, which knows no word, and by the same Elmo again."""
    first_run = timed(lambda: embed(job.elmo(), text))  # compiles
    new: list[float] = []
    again: list[float] = []
    host: list[float] = []
    for _ in range(job.args.rounds):
        elmo = job.elmo()
        thread_started = time.thread_time()
        for samples in (new, again):
            samples.append(timed(functools.partial(embed, elmo, text)))
        host.append((time.thread_time() - thread_started) / (new[-1] + again[-1]))
    work = needed_work(job.config, text)
    gflops = work.total / Spread.of(new).median / 1e9
    return {
        "tokens": work.n_tokens,
        "work": work.json(),
        "first_run_seconds": round(first_run, 3),
        "tokens_per_second": Spread.of([work.n_tokens / s for s in new]).json(),
        "again_tokens_per_second": Spread.of([work.n_tokens / s for s in again]).json(),
        # The share of the time in which Python's own thread is busy.
        "host_per_cent": round(100 * Spread.of(host).median, 1),
        "gflops": round(gflops, 2),
        "per_cent": job.per_cent(gflops),
    }


def peers(job: Job) -> Iterator[list[dict[str, Any]]]:
    """PyTorch on the same device, in turn with elmo-jax."""
    yield from compare_with_peers(job)


def steps(job: Job) -> Iterator[list[dict[str, Any]]]:
    """The compiled step alone, by lanes and by tokens of a lane."""
    rows: list[dict[str, Any]] = []
    shapes = [(n_lanes, length) for length in LENGTHS for n_lanes in LANES]
    for n_lanes, length in [(1, 4), (4, 4)] if job.args.quick else shapes:
        if job.is_over:
            return
        rows.append(_time_step(job, n_lanes, length))
        yield rows


def forms(job: Job) -> Iterator[list[dict[str, Any]]]:
    """The step in its forms, each checked against float32 before it is timed."""
    rows: list[dict[str, Any]] = []
    exact = job.elmo("float32").embed(job.sample)
    errors = {}
    for name, sizes in FORMS.items():
        with planned(_PLATFORM, **sizes):
            vectors = job.elmo().embed(job.sample)
        bound = BOUNDS[job.args.precision]
        errors[name] = _check_error(f"The form {name!r}", compare_layers(vectors, exact), bound)
    for n_lanes in (4,) if job.args.quick else _FORM_LANES:
        for name, sizes in FORMS.items():
            if job.is_over:
                return
            row = _time_step(job, n_lanes, 4 if job.args.quick else LENGTHS[0], **sizes)
            rows.append({"form": name, "relative_error": errors[name], **row})
            yield rows


def _time_step(job: Job, n_lanes: int, length: int, **sizes: Any) -> dict[str, Any]:
    choice = job.args.precision, _PLATFORM
    call = step_call(job.config, job.params, n_lanes, length, *choice, **sizes)
    seconds = call.seconds()
    rate = n_lanes * length / seconds.median
    gflops = rate * step_work(job.config, job.config.n_layers) / 1e9
    return {
        "lanes": n_lanes,
        "length": length,
        "seconds": seconds.json(),
        "tokens_per_second": round(rate, 1),
        "gflops": round(gflops, 2),
        "per_cent": job.per_cent(gflops),
    }


PARTS: dict[str, Callable[[Job], Iterator[Any]]] = {
    part.__name__: part for part in (limit, error, sentences, layers, peers, steps, forms)
}
"""In their order: the parts that matter most come first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=list(PARTS), help="which (default: all)")
    add("--precision", choices=PRECISIONS, default="bfloat16", help="default: bfloat16")
    add("--rounds", type=int, default=3, metavar="N", help="samples of each (default: 3)")
    add("--budget", type=float, default=480, metavar="SECONDS", help="in all (default: 480)")
    add_peers(parser, PEERS)
    add("--peers-here", action="store_true", help="run the peers with this Python")
    add("--peer-tokens", type=int, metavar="N", help="part of the text for a peer (default: 60000)")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    check_peers(args.peers, PEERS)
    on_cpu = jax.default_backend() == "cpu"
    setup, copies = setting(args, _CPU_TOKENS if on_cpu else _TOKENS, repeat=True)
    job = Job(args, setup)
    result: dict[str, Any] = {
        "setting": setup.json() | {"text_copies": copies},
        "precision": args.precision,
        "left_out": [],
    }
    for name, part in PARTS.items():
        if name not in args.part:
            continue
        if job.is_over:
            result["left_out"].append(name)
            continue
        for value in part(job):
            result |= {name: value, "seconds": job.seconds}
            yield result
    yield result


def table(result: dict[str, Any]) -> str:
    """What there is of each part."""
    what = result["setting"]
    copies = what["text_copies"]
    repeated = f", a text of {what['tokens'] // copies:,} read {copies} times" if copies > 1 else ""
    shown = [f"Model {what['model']}, {what['tokens']:,} tokens{repeated}; {result['precision']}."]
    if "limit" in result:
        rates = result["limit"]["gflops"].items()
        products = ", ".join(f"{name} {number(rate['median'] / 1e3)}" for name, rate in rates)
        memory = number(result["limit"]["gigabytes_per_second"]["median"])
        shown.append(f"Matmul, TFLOP/s: {products}. Memory, read: {memory} GB/s.")
    titles = {"sentences": "sentence vectors, tokens/s", "layers": "all layers, float16, tokens/s"}
    rows: dict[str, list[dict[str, str]]] = {
        "own": [_own_row(title, result[part]) for part, title in titles.items() if part in result],
        "error": [
            {
                "relative error against float32": name,
                **{f"layer {k}": f"{row['relative_error']:.1e}" for k, row in enumerate(layers_)},
            }
            for name, layers_ in result.get("error", {}).items()
        ],
        "peers": [_peer_row(row) for row in result.get("peers", ()) if "error" not in row],
        "steps": [_step_row("the compiled step", row) for row in result.get("steps", ())],
        "forms": [_step_row(row["form"], row) for row in result.get("forms", ())],
    }
    shown += [markdown(part) for part in rows.values() if part]
    shown += [f"{row['peer']}: {row['error']}" for row in result.get("peers", ()) if "error" in row]
    if result["left_out"]:
        shown.append(f"Left out, because the time was over: {', '.join(result['left_out'])}.")
    return "\n\n".join(shown)


def _own_row(title: str, row: dict[str, Any]) -> dict[str, str]:
    return {
        "from words to host memory": title,
        "no word known": spread(row["tokens_per_second"]),
        "run again": spread(row["again_tokens_per_second"]),
        "% of the limit": number(row["per_cent"]),
        "% of the time the host is busy": number(row["host_per_cent"]),
    }


def _peer_row(row: dict[str, Any]) -> dict[str, str]:
    return {
        "peer": f"{row['peer']}, {row['output']}",
        "tokens measured on": f"{row['tokens']:,}",
        "tokens/s (p10 – p90)": spread(row["tokens_per_second"]),
        "elmo-jax is … times faster": spread(row["elmo_jax_times_faster"]),
    }


def _step_row(name: str, row: dict[str, Any]) -> dict[str, str]:
    return {
        "form of the step, all layers": name,
        "lanes × tokens": f"{row['lanes']} × {row['length']}",
        "tokens/s": number(row["tokens_per_second"]),
        "TFLOP/s": number(row["gflops"] / 1e3),
        "% of the limit": number(row["per_cent"]),
        "µs a step": number(1e6 * row["seconds"]["median"] / row["length"]),
    }
