"""How many tokens a second can a host prepare, if its devices take no time?

* train: the windows of a run, from the text's file to the arrays of a step. Every process of a run
  reads and places all sentences, and makes the arrays of its own rows alone. So besides one process
  and several, one that owns a single row is timed: its work is what every process repeats, and what
  more processes could prepare follows from it.
* embed: from lists of words to results, with stand-ins for all that is compiled. Each process has
  its share of the text, as ``elmo-jax embed --shard`` gives it.
* grain: the windows of train, made by worker processes of grain for one process that trains.

Processes work at the same time; the rate of all together is that of all tokens and the slowest.
A token of training counts once, though both directions predict one.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elmo_jax import ElmoConfig
from elmo_jax.processes import ALONE, Processes
from elmo_jax.training import Corpus, Vocabulary, survey

from .corpus import write_text
from .host_work import TrainingText, Workers, embed, prepare
from .measure import Spread, interleave, ratios
from .models import open_model
from .tables import markdown, spread
from .texts import corpus_file

GOAL = 8_000_000
"""Tokens a second: what eight devices would read, each of them a million a second."""

PARTS = ("train", "embed", "grain")
OUTPUTS: dict[str, dict[str, Any]] = {
    "sentences (mean), top layer": {"layers": "top", "pooling": "mean"},
    "tokens, all layers": {"layers": "all"},
}
_TEXT = ("data", "train", "permissive-00.txt.bz2")
_EMBED_SHARE = 4  # a part of the text is enough
_VOCABULARY_SIZE = 100_000
_ESTIMATED = (2, 4, 8, 16)  # processes of a host
_ONE_ROW = slice(0, 1)

Row = dict[str, Any]
Rounds = list[list[float]]
"""The seconds of each worker in each round."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=list(PARTS), help="which (default: all)")
    add("--workers", type=int, default=2, metavar="W", help="processes at once (default: 2)")
    add("--batch-size", type=int, nargs="+", metavar="N", help="rows (default: 128 and 1024)")
    add("--unroll-steps", type=int, default=20, metavar="T", help="of a window (default: 20)")
    add("--rounds", type=int, metavar="N", help="samples of each (default: 4)")


