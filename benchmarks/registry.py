"""The questions and the other commands of ``python -m benchmarks``, by name."""

from __future__ import annotations

QUESTIONS = {
    "limit": "limits",
    "throughput": "throughput",
    "latency": "latency",
    "startup": "startup",
    "memory": "memory",
    "scaling": "scaling",
    "corpus": "corpus_run",
    "formats": "formats",
    "equality": "equality",
    "profile": "profile",
    "kernels": "kernels",
    "host": "host",
    "precision": "precision",
    "training": "training_speed",
    "accelerator": "accelerator",
}
"""Questions about speed, and what it must not change -> their modules, in the order in which
``all`` asks them."""

WITH_PEERS = ("throughput", "latency", "startup", "memory", "training", "accelerator")
"""The questions that compare, and take ``--peers``."""

COMMANDS = {
    "tasks": "tasks.command",
    "recipes": "recipes",
    "charts": "charts",
    "tables": "readme",
    "peers": "peers.command",
}
"""What has a command line of its own -> its module."""
