"""How fast is `elmo-jax embed` on a whole corpus, and does its memory stay where it is?

Run from a checkout::

    python -m benchmarks corpus

The command runs as users run it, in a process of its own, on an eighth, a quarter, half and all of
the text. If memory is bounded, its peak does not grow with the text. Beside the peaks, the resident
memory is looked at twice a second while the longest text is embedded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError, pretrained
from elmo_jax.text.readers import Records

from . import models
from .corpus import corpus_file
from .tables import markdown, number

HELP = "Speed and memory of `elmo-jax embed` on up to a million tokens."

COMMAND = [sys.executable, "-c", "import sys; from elmo_jax.cli import main; sys.exit(main())"]

_TOKENS, _QUICK_TOKENS = 1_000_000, 4_000
_SHARES = (8, 4, 2, 1)
_TEXT = ("data", "train", "permissive-00.txt.bz2")
_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    parser.set_defaults(model=pretrained.BUNDLED)
    add = parser.add_argument
    add("--layers", default="all", help="as of elmo-jax embed (default: all)")
    add("--suffix", default=".h5", help="of the output: its format (default: .h5)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Embed growing parts of the text, each in a fresh process.

    Raises:
        ElmoError: if there is too little text, or the command fails.
    """
    file = corpus_file(args.corpus, _TEXT)
    n_tokens = args.tokens or (_QUICK_TOKENS if args.quick else _TOKENS)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for share in _SHARES:
            text = Path(folder) / "text.txt"
            _write_text(text, file, n_tokens // share)
            rows.append(_embed(text, Path(folder) / f"out{args.suffix}", args))
    return {
        "setting": {
            "model": args.model,
            "corpus": file.name,
            "sentences": rows[-1]["sentences"],
            "tokens": rows[-1]["tokens"],
            "layers": args.layers,
            "format": args.suffix,
        },
        "rows": rows,
    }


def _write_text(text: Path, file: Path, n_tokens: int) -> None:
    """The first lines of a file, until they have so many tokens; nothing is repeated."""
    found = 0
    with text.open("w", encoding="utf-8") as output:
        for record in Records.of(file, "text"):
            output.write(f"{record.text}\n")
            found += len(record.words)
            if found >= n_tokens:
                return
    raise ElmoError(
        f"{file} has {found:,} tokens, too few for {n_tokens:,}. Name a longer text with --corpus."
    )


def _embed(text: Path, output: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Run the command, look at its memory, and remove the output."""
    command = [*COMMAND, "embed", text, "-o", output, "--layers", args.layers, "--quiet", "--json"]
    if args.model != pretrained.BUNDLED:
        command += ["--model", models.open_model(args.model).native]
    began = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    samples, peak = [], 0
    while True:
        resident, peak_now = _memory(process.pid)
        peak = max(peak, peak_now)
        if resident:
            samples.append([round(time.perf_counter() - began, 2), resident])
        try:
            told, problem = process.communicate(timeout=_SECONDS)
            break
        except subprocess.TimeoutExpired:
            continue
    wall = time.perf_counter() - began
    if process.returncode:
        raise ElmoError(f"elmo-jax embed failed: {problem.strip()}")
    output.unlink()
    summary = json.loads(told)
    kept = ("sentences", "tokens", "parts", "bytes", "seconds", "tokens_per_second")
    return {
        **{name: summary[name] for name in kept},
        "wall_seconds": round(wall, 2),
        "peak_bytes": peak,
        "resident_bytes": samples,
    }


def _memory(process: int) -> tuple[int, int]:
    """Bytes of resident memory now and at the peak, as Linux tells them; 0 where it does not."""
    try:
        lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0, 0
    found = dict(line.split(":", 1) for line in lines if line.startswith(("VmRSS", "VmHWM")))
    now, peak = (int(found.get(name, "0").split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def table(summary: dict[str, Any]) -> str:
    """Seconds, rates and peaks by the size of the text."""
    heads = ["tokens", "parts", "seconds", "of it, embedding and writing", "tokens/s"]
    heads += ["MB written", "MB of memory at the peak"]
    rows = [
        [
            f"{row['tokens']:,}",
            str(row["parts"]),
            number(row["wall_seconds"]),
            number(row["seconds"]),
            number(row["tokens_per_second"]),
            number(row["bytes"] / 1e6),
            number(row["peak_bytes"] / 1e6),
        ]
        for row in summary["rows"]
    ]
    what = summary["setting"]
    return (
        f"`elmo-jax embed` with the model {what['model']}, layers {what['layers']}, to "
        f"{what['format']}; each text in a process of its own.\n\n{markdown(heads, rows)}"
    )
