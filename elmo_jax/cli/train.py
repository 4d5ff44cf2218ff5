"""``elmo-jax train``: a new biLM from text, or a fine-tuned one."""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

from ..checkpoint import FORMATS, read_options
from ..errors import ElmoError, counted
from ..model.config import ElmoConfig
from ..training.settings import RECIPES, TrainingSettings
from .flags import FLAGS, add_count, add_flag, add_flags, add_plain_input
from .joining import add_process_flags, joined
from .models import options_of

# The settings that are not in FLAGS, and what train adds to those that are.
_HELP = {
    "recipe": "optimizer and schedule; 'original' is bilm-tf's",
    "batch_size": ", for all devices together",
    "unroll_steps": "steps per window: how far back gradients reach",
    "epochs": "passes over the text",
    "n_steps": "number of windows to train on, instead of --epochs",
    "n_negative_samples": "negative samples in the sampled softmax; 0: the full softmax",
    "learning_rate": "learning rate (default: the recipe's)",
    "clip_norm": "limit on the norm of the gradient (default: the recipe's)",
    "warmup_share": "share of the steps during which the rate rises (modern)",
    "weight_decay": "weight decay of AdamW (modern)",
    "average_share": "share of the steps, at the end, whose weights are averaged for the result",
    "dropout": "share dropped from each LSTM layer's input, and from the output",
    "reset_state": " (default: the recipe's)",
    "tokenizer": "; auto is that of the model in --start-from",
    "seed": ", for weights, order, dropout and samples",
    "shuffle_buffer": "sentences held in memory for shuffling, per direction",
    "eval_every": "steps between validations (default: ten per run)",
    "checkpoint_every": "steps between checkpoints (default: twenty per run, at most 1000)",
    "keep_checkpoints": "how many of the latest checkpoints to keep",
    "log_every": "steps between lines of metrics.jsonl",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plain_input(parser)
    folder = ": a folder for the run; an unfinished run is resumed"
    add_flag(parser, "--output", folder, required=True)
    model = parser.add_mutually_exclusive_group(required=True)
    add_flag(model, "--preset")
    options = ": the architecture, and bilm-tf's training options as defaults"
    add_flag(model, "--options-file", options)
    old = "a model to fine-tune: its folder, archive, checkpoint or name"
    model.add_argument("--start-from", metavar="MODEL", help=old)
    add_flag(parser, "--option", "; for the model of --start-from")
    add_flag(parser, "--vocabulary", " (default: made from the text)")
    add_count(parser, "--vocabulary-size", "largest size of a vocabulary made from the text")
    add_flag(parser, "--min-count", ", if the vocabulary is made from the text")
    add_flag(parser, "--tokenized-with", " (default: that of --start-from)")
    valid = "text to measure the perplexity on"
    parser.add_argument("--valid", nargs="+", metavar="FILE", help=valid)
    most = "how many tokens of --valid to measure, to the end of a sentence (default: all)"
    add_count(parser, "--max-valid-tokens", most)
    add_flag(parser, "--format", choices=(*FORMATS, "both"), default="native")
    add_flags(parser, "--strict", "--quiet")
    settings = parser.add_argument_group("settings")
    for field in dataclasses.fields(TrainingSettings):
        _add_setting(settings, field)
    add_process_flags(parser)


def _add_setting(group: argparse._ArgumentGroup, field: dataclasses.Field[Any]) -> None:
    # A flag that is not given must not be in the namespace: the options file may have its value.
    default, flag = argparse.SUPPRESS, "--" + field.name.replace("_", "-")
    shown = "" if field.default is None else f" (default: {field.default})"
    text = _HELP.get(field.name, "") + shown
    if flag in FLAGS:
        add_flag(group, flag, text, default=default)
    elif field.name == "recipe":
        group.add_argument(flag, choices=RECIPES, default=default, help=text)
    else:
        kind = float if str(field.type).startswith("float") else int
        group.add_argument(flag, type=kind, metavar="N", default=default, help=text)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The summary of ``elmo_jax.training.train``."""
    with joined(args):
        return _train(args)


def _train(args: argparse.Namespace) -> dict[str, Any]:
    from ..training import train

    _refuse_what_has_no_effect(args)
    options = None if args.options_file is None else read_options(Path(args.options_file))
    return train(
        args.output,
        args.input,
        config=_config(args, options),
        start_from=_start_from(args),
        vocabulary=args.vocabulary,
        vocabulary_size=args.vocabulary_size,
        min_count=args.min_count,
        valid_files=args.valid,
        max_valid_tokens=args.max_valid_tokens,
        settings=_settings(args, options),
        formats=FORMATS if args.format == "both" else (args.format,),
        strict=args.strict,
        input_format=args.input_format,
        tokenized_with=args.tokenized_with,
        progress=not args.quiet,
    )


def _refuse_what_has_no_effect(args: argparse.Namespace) -> None:
    if "epochs" in args and "n_steps" in args:
        raise ElmoError("--n-steps and --epochs both say how long to train: leave out one of them.")
    if "eval_every" in args and args.valid is None:
        raise ElmoError(
            "--eval-every says how often to measure the text of --valid, and there is none. Name "
            "one, or leave it out."
        )


def _start_from(args: argparse.Namespace) -> Any:
    """The model to fine-tune, opened if ``--option`` says something about it."""
    from ..training.language_model import open_starting_model

    options = options_of(args)
    if options and args.start_from is None:
        raise ElmoError("--option belongs to the model in --start-from, and there is none.")
    return open_starting_model(args.start_from, options) if options else args.start_from


def _config(args: argparse.Namespace, options: Any) -> ElmoConfig | None:
    if args.preset is not None:
        return ElmoConfig.preset(args.preset)
    return None if options is None else ElmoConfig.from_options(options, args.options_file)


def _settings(args: argparse.Namespace, options: Any) -> TrainingSettings:
    # Flags win over the options file, and that wins over the defaults.
    names = [field.name for field in dataclasses.fields(TrainingSettings)]
    flags = {name: getattr(args, name) for name in names if hasattr(args, name)}
    if options is None:
        return TrainingSettings(**flags)
    return TrainingSettings.from_options(options, args.options_file, **flags)


def text(summary: dict[str, Any]) -> str:
    how = f"stopped by {summary['stopped_by']}" if summary["stopped_by"] else "finished"
    step = f"at step {summary['step']:,} of {summary['n_steps']:,}"
    lines = [
        f"{how} {step}: {counted(summary['tokens'], 'token')} in this call, "
        f"{counted(round(summary['tokens_per_second']), 'token')}/s"
    ]
    if summary["stopped_by"]:
        lines.append("the same command resumes it")
    if summary["finished"] and not summary["tokens"]:
        lines = [f"{how} before, {step}; nothing was trained in this call"]
    for name, what in (("words_cut", "text"), ("valid_words_cut", "validation text")):
        if n_cut := summary.get(name):
            are = "is" if n_cut == 1 else "are"
            words = counted(n_cut, "word")
            lines.append(f"{words} of the {what} {are} longer than the model reads")
    for broken in summary.get("broken_files", ()):
        lines.append(f"{broken['file']} breaks off {broken['breaks_off']}; its rest was left out")
    perplexity, oov_rate = "", summary["train_oov_rate"]
    if "valid_perplexity" in summary:
        value, oov_rate = summary["valid_perplexity"] or math.inf, summary["valid_oov_rate"]
        n_tokens = counted(summary["valid_tokens"], "token")
        perplexity = f"validation perplexity, full softmax: {value:.2f} over {n_tokens}, "
    lines.append(f"{perplexity}{oov_rate:.2%} of the words out of the vocabulary")
    lines += [f"{format} model: {path}" for format, path in summary["model"].items()]
    return "\n".join(lines)
