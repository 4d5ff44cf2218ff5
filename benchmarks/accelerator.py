"""How fast is an accelerator, how near to its limit, and against PyTorch on the same one?

Everything in one run, so that all numbers are of one card. The results are written after every row,
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
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

import elmo_jax
from elmo_jax import Elmo, ElmoError
from elmo_jax.model.config import PRECISIONS

from .calls import planned, step_call
from .limit import bandwidth, matmul_rate, precisions
from .measure import Spread, assert_equal, compare_rates, interleave, timed
from .peers import open_peer
from .precision import BOUNDS, compare_layers, largest_error
from .question import Setting, setting
from .systems import TOLERANCES, System, add_peers, peer_vectors, source
from .tables import markdown
from .texts import Sentence, count_tokens, even_batches, even_sample, write_sentences
from .work import needed_work, step_work

LANES, LENGTHS = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096), (64, 16)
FORMS: dict[str, dict[str, Any]] = {
    "as planned": {},
    "each product by itself": {"fused_products": False},
    "any number of steps": {"static_steps": False},
}
"""Of the engine's plan; a form stays in the library if this shows what it gains."""
_FORM_LANES = (64, 256, 1024, 2048)
_PLATFORM = "gpu"  # whose plan the steps have, also where they are only tried out

_TOKENS, _CPU_TOKENS = 2_000_000, 5_000
_LAYER_TOKENS = 500_000  # all layers of a token are 6 KB of float16 in the *original* shape
_CHECKED_TOKENS, _CHECKED_PEER_TOKENS = 1_000, 200
_PEER_TOKENS, _QUICK_PEER_TOKENS = 60_000, 100

Row = dict[str, Any]


class Variant(NamedTuple):
    """One way to run a peer, over sentences sorted by length, in batches of several sizes."""

    label: str
    peer: str
    precision: str
    batch_sizes: tuple[int, ...]


PEERS = ("torch_lstm", "allennlp")
VARIANTS = (
    Variant("PyTorch nn.LSTM, bfloat16", "torch_lstm", "bfloat16", (256, 1024)),
    Variant("PyTorch nn.LSTM, TF32", "torch_lstm", "tf32", (256, 1024)),
    Variant("AllenNLP, float32", "allennlp", "float32", (64, 256)),
    Variant("AllenNLP, TF32", "allennlp", "tf32", (256, 512)),
)


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
        precision = precision or self.args.precision
        return Elmo.from_params(self.config, self.params, precision=precision)

    @functools.cached_property
    def rates(self) -> dict[str, Spread]:
        """GFLOP/s of large products, by precision."""
        return {name: matmul_rate(name, quick=self.args.quick) for name in precisions()}

    def per_cent(self, gflops: float) -> float:
        rate = self.rates.get(self.args.precision, self.rates["float32"])
        return round(100 * gflops / rate.median, 2)


def limit(job: Job) -> Iterator[Row]:
    for name, rate in job.rates.items():
        yield {"limit": f"{name} matmul, GFLOP/s", "rate": rate.json()}
    yield {"limit": "memory, read, GB/s", "rate": bandwidth(quick=job.args.quick).json()}


def error(job: Job) -> Iterator[Row]:
    """The errors of the lower precisions, before anything is timed."""
    exact = job.elmo("float32").embed(job.sample)
    for name in ("bfloat16", "tf32"):
        vectors = job.elmo(name).embed(job.sample)
        largest_error(name, vectors, exact, BOUNDS[name])
        for layer, errors in enumerate(compare_layers(vectors, exact)):
            yield {"precision": f"{name}, layer {layer}", **errors}


def embed(job: Job) -> Iterator[Row]:
    """From words to host memory; the vectors of all layers are dropped when they are there."""
    yield {"output": "sentence vectors", **_time_text(job, job.text, "sentences")}
    text = even_sample(job.text, _LAYER_TOKENS)
    yield {"output": "all layers, float16", **_time_text(job, text, "layers")}


def _embed(elmo: Elmo, text: list[Sentence], output: str) -> float:
    """Seconds for one text."""
    if output == "sentences":
        return timed(lambda: elmo.embed_sentences(text))
    return timed(lambda: [None for _ in elmo.stream(text, dtype="float16")])


def _time_text(job: Job, text: list[Sentence], output: str) -> Row:
    """Rounds over a text: by a new Elmo, which knows no word, and by the same Elmo again."""
    first_run = _embed(job.elmo(), text, output)  # compiles
    new, again, host = [], [], []
    for _ in range(job.args.rounds):
        elmo, thread_started = job.elmo(), time.thread_time()
        new.append(_embed(elmo, text, output))
        again.append(_embed(elmo, text, output))
        host.append((time.thread_time() - thread_started) / (new[-1] + again[-1]))
    work = needed_work(job.config, text)
    gflops = work.total / Spread.of(new).median / 1e9
    return {
        "tokens": work.n_tokens,
        "tokens_per_second": Spread.of([work.n_tokens / s for s in new]).json(),
        "words_known": Spread.of([work.n_tokens / s for s in again]).json(),
        "gflops": round(gflops, 2),
        "per_cent_of_limit": job.per_cent(gflops),
        # The share of the time in which Python's own thread is busy.
        "host_per_cent": round(100 * Spread.of(host).median, 1),
        "first_run_seconds": round(first_run, 3),
    }


def peers(job: Job) -> Iterator[Row]:
    """PyTorch in turn with elmo-jax; a variant that is not there, or fails, gives its error.

    All results come to the host, those of all layers in float16.
    """
    for variant in VARIANTS:
        if variant.peer in job.args.peers:
            try:
                with open_peer(variant.peer, here=job.args.peers_here) as peer:
                    yield from _peer_rows(job, variant, peer)
            except ElmoError as error:
                lines = str(error).splitlines()
                yield {"peer": variant.label, "error": " ".join(lines[:1] + lines[-1:])}


