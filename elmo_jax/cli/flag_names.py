"""The library's messages in the words of the command line.

A message names what to change as Python does: ``overwrite=True``, ``dtype='float32'``,
``batch_size``. A command has flags: ``--overwrite``, ``--dtype float32``, ``--batch-size``.
"""

from __future__ import annotations

import re

PHRASES = {
    "the same call": "the same command",
    "shard=(i, n)": "--shard I/N",
    "shard=(JOB_COMPLETION_INDEX + 1, n)": "--shard $((JOB_COMPLETION_INDEX + 1))/N",
    "with verify=False": "in Python with verify=False",
    "format='native' can": "--format native can",
    "It holds a model, not text": "It holds a model, which --model names",
    "tokenizer=elmo.tokenizer, or elmo.encode": "--tokenizer auto",
    "source=": "MODEL ",  # without a flag, or after --model
}
"""What no rule makes of a message."""

_OTHER_NAMES = {
    "format": "--input-format",
    "options": "--option",
    "sentence_keys": "--use-sentence-keys",
    "valid_files": "--valid",
    "vocabulary_file": "--vocabulary",
}

_SAME_NAMES = (
    "alignment", "average_share", "batch_size", "carry_state", "checkpoint_every", "clip_norm",
    "column", "coordinator", "dtype", "escape_keys", "eval_every", "input_format",
    "keep_checkpoints", "key_column", "layers", "learning_rate", "log_every", "max_tokens",
    "max_valid_tokens", "merge", "min_count", "mix_gamma", "mix_weights", "n_negative_samples",
    "n_steps", "num_processes", "options_file", "overwrite", "part_tokens", "pooling",
    "precision", "process_id", "reset_state", "restart", "shard", "shuffle_buffer",
    "split_sentences", "start_from", "strict", "token_table", "tokenized_with", "tokenizer",
    "unroll_steps", "vocabulary", "vocabulary_size", "wait", "warmup_share", "weight_decay",
    "weight_file", "words_only",
)  # fmt: skip

FLAGS_OF_ARGUMENTS = {name: "--" + name.replace("_", "-") for name in _SAME_NAMES} | _OTHER_NAMES
"""The flag of each argument of the library that the commands have."""

_OPTION = re.compile(r"options=\{'(\w+)': '?([^'}]*)'?\}")

_FIRST_WORDS = {"most": "-n", "n": "-n"} | {
    name: f"--{name}" for name in ("dropout", "epochs", "platforms", "recipe", "seed")
}
"""The flags of arguments that are words of English, too, where a message begins with one."""

_SUBJECT = re.compile(rf"(?:^|(?<=; |: ))({'|'.join(_FIRST_WORDS)})(?= is [^;]*, expected)")

# An argument with its value, or one that no other word is mistaken for. Not in a name of a file.
_ARGUMENT = re.compile(
    r"(?<![\w'\"./=-])(?:"
    rf"(?P<name>{'|'.join(FLAGS_OF_ARGUMENTS)})=(?P<value>'[^']*'|-?[\w.]*\w)?"
    rf"|(?P<word>{'|'.join(name for name in FLAGS_OF_ARGUMENTS if '_' in name)})"
    r")(?![\w='\"/]|\.\w)"
)


def with_flags(message: str) -> str:
    """The message with the flags of the command line instead of Python's arguments."""
    for phrase, flag in PHRASES.items():
        message = message.replace(phrase, flag)
    message = _SUBJECT.sub(lambda match: _FIRST_WORDS[match[1]], message)
    return _ARGUMENT.sub(_flag, _OPTION.sub(r"--option \1=\2", message))


def _flag(match: re.Match[str]) -> str:
    flag, value = FLAGS_OF_ARGUMENTS[match["name"] or match["word"]], match["value"] or ""
    return flag if value in ("", "True") else f"{flag} {value.strip(chr(39))}"
