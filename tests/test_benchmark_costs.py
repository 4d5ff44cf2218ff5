"""The page of costs on paper: its tables, and the arithmetic behind them."""

from pathlib import Path

import pytest

from benchmarks import costs, work
from benchmarks.absent import DEVICES
from elmo_jax import ElmoConfig

PAGE = (Path(__file__).parents[1] / "docs" / "guide" / "scale.md").read_text("utf-8")
ORIGINAL = ElmoConfig.preset("original")


def test_the_page_shows_the_tables_and_figures_of_the_formulas():
    for table in costs.tables():
        assert table in PAGE
    step = work.step_work(ORIGINAL, 2)
    word = work.word_work(ORIGINAL, 10) + work.input_work(ORIGINAL)
    n_bytes = 4 * costs.n_parameters(ORIGINAL)
    gradient = 4 * costs.SOFTMAX_WORDS * ORIGINAL.projection_dim
    copied = costs.copied_bytes(ORIGINAL)
    of_eight = 3 * (copied + costs.softmax_bytes(ORIGINAL, 8))
    exchanged = costs.exchanged_bytes(ORIGINAL, "h100", 64)
    written = costs.output_bytes(ORIGINAL)
    one = costs.training(ORIGINAL, "h100", 1).parts["one after the other"]
    step_seconds = one / (costs.CORPUS_TOKENS * costs.EPOCHS / 20_480)
    figures = {
        f"that is {1e3 * step_seconds:.0f} ms for 20,480 tokens",
        f"{20_480 / step_seconds / 1e6:.1f} million tokens a second for each",
        f"A token takes {step / 1e9:.3f} GFLOP",
        f"Each distinct word takes {word / 1e9:.3f} GFLOP more",
        f"reads {costs.step_weight_bytes(ORIGINAL) / 1e6:.0f} MB of weights",
        f"{written // costs.N_TOKENS:,} bytes per token, {written / 1e12:.1f} TB in all",
        f"At 2 GB/s, writing takes {written / 2e9 / 60:.0f} minutes",
        f"{DEVICES['h100'].bfloat16_rate / step / 1e6:.1f} million tokens a second",
        f"{costs.training_work(ORIGINAL) / 1e9:.3f} GFLOP: three times",
        f"{costs.n_parameters(ORIGINAL) / 1e6:.0f} million parameters, {n_bytes / 1e9:.1f} GB",
        f"× 4 bytes = {gradient / 1e9:.1f} GB",
        f"7 times, {7 * n_bytes / 1e9:.0f} GB on a single device",
        f"2 (n - 1) / n × {copied / 1e9:.2f} GB through",
        f"with 64 GPUs, this and the sums are {exchanged / 1e9:.1f} GB",
        f"take {3 * n_bytes / 1e9:.1f} GB on a single device",
        f"the 6.0 GB would become {of_eight / 1e9:.1f} GB",
    }
    assert {figure for figure in figures if figure not in " ".join(PAGE.split())} == set()
    for chip, name in {"h100": "H100 (SXM)", "v5e": "TPU v5e", "v6e": "TPU v6e"}.items():
        device = DEVICES[chip]
        rates = f"{device.bfloat16_rate / 1e12:g} TFLOP/s | {device.bandwidth / 1e12:.2f} TB/s"
        assert f"| {name} | {rates}, {device.memory / 1e9:g} GB |" in PAGE


def test_the_costs_are_what_a_hand_computes():
    one, eight, many = (costs.training(ORIGINAL, "h100", n).parts for n in (1, 8, 64))
    tokens = 7_686_488_840
    # Forwards once, backwards twice: 8,193 words of the softmax in both directions, and a fifth of
    # a word to spell.
    steps, softmax = 2 * (2 * 512 * 4 * 4096 * 3 + 2 * 2 * 512 * 4096), 2 * 2 * 512 * 8193
    word = work.word_work(ORIGINAL, 10) + 2 * 2 * 512 * 4 * 4096
    seconds = tokens * 3 * (steps + softmax + 0.2 * word) / 989e12
    assert one["arithmetic"] == pytest.approx(seconds) == pytest.approx(8 * eight["arithmetic"])
    n_bytes = 4 * costs.n_parameters(ORIGINAL)
    assert 4 * 793_471 * 513 < n_bytes < 4 * (793_471 * 513 + 100e6)
    n_steps = tokens / (1024 * 20)
    assert one["optimizer"] == pytest.approx(n_steps * 7 * n_bytes / 3.35e12, rel=1e-5)
    assert one["between devices"] == 0
    # Eight GPUs hold 64 columns each; all else is copied.
    softmax = 4 * 793_471 * 512
    own = n_bytes - softmax + softmax / 8
    assert eight["optimizer"] == pytest.approx(n_steps / 8 * 7 * own / 3.35e12, rel=1e-4)
    # A ring sends all but the own part: sums twice, what is put together once.
    sums, rows = 2 * (n_bytes - softmax), 4 * 1024 * 20 * 512 * 4
    samples = 6 * 8192 * 512 * 4
    sent = (7 / 8 * (sums + rows + samples) / 450e9, 63 / 64 * (sums + rows + samples) / 50e9)
    expected = [n_steps / 8 * sent[0], n_steps / 64 * sent[1]]
    assert [eight["between devices"], many["between devices"]] == pytest.approx(expected, rel=1e-3)
    assert one["one after the other"] == pytest.approx(one["arithmetic"] + one["optimizer"])


def test_embedding_is_bounded_by_arithmetic_and_by_the_weights_of_each_step():
    parts = costs.embedding(ORIGINAL, "v5e", 8).parts
    assert parts["arithmetic"] == pytest.approx(1e9 * 0.11744e9 / 197e12 / 8, rel=2e-3)
    assert parts["reading weights"] == pytest.approx(1e9 / 512 * 117.44e6 / 819e9 / 8, rel=1e-3)


def test_durations_have_two_digits():
    seconds = {45.4: "45 s", 90: "1.5 min", 3 * 3600: "3 h", 100 * 86400: "100 days", 0: "0 s"}
    assert {duration: costs.duration(duration) for duration in seconds} == seconds
