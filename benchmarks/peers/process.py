"""The side that asks: a peer as a process that answers requests, one JSON object per line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError

from .environments import HERE, implementation, interpreter

_TAIL = 4000  # characters of a dead worker's messages that go into the error


def open_peer(name: str, *, here: bool = False, worker: Path | None = None) -> Peer:
    """Start the process of a peer, for a ``with`` statement, which ends it.

    With ``here`` it runs with this Python, not that of its own environment. ``worker`` is another
    file to run there; see ``worker.py``. The library is imported by the command "open".
    """
    peer = implementation(name)
    python = sys.executable if here else interpreter(peer)
    # It must find its own packages, and no others.
    environment = {**os.environ, "PYTHONNOUSERSITE": "1"}
    others = environment.pop("PYTHONPATH", "")
    if not peer.environment:  # it runs in this Python, from this checkout
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parents[1]), others]))
    return Peer(name, worker_command(python, worker or peer.worker), environment)


def worker_command(python: str | Path, file: Path) -> list[str]:
    # -P: no library may find its modules in the folder of worker.py
    return [str(python), "-P", str(HERE / "worker.py"), str(file)]


class Peer:
    """A running worker; ``name`` is for errors."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._log}
        try:
            self._process = subprocess.Popen(command, env=environment, encoding="utf-8", **pipes)
        except OSError as error:
            self._log.close()
            raise ElmoError(f"The peer {name} cannot be started: {error}") from None

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request of ``worker.py`` and wait for its answer; arguments are JSON or paths."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = json.dumps({"command": command, **arguments}, default=os.fspath)
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise self._death(command)
        reply = json.loads(line)
        if "error" in reply:
            where = "\n".join(reply["traceback"])
            raise ElmoError(
                f"The peer {self.name} could not answer {command!r}: {reply['error']}\n{where}"
            )
        return reply["result"]

    def close(self) -> None:
        """End the process, whatever it is doing: it has nothing to save."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _death(self, command: str) -> ElmoError:
        """What to raise when the worker has ended, with the last that it said."""
        code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._log.seek(0)
        tail = self._log.read().decode("utf-8", "replace").strip()[-_TAIL:]
        return ElmoError(
            f"The peer {self.name} ended with {how} when it was asked for {command!r}. "
            f"Its last words: {tail or '(none)'}"
        )
