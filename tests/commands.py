"""Running commands of `elmo-jax` inside the tests."""

import json

from elmo_jax.cli import main


def summary(capsys, *arguments):
    """What a command that succeeds prints with --json."""
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def running(capsys, *arguments):
    """What a command that succeeds prints to stdout."""
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def failing(capsys, *arguments):
    """What a command that fails prints to stderr."""
    assert main(list(map(str, arguments))) == 1
    return capsys.readouterr().err