def measure(args: argparse.Namespace) -> Iterator[Row]:
    n_tokens = args.tokens or (2_000 if args.quick else 2_000_000)
    rounds = args.rounds or (1 if args.quick else 4)
    batch_sizes = args.batch_size or ([8] if args.quick else [128, 1024])
    file, model = corpus_file(args.corpus, _TEXT), open_model(args.model)
    what = {"model": model.name, "corpus": file.name, "tokens": n_tokens}
    what |= {"window": args.unroll_steps, "workers": args.workers}
    result: Row = {"setting": what}
    with tempfile.TemporaryDirectory() as folder, Workers(args.workers) as workers:
        text = _training_text(Path(folder), file, n_tokens, model.config, args.unroll_steps)
        small = Path(folder) / "small.txt"
        write_text(small, file, n_tokens // _EMBED_SHARE)
        run = functools.partial(_in_turn, workers, rounds)
        for part in args.part:
            if part == "grain" and find_spec("grain") is None:
                result[part] = "it is not installed (pip install grain)."
                yield result
                continue
            result[part] = []
            if part == "embed":
                for name, wanted in OUTPUTS.items():
                    job = functools.partial(embed, small, model.config, **wanted)
                    result[part] += _embedding(run, args.workers, name, job, small)
                    yield result
                continue
            for n_rows in batch_sizes:
                measured = _training if part == "train" else _training_with_grain
                result[part].append(measured(run, args.workers, text, n_rows))
                yield result


def _training_text(
    folder: Path, file: Path, n_tokens: int, config: ElmoConfig, unroll_steps: int
) -> TrainingText:
    text, vocabulary = folder / "text.txt", folder / "vocabulary.txt"
    write_text(text, file, n_tokens)
    statistics = survey(Corpus.of(text))
    Vocabulary.from_counts(statistics.counts, _VOCABULARY_SIZE).write(vocabulary)
    return TrainingText(text, vocabulary, config, statistics.n_predictions, unroll_steps)


def _in_turn(
    workers: Workers, rounds: int, jobs: dict[str, Sequence[Callable[[], Any]]]
) -> dict[str, Any]:
    """What the jobs of each name return in each round; those of one name run at the same time."""
    calls = {name: functools.partial(workers.run, at_once) for name, at_once in jobs.items()}
    for call in calls.values():
        call()  # reads the text, and compiles
    return interleave(calls, rounds)


def _training(run: Any, n_workers: int, text: TrainingText, n_rows: int) -> Row:
    job = functools.partial(prepare, text, n_rows)
    several = [Processes(n_workers, index).own(n_rows) for index in range(n_workers)]
    seconds = run(
        {
            "one": [functools.partial(job, ALONE.own(n_rows))],
            "one row": [functools.partial(job, _ONE_ROW)],
            "several": [functools.partial(job, own) for own in several],
        }
    )
    n_tokens = text.n_windows(n_rows) * n_rows * text.unroll_steps
    (whole, repeated) = (list(map(max, seconds[name])) for name in ("one", "one row"))
    return {
        "rows": n_rows,
        "processes": _rates(seconds, n_tokens, n_workers),
        "repeated_share": ratios(repeated, whole).json(),
        "estimates": [
            {"processes": n, "tokens_per_second": estimate(n_tokens, whole, repeated, n).json()}
            for n in (*_ESTIMATED, None)
        ],
    }


def estimate(
    n_tokens: int, whole: Sequence[float], repeated: Sequence[float], n_processes: int | None
) -> Spread:
    """The rate of so many processes (None: any number), if each had a core of its own.

    ``whole`` are the seconds of one process for all rows, in each round, and ``repeated`` those of
    the work that every process does, however few rows it owns.
    """
    share = 1 / n_processes if n_processes else 0.0
    pairs = zip(whole, repeated, strict=True)
    return Spread.of([n_tokens / (same + (total - same) * share) for total, same in pairs])


def _embedding(
    run: Any, n_workers: int, name: str, job: Callable[..., float], text: Path
) -> list[Row]:
    n_tokens = survey(Corpus.of(text)).n_words
    seconds = run(
        {
            "one": [functools.partial(job, (0, 1))],
            "several": [functools.partial(job, (index, n_workers)) for index in range(n_workers)],
        }
    )
    return [{"output": name, **row} for row in _rates(seconds, n_tokens, n_workers)]


def _rates(seconds: dict[str, Rounds], n_tokens: int, n_workers: int) -> list[Row]:
    """Tokens a second of one process, and of several that share the same tokens."""
    rows = []
    for name, n in ("one", 1), ("several", n_workers):
        each = [n_tokens / n / worker for at_once in seconds[name] for worker in at_once]
        together = [n_tokens / max(at_once) for at_once in seconds[name]]
        alone = [n_tokens / at_once[0] for at_once in seconds["one"]]
        row = {"of_each": Spread.of(each).json(), "together": Spread.of(together).json()}
        rows.append({"processes": n, **row, "scaling": ratios(together, alone).json()})
    return rows


def _training_with_grain(run: Any, n_workers: int, text: TrainingText, n_rows: int) -> Row:
    """Against one process that prepares its own windows, in turn."""
    from .grain_windows import receive

    jobs: dict[str, Sequence[Callable[[], Any]]] = {
        "own": [functools.partial(prepare, text, n_rows, ALONE.own(n_rows))]
    }
    counts = sorted({1, n_workers})
    jobs |= {f"{n}": [functools.partial(receive, text, n_rows, n)] for n in counts}
    seconds = run(jobs)
    n_tokens = text.n_windows(n_rows) * n_rows * text.unroll_steps
    own = [at_once[0] for at_once in seconds["own"]]
    rows = []
    for n in counts:
        wall, processor = zip(*(at_once[0] for at_once in seconds[f"{n}"]), strict=True)
        rows.append(
            {
                "workers": n,
                "tokens_per_second": Spread.of([n_tokens / s for s in wall]).json(),
                "times_own": ratios(own, wall).json(),
                "receiver_busy": ratios(processor, wall).json(),
            }
        )
    own_rate = Spread.of([n_tokens / s for s in own]).json()
    return {"rows": n_rows, "own_tokens_per_second": own_rate, "grain": rows}


def table(result: Row) -> str:
    what = result["setting"]
    head = (
        f"Text: {what['corpus']}; windows of {what['window']} steps; results in the sizes of "
        f"{what['model']}. The goal is {GOAL:,} tokens/s of a host."
    )
    shown = {"train": _train_table, "embed": _embed_table, "grain": _grain_table}
    return "\n\n".join([head, *(shown[part](result[part]) for part in PARTS if part in result)])


def _rate_columns(row: Row) -> Row:
    return {
        "processes": row["processes"],
        "tokens/s of each": row["of_each"],
        "tokens/s together": row["together"],
        "times one process": row["scaling"],
        "% of the goal": f"{100 * row['together']['median'] / GOAL:.0f}",
    }


def _train_table(batches: list[Row]) -> str:
    measured = markdown(
        {"training, prepared": f"{batch['rows']} rows", **_rate_columns(row)}
        for batch in batches
        for row in batch["processes"]
    )
    notes = (
        f"{batch['rows']} rows: every process repeats {spread(batch['repeated_share'], 100)}% of "
        "the work of one. With a core for each, processes could prepare together, in tokens/s: "
        + "; ".join(
            f"{row['processes'] or 'any number'}: {row['tokens_per_second']['median']:,.0f}"
            for row in batch["estimates"]
        )
        + "."
        for batch in batches
    )
    return "\n\n".join([measured, *notes])


def _embed_table(rows: list[Row]) -> str:
    return markdown({"embedding, prepared": row["output"], **_rate_columns(row)} for row in rows)


def _grain_table(batches: list[Row] | str) -> str:
    if isinstance(batches, str):
        return f"grain was left out: {batches}"
    return markdown(
        {
            "windows for one process": f"{batch['rows']} rows, workers of grain: {row['workers']}",
            "tokens/s": row["tokens_per_second"],
            "times preparing them itself": row["times_own"],
            "the receiver's processor, busy": row["receiver_busy"],
        }
        for batch in batches
        for row in batch["grain"]
    )
