"""Opens model files that may be anything, in a process of its own; see `Apart`.

Nothing is compiled. The process has little memory, and an alarm ends what takes too long: whatever
is wrong with the files, all that may come out is the model or an ElmoError.
"""

import contextlib
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import warnings
from pathlib import Path

MEMORY = 300 << 20
"""Bytes that opening may take beyond what the process has after its imports."""

SECONDS = 20


class TooLong(BaseException):
    """Not an Exception, so that no reader catches it."""


def digest_of(config, params):
    """What decides the vectors, as a hash; an error if any number is not finite."""
    import numpy as np

    from elmo_jax.model.parameters import check_params, flatten

    check_params(config, params)
    digest = hashlib.sha256(repr(config).encode())
    for path, array in sorted(flatten(params).items()):
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise AssertionError(f"{path} is {array.dtype} and has numbers that are not finite")
        digest.update(repr(path).encode() + array.tobytes())
    return digest.hexdigest()


def attempt(load, arguments):
    """How opening ends: ("opened", digest), ("refused", message) or ("wrong", what came)."""
    from elmo_jax import ElmoError

    if hasattr(signal, "alarm"):
        signal.alarm(SECONDS)
    try:
        return "opened", digest_of(*load(**arguments))
    except ElmoError as error:
        return "refused", str(error)[:1000]
    except TooLong:
        return "wrong", f"it took more than {SECONDS} seconds"
    except BaseException as error:
        return "wrong", f"{type(error).__name__}: {error}"[:300]
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def work():
    """Read cases from standard input, write one line of JSON for each."""
    warnings.simplefilter("ignore")
    from elmo_jax import load

    load()  # the model in the package, so that all imports are done
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if hasattr(signal, "alarm"):

        def ring(*_):
            raise TooLong

        signal.signal(signal.SIGALRM, ring)
    while True:
        try:
            files, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        for path, content in files.items():
            Path(path).write_bytes(content)
        print(json.dumps(attempt(load, arguments)), flush=True)


class Apart:
    """A process that opens files; it is started again if a case ends it."""

    def __init__(self):
        self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def open(self, files, arguments):
        """Write `{path: content}`, then load; gives what `attempt` does."""
        if self._process is None:
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                cwd=Path(__file__).resolve().parents[1],
            )
        try:
            pickle.dump((files, arguments), self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if line:
            return tuple(json.loads(line))
        process, self._process = self._process, None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return "wrong", f"the process ended with {process.wait()}"

    def _end(self):
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    work()
