"""Memory, by the operating system's own figure, in a process of its own."""

import subprocess
import sys

import pytest

# Code and libraries, the published small size, one window of 16,384 tokens, and room to spare.
LIMIT_GB = 2.5

PROGRAM = """
import resource, sys
import elmo_jax
from elmo_jax.model.bilm import init_params

config = elmo_jax.ElmoConfig.preset("small")
elmo = elmo_jax.Elmo.from_params(config, init_params(config, seed=0))
with open(sys.argv[1], encoding="utf-8") as lines:
    n_tokens = 0
    for vectors in elmo.stream((line.split() for line in lines), layers="top"):
        n_tokens += len(vectors)
kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(n_tokens, kilobytes / 1e6)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the resource module is POSIX's")
def test_a_stream_of_20000_sentences_stays_small(real_sentences, tmp_path):
    text = tmp_path / "text"
    text.write_text("\n".join(map(" ".join, real_sentences)), encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, str(text)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    n_tokens, peak_gb = map(float, run.stdout.split())
    assert n_tokens == sum(map(len, real_sentences))
    assert peak_gb < LIMIT_GB, f"{peak_gb} GB"