def _peer_rows(job: Job, variant: Variant, peer: Any) -> Iterator[Row]:
    files, settings = source(variant.peer, job.setup.model), {"precision": variant.precision}
    peer.ask("open", settings=settings, **files)
    error = _check_peer(job, variant, peer)
    peer.ask("open", settings={**settings, "dtype": "float16"}, **files)
    own = even_sample(job.text, _LAYER_TOKENS)
    n_tokens = job.args.peer_tokens or (_QUICK_PEER_TOKENS if job.args.quick else _PEER_TOKENS)
    for size in variant.batch_sizes:
        part = even_batches(job.text, n_tokens, size, "sorted")
        system = System(f"{variant.label}, batches of {size}", variant.peer, size, "sorted")
        for output in ("sentences", "layers"):
            yield _compare(job, system, peer, part, own, output) | {"error_against_float32": error}


def _compare(
    job: Job, system: System, peer: Any, part: list[Sentence], own: list[Sentence], output: str
) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "text.txt", part)
        calls: dict[str, Callable[[], float]] = {
            "own": lambda: _embed(job.elmo(), own, output),
            "peer": lambda: system.embed(peer, text, output),
        }
        for call in calls.values():
            call()  # compiles, and lets the peer choose its kernels
        seconds = interleave(calls, job.args.rounds)
    n_tokens = {"own": count_tokens(own), "peer": count_tokens(part)}
    rates = compare_rates(seconds, n_tokens)
    return {
        "peer": system.label,
        "output": output,
        "tokens": n_tokens["peer"],
        "elmo_jax_tokens": n_tokens["own"],
        "elmo_jax_tokens_per_second": rates["own"]["tokens_per_second"],
        **rates["peer"],
    }


def _check_peer(job: Job, variant: Variant, peer: Any) -> float:
    """The largest relative error of a layer of the peer against elmo-jax in float32."""
    sample = even_sample(job.setup.text, _CHECKED_PEER_TOKENS)
    vectors, exact = peer_vectors(peer, sample), job.elmo("float32").embed(sample)
    if variant.precision == "float32":
        assert_equal(variant.label, vectors, exact, TOLERANCES[variant.peer])
    # PyTorch's LSTM cannot clip, so that its float32 may be off by more than the order of sums.
    return largest_error(variant.label, vectors, exact, max(BOUNDS[variant.precision], 1e-3))


def steps(job: Job) -> Iterator[Row]:
    """The compiled step alone, all layers, by lanes and by tokens of a lane."""
    shapes = [(n_lanes, length) for length in LENGTHS for n_lanes in LANES]
    for n_lanes, length in [(1, 4), (4, 4)] if job.args.quick else shapes:
        yield _time_step(job, n_lanes, length)


def forms(job: Job) -> Iterator[Row]:
    """The step in its forms, each checked against float32 before it is timed."""
    exact = job.elmo("float32").embed(job.sample)
    errors, bound = {}, BOUNDS[job.args.precision]
    for name, sizes in FORMS.items():
        with planned(_PLATFORM, **sizes):
            vectors = job.elmo().embed(job.sample)
        errors[name] = largest_error(f"The form {name!r}", vectors, exact, bound)
    for n_lanes in (4,) if job.args.quick else _FORM_LANES:
        for name, sizes in FORMS.items():
            row = _time_step(job, n_lanes, 4 if job.args.quick else LENGTHS[0], **sizes)
            yield {"form": name, **row, "relative_error": errors[name]}


def _time_step(job: Job, n_lanes: int, length: int, **sizes: Any) -> Row:
    shape = n_lanes, length, job.args.precision, _PLATFORM
    seconds = step_call(job.config, job.params, *shape, **sizes).seconds().median
    rate = n_lanes * length / seconds
    gflops = rate * step_work(job.config, job.config.n_layers) / 1e9
    return {
        "lanes": n_lanes,
        "tokens_of_a_lane": length,
        "tokens_per_second": round(rate, 1),
        "microseconds_per_step": round(1e6 * seconds / length, 2),
        "gflops": round(gflops, 2),
        "per_cent_of_limit": job.per_cent(gflops),
    }


PARTS: dict[str, Callable[[Job], Iterator[Row]]] = {
    part.__name__: part for part in (limit, error, embed, peers, steps, forms)
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
    on_cpu = jax.default_backend() == "cpu"
    setup = setting(args, _CPU_TOKENS if on_cpu else _TOKENS, repeat=True)
    job = Job(args, setup)
    what = setup.json() | {"text_copies": setup.copies, "precision": args.precision}
    result: dict[str, Any] = {"setting": what, "left_out": []}
    for name, part in PARTS.items():
        rows = part(job) if name in args.part else iter(())
        while not job.is_over and (row := next(rows, None)):
            result.setdefault(name, []).append(row)
            result["seconds"] = job.seconds
            yield result
        if name in args.part and job.is_over:
            result["left_out"].append(name)  # whole or in part
    yield result


def table(result: dict[str, Any]) -> str:
    what, copies = result["setting"], result["setting"]["text_copies"]
    repeated = f", a text of {what['tokens'] // copies:,} read {copies} times" if copies > 1 else ""
    shown = [f"Model {what['model']}, {what['tokens']:,} tokens{repeated}; {what['precision']}."]
    shown += [markdown(result[part]) for part in PARTS if part in result]
    if result["left_out"]:
        shown.append(f"Cut short when the time was over: {', '.join(result['left_out'])}.")
    return "\n\n".join(shown)
