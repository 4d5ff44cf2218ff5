"""``elmo-jax embed``: a corpus to a file of vectors."""

from __future__ import annotations

import argparse
import functools
import os
import re
from pathlib import Path
from typing import Any

from ..errors import ElmoError, counted, shortened
from .flags import add_count, add_flag, add_input, add_layers, add_model_flags, add_word_flags
from .frame import note
from .inputs import open_records
from .mixes import add_mix_flags, mix_arguments, mix_files
from .models import model_files, open_elmo
from .own_devices import count_nvidia, own_devices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("input")
    add_input(text)
    text.add_argument(
        "--key-column", metavar="NAME", help="the column with the keys (not for CoNLL)"
    )
    add_word_flags(text)
    add_flag(text, "--strict", ": blank lines, which otherwise count as empty sentences")
    vectors = parser.add_argument_group("output")
    suffixes = (
        ": .h5 or .hdf5 (as allennlp elmo wrote), .parquet, .npz, .csv, .tsv; .npy if pooled; "
        ".vec or .txt for the tokens of one layer"
    )
    add_flag(vectors, "--output", suffixes, required=True)
    add_layers(vectors, "all", "average", "top", "mix", default="all")
    add_mix_flags(vectors)
    add_flag(vectors, "--pooling", "; none: one per token", default="none")
    add_flag(vectors, "--dtype")
    rows = (
        "carry the LSTM state as bilm-tf did (ROWS 1), or allennlp elmo (its --batch-size, 64 by "
        "default): sentence i of a batch of ROWS starts in the state after sentence i of the batch "
        "before"
    )
    vectors.add_argument("--carry-state", type=int, metavar="ROWS", help=rows)
    vectors.add_argument(
        "--forget-sentences", action="store_true", help="leave the text of the sentences out of OUT"
    )
    vectors.add_argument(
        "--use-sentence-keys",
        nargs="?",
        const="text",
        choices=("text", "words"),
        help="name HDF5 datasets after their sentences: as written in the text (text, the "
        "default), or the words with tabs between them (words)",
    )
    escape = "write / in these keys as $backslash$, and . as $period$, as ELMoForManyLangs does"
    vectors.add_argument("--escape-keys", action="store_true", help=escape)
    add_flag(vectors, "--overwrite")
    model = parser.add_argument_group("model")
    add_model_flags(model)
    matrix = "a matrix that aligns the vectors of layer 1: .pth as published, .npy or .npz"
    model.add_argument("--alignment", metavar="FILE", help=matrix)
    parts = parser.add_argument_group("large corpora")
    share = (
        "make only every N-th part, starting with the I-th; `elmo-jax merge OUT` joins the shards. "
        "auto takes I and N from whatever started the processes: torchrun, MPI, srun, a SLURM job "
        "array or a TPU. With auto, the processes on one host divide its GPUs, if they can be "
        "divided evenly and the launcher has not done so"
    )
    parts.add_argument("--shard", type=_shard, metavar="I/N", help=share)
    last = (
        "with --shard: the last shard to finish joins them all; all must see the same folder of OUT"
    )
    parts.add_argument("--merge", action="store_true", help=last)
    tokens = "tokens per part; a killed run loses at most one part (default: 262144)"
    add_count(parts, "--part-tokens", tokens)
    again = "delete the parts in OUT.parts and start again"
    parts.add_argument("--restart", action="store_true", help=again)
    add_flag(parser, "--quiet")


def _shard(text: str) -> tuple[int, int] | str:
    if text == "auto":
        return text
    match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    i, n = map(int, match.groups()) if match else (0, 0)
    if not 1 <= i <= n:
        raise argparse.ArgumentTypeError(
            f"{shortened(text)} is not a shard; expected I/N, such as 1/4, or auto"
        )
    return i, n


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The summary of ``elmo_jax.corpus.embed_corpus``."""
    from ..corpus import PART_TOKENS, embed_corpus
    from ..corpus.merging import check_target
    from ..files import refuse_input

    if args.carry_state is not None and args.part_tokens is not None:
        raise ElmoError("With --carry-state the corpus is one part: leave out --part-tokens.")
    shard = _own_shard(args) if args.shard == "auto" else args.shard
    mix = mix_arguments(args)
    refuse_input(Path(args.output), [*model_files(args), *mix_files(args)])
    check_target(Path(args.output), args.overwrite)  # before the model is opened
    records = open_records(args, args.key_column)
    return embed_corpus(
        open_elmo(args),
        records,
        args.output,
        args.layers,
        pooling=None if args.pooling == "none" else args.pooling,
        **mix,
        dtype=args.dtype,
        carry_state=args.carry_state,
        strict=args.strict,
        with_text=not args.forget_sentences,
        sentence_keys=args.use_sentence_keys,
        escape_keys=args.escape_keys,
        shard=shard,
        merge=args.merge,
        part_tokens=PART_TOKENS if args.part_tokens is None else args.part_tokens,
        overwrite=args.overwrite,
        restart=args.restart,
        progress=not args.quiet,
        note=functools.partial(note, args),
    )


def _own_shard(args: argparse.Namespace) -> tuple[int, int]:
    """The shard of this process. Until JAX is in use, its devices can be chosen too."""
    from ..corpus import this_process

    process = this_process()
    devices = own_devices(process.local, os.environ, count_nvidia())
    os.environ.update(devices)
    chosen = "".join(f"; {name}={value}" for name, value in devices.items())
    note(args, "shard {}/{}, from {}{}".format(*process.shard, process.source, chosen))
    return process.shard


def text(summary: dict[str, Any]) -> str:
    from ..files import shown_size

    output, n_blank, n_resumed = (summary[key] for key in ("output", "blank_lines", "parts_found"))
    # Not "blank lines": in a table they are empty cells.
    blank_lines = f" ({n_blank:,} of them empty)" if n_blank else ""
    message = (
        f"{output}: {counted(summary['sentences'], 'sentence')}{blank_lines}, "
        f"{counted_tokens(summary)}, {shown_size(summary['bytes'])}, "
        f"{counted(round(summary['tokens_per_second']), 'token')}/s"
    )
    if n_resumed:
        were = "was" if n_resumed == 1 else "were"
        message += f"; {counted(n_resumed, 'part')} {were} there before"
    if not summary["finished"]:
        message += f"\nshard {summary['shard']} is finished. "
        message += (
            "The last one to finish joins all."
            if summary["merge"]
            else f"When all are: elmo-jax merge {output}"
        )
    return message


def counted_tokens(summary: dict[str, Any]) -> str:
    """How many tokens were embedded, and how many words among them were cut."""
    n_cut = summary["words_cut"]
    cut = f" ({n_cut:,} longer than the model reads)" if n_cut else ""
    return counted(summary["tokens"], "token") + cut
