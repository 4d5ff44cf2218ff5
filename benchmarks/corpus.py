"""How fast is `elmo-jax embed` on a whole corpus, and does its memory stay the same?

The command runs as users run it, in a process of its own, on an eighth, a quarter, half and all of
the text. If memory is bounded, its peak does not grow with the text.
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
from .peers.worker import peak_bytes
from .tables import markdown
from .texts import corpus_file

COMMAND = [sys.executable, "-c", "import sys; from elmo_jax.cli import main; sys.exit(main())"]

_TOKENS, _QUICK_TOKENS = 1_000_000, 4_000
_SHARES = (8, 4, 2, 1)
_TEXT = ("data", "train", "permissive-00.txt.bz2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(model=pretrained.BUNDLED)
    add = parser.add_argument
    add("--layers", default="all", help="as of elmo-jax embed (default: all)")
    add("--suffix", nargs="+", default=[".h5"], help="of the output: its format (default: .h5)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    file = corpus_file(args.corpus, _TEXT)
    n_tokens = args.tokens or (_QUICK_TOKENS if args.quick else _TOKENS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        for share in _SHARES:
            write_text(text, file, n_tokens // share)
            rows += [_embed(text, Path(folder) / f"out{suffix}", args) for suffix in args.suffix]
    what = {"model": args.model, "corpus": file.name}
    what |= {name: rows[-1][name] for name in ("sentences", "tokens")}
    what |= {"layers": args.layers, "format": ", ".join(args.suffix)}
    return {"setting": what, "rows": rows}


def write_text(text: Path, file: Path, n_tokens: int) -> None:
    """Write the first lines of a file, up to ``n_tokens`` tokens; nothing is repeated."""
    n_written = 0
    with text.open("w", encoding="utf-8") as output:
        for record in Records.of(file, "text"):
            output.write(f"{record.text}\n")
            n_written += len(record.words)
            if n_written >= n_tokens:
                return
    raise ElmoError(
        f"{file} has {n_written:,} tokens, too few for {n_tokens:,}. Name a longer text with "
        "--corpus."
    )


def _embed(text: Path, output: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Run the command, watch the peak of its memory, and remove the output."""
    command = [*COMMAND, "embed", text, "-o", output, "--layers", args.layers, "--quiet", "--json"]
    if args.model != pretrained.BUNDLED:
        command += ["--model", models.open_model(args.model).native]
    started = time.perf_counter()
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process, peak = subprocess.Popen(list(map(str, command)), **pipes), 0
    while True:
        peak = max(peak, peak_bytes(process.pid))
        try:
            stdout, stderr = process.communicate(timeout=0.2)
            break
        except subprocess.TimeoutExpired:
            continue
    wall = time.perf_counter() - started
    if process.returncode:
        raise ElmoError(f"elmo-jax embed failed: {stderr.strip()}")
    output.unlink()
    summary = json.loads(stdout)
    columns = ("sentences", "tokens", "parts", "bytes", "seconds", "tokens_per_second")
    row = {"format": output.suffix, **{name: summary[name] for name in columns}}
    return row | {"wall_seconds": round(wall, 2), "peak_bytes": peak}


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    rows = (
        {
            "tokens": row["tokens"],
            "parts": row["parts"],
            **({"format": row["format"]} if "," in what["format"] else {}),
            "seconds": row["wall_seconds"],
            "of it, embedding and writing": row["seconds"],
            "tokens/s": row["tokens_per_second"],
            "MB written": row["bytes"] / 1e6,
            "MB of memory at the peak": row["peak_bytes"] / 1e6,
        }
        for row in result["rows"]
    )
    return (
        f"`elmo-jax embed` with the model {what['model']}, layers {what['layers']}, to "
        f"{what['format']}; each text in a process of its own.\n\n{markdown(rows)}"
    )
