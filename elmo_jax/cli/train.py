"""elmo-jax train: a new biLM from text files, or a fine-tuned one."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from ..checkpoint import FORMATS
from ..errors import ElmoError, counted
from ..model.config import ElmoConfig
from ..model.precision import PRECISIONS
from ..training.settings import RECIPES, TrainingSettings

_HELP = {
    "recipe": "optimiser and schedule; 'original' is bilm-tf's",
    "batch_size": "rows of a batch, over all devices together",
    "unroll_steps": "steps of a window: how far gradients reach back",
    "epochs": "passes over the text",
    "n_steps": "windows to train on, instead of --epochs",
    "n_negative_samples": "of the sampled softmax; 0 for the full softmax",
    "learning_rate": "default: that of the recipe",
    "clip_norm": "bound on the gradient's norm; default: that of the recipe",
    "warmup_share": "share of the steps in which the rate rises (modern)",
    "weight_decay": "of AdamW (modern)",
    "dropout": "share dropped of each LSTM layer's input, and of the output",
    "reset_state": "start every sentence from a zero state, or carry it on; default: as the recipe",
    "tokenizer": "lines to words: whitespace, spaces, words, spacy…, nltk…",
    "precision": "of the matrix products",
    "seed": "of weights, order, dropout and samples",
    "shuffle_buffer": "sentences in memory to shuffle, a direction",
    "eval_every": "steps between validations; default: ten in a run",
    "checkpoint_every": "steps between checkpoints; default: twenty in a run, at most 1000",
    "keep_checkpoints": "how many of the latest checkpoints stay",
    "log_every": "steps between lines of metrics.jsonl",
}
_CHOICES = {"recipe": RECIPES, "precision": PRECISIONS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add(
        "files",
        nargs="+",
        help="text, one tokenised sentence a line; .gz, .xz, .bz2, .zst; a file is read as often "
        "as it is named, a pattern adds those that are not named",
    )
    add(
        "-o", "--output", required=True, help="folder of the run; an unfinished one is gone on with"
    )
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "--preset", help="architecture of a new model: tiny, small, medium, original"
    )
    model.add_argument(
        "--options-file",
        type=Path,
        help="options.json with that architecture; training options of bilm-tf in it are defaults",
    )
    model.add_argument(
        "--init", metavar="MODEL", help="model to fine-tune: folder, zip or published name"
    )
    add("--vocabulary", help="file of the words to predict; default: made from the text")
    add("--vocabulary-size", type=int, help="most words of a vocabulary made from the text")
    add("--min-count", type=int, default=1, help="least count of its words (default: 1)")
    add("--valid", nargs="+", help="text to measure the perplexity on")
    add("--max-valid-tokens", type=int, help="how much of it (default: all)")
    add("--format", choices=[*FORMATS, "both"], default="native", help="of the result")
    add("--input-format", choices=("text",), help="read as plain text, whatever it looks like")
    add("--strict", action="store_true", help="stop at faults of the text")
    add("--quiet", action="store_true", help="no progress bar")
    settings = parser.add_argument_group("settings")
    for field in dataclasses.fields(TrainingSettings):
        _add_setting(settings, field)


def _add_setting(group: argparse._ArgumentGroup, field: dataclasses.Field[Any]) -> None:
    # An argument that is not there is not in the result: it may come from --options-file.
    default, text = argparse.SUPPRESS, _HELP[field.name]
    flag = "--" + field.name.replace("_", "-")
    if str(field.type).startswith("bool"):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        return
    kind = {"str": str, "int": int, "float": float}[str(field.type).split(" | ")[0]]
    shown = "" if field.default is None else f" (default: {field.default})"
    choices = _CHOICES.get(field.name)
    group.add_argument(flag, type=kind, default=default, choices=choices, help=text + shown)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; the summary of ``elmo_jax.training.train``.

    Raises:
        ElmoError: for anything that cannot be used.
    """
    from ..training import train

    options = None if args.options_file is None else _read_options(args.options_file)
    return train(
        args.output,
        args.files,
        config=_config(args, options),
        start_from=args.init,
        vocabulary=args.vocabulary,
        vocabulary_size=args.vocabulary_size,
        min_count=args.min_count,
        valid_files=args.valid,
        max_valid_tokens=args.max_valid_tokens,
        settings=_settings(args, options),
        formats=FORMATS if args.format == "both" else (args.format,),
        strict=args.strict,
        input_format=args.input_format,
        progress=not args.quiet,
    )


def _read_options(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ElmoError(f"Cannot read the options {path}: {error}") from None


def _config(args: argparse.Namespace, options: Any) -> ElmoConfig | None:
    if args.preset is not None:
        return ElmoConfig.preset(args.preset)
    return None if options is None else ElmoConfig.from_options(options, str(args.options_file))


def _settings(args: argparse.Namespace, options: Any) -> TrainingSettings:
    """What the user chose, then what the options say, then the defaults."""
    names = [field.name for field in dataclasses.fields(TrainingSettings)]
    chosen = {name: getattr(args, name) for name in names if hasattr(args, name)}
    if options is None:
        return TrainingSettings(**chosen)
    return TrainingSettings.from_options(options, str(args.options_file), **chosen)


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    how = f"stopped by {summary['stopped_by']}" if summary["stopped_by"] else "finished"
    step = f"at step {summary['step']:,} of {summary['n_steps']:,}"
    lines = [
        f"{how} {step}: {counted(summary['tokens'], 'token')} in this call, "
        f"{counted(round(summary['tokens_per_second']), 'token')}/s"
    ]
    if summary["finished"] and not summary["tokens"]:
        lines = [f"{how} before, {step}; nothing was trained in this call"]
    for name, what in (("words_cut", "text"), ("valid_words_cut", "validation text")):
        if n_cut := summary.get(name):
            are = "is" if n_cut == 1 else "are"
            lines.append(
                f"{counted(n_cut, 'word')} of the {what} {are} longer than the model reads"
            )
    if "valid_perplexity" in summary:
        lines.append(
            f"validation perplexity, full softmax: {summary['valid_perplexity'] or math.inf:.2f}, "
            f"{summary['valid_oov_rate']:.2%} of the words out of the vocabulary"
        )
    else:
        lines.append(f"{summary['train_oov_rate']:.2%} of the words out of the vocabulary")
    lines += [f"{format} model: {path}" for format, path in summary["model"].items()]
    return "\n".join(lines)
