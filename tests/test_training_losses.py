"""Full, chunked and sampled softmax against each other and NumPy, and the negative samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elmo_jax.training import losses
from elmo_jax.training.losses import (
    Candidates,
    candidates_of_step,
    draw_candidates,
    log_expected_count,
)

N_WORDS, N_TOKENS, DIM = 30, 12, 5


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(N_WORDS, DIM)), rng.normal(size=N_WORDS)
    head = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
    outputs = rng.normal(size=(N_TOKENS, DIM)).astype(np.float32)
    return head, jnp.asarray(outputs), jnp.asarray(rng.integers(0, N_WORDS, N_TOKENS))


def test_full_losses_are_minus_log_probabilities(problem):
    head, outputs, targets = problem
    logits = np.float64(outputs) @ np.float64(head["kernel"]).T + head["bias"]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -log_p[np.arange(N_TOKENS), targets]
    np.testing.assert_allclose(losses.full_losses(*problem), expected, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 29, 30])
def test_chunks_make_no_difference(problem, size, monkeypatch):
    monkeypatch.setattr(losses, "_CHUNK_LOGITS", 0)
    rng = np.random.default_rng(1)
    n_words = 1024 * 2 + size  # chunks hold at least 1,024 words
    head = {
        "kernel": rng.normal(size=(n_words, DIM)).astype(np.float32),
        "bias": rng.normal(size=n_words).astype(np.float32),
    }
    targets = jnp.asarray(rng.integers(0, n_words, N_TOKENS))
    whole = losses.full_losses(head, problem[1], targets)
    np.testing.assert_allclose(losses.chunked_losses(head, problem[1], targets), whole, rtol=1e-5)


def test_sampled_losses_against_numpy(problem):
    head, outputs, targets = problem
    candidates = draw_candidates(np.random.default_rng(2), 9, N_WORDS)
    expected = []
    for h, target in zip(np.float64(outputs), np.asarray(targets), strict=True):
        classes = [target, *(c for c in candidates.classes if c != target)]  # no accidental hit
        share = (np.log(np.array(classes) + 2) - np.log(np.array(classes) + 1)) / np.log(31)
        count = 1 - (1 - share) ** candidates.n_tries
        logits = head["kernel"][classes] @ h + head["bias"][classes] - np.log(count)
        expected.append(np.log(np.exp(logits).sum()) - logits[0])
    np.testing.assert_allclose(losses.sampled_losses(*problem, candidates), expected, rtol=1e-5)


def test_with_all_classes_as_samples_the_loss_is_the_full_one(problem):
    # So many draws that every class was to be expected: the corrections vanish.
    candidates = Candidates(np.arange(N_WORDS, dtype=np.int32), np.float32(1e6))
    np.testing.assert_allclose(
        losses.sampled_losses(*problem, candidates), losses.full_losses(*problem), rtol=1e-5
    )


def test_the_sampled_gradient_is_unbiased_within_its_error(problem):
    """Mean gradient over many samples, against that of the full softmax.

    The estimate is consistent, not unbiased: its bias falls with the number of samples, of
    which there are 25 of 30 classes here. The bound is 4 standard errors and 3 % for the bias.
    """
    _, outputs, targets = problem
    head = jax.tree.map(lambda leaf: 0.3 * leaf, problem[0])

    def gradient(loss):
        return jax.grad(lambda h: loss(h, outputs, targets).mean())

    @jax.jit
    def sampled(candidates):
        return gradient(lambda *args: losses.sampled_losses(*args, candidates))(head)

    rng = np.random.default_rng(3)
    drawn = [sampled(draw_candidates(rng, 25, N_WORDS)) for _ in range(600)]
    full = gradient(losses.full_losses)(head)
    for name in head:
        stacked = np.stack([np.asarray(g[name], np.float64) for g in drawn])
        error = 4 * stacked.std(axis=0) / np.sqrt(len(drawn))
        scale = np.abs(full[name]).max()
        assert (np.abs(stacked.mean(axis=0) - full[name]) < error + 0.03 * scale).all()


def test_expected_counts_do_not_round_to_nothing_in_a_huge_vocabulary():
    counts = log_expected_count(jnp.array([0, 799_999]), np.float32(10_000), 800_000)
    assert np.isfinite(counts).all() and counts[0] == 0
    share = np.log1p(1 / 800_000) / np.log(800_001)
    np.testing.assert_allclose(counts[1], np.log(10_000 * share), rtol=1e-3)


def test_bfloat16_stays_near(problem):
    candidates = draw_candidates(np.random.default_rng(2), 9, N_WORDS)
    for loss in (losses.full_losses, losses.chunked_losses):
        np.testing.assert_allclose(loss(*problem, "bfloat16"), loss(*problem), atol=0.05)
    np.testing.assert_allclose(
        losses.sampled_losses(*problem, candidates, "bfloat16"),
        losses.sampled_losses(*problem, candidates),
        atol=0.05,
    )


def test_negatives_are_the_first_distinct_draws():
    drawn = draw_candidates(np.random.default_rng(5), 60, 200)
    again = np.random.default_rng(5).random(1024)
    classes = np.minimum(np.exp(again * np.log(201)).astype(np.int64) - 1, 199)
    distinct = list(dict.fromkeys(classes.tolist()))
    assert drawn.classes.tolist() == distinct[:60]
    assert drawn.n_tries == classes.tolist().index(distinct[59]) + 1


@pytest.mark.parametrize(("n_samples", "n_classes"), [(5, 6), (50, 1000), (1000, 50_000)])
def test_samples_are_distinct_classes_and_follow_from_the_seed(n_samples, n_classes):
    drawn = candidates_of_step(7, 3, n_samples, n_classes)
    for classes in drawn.classes:
        assert len(set(classes.tolist())) == n_samples
        assert classes.min() >= 0 and classes.max() < n_classes
    assert (drawn.n_tries >= n_samples).all()
    assert not np.array_equal(drawn.classes[0], drawn.classes[1])
    again = candidates_of_step(7, 3, n_samples, n_classes)
    assert (again.classes == drawn.classes).all()
    assert not np.array_equal(candidates_of_step(7, 4, n_samples, n_classes).classes, drawn.classes)


def test_expected_counts_are_those_that_occur():
    rng, n_classes, n_samples = np.random.default_rng(0), 40, 10
    n_rounds, seen, tries = 4000, np.zeros(40), []
    for _ in range(n_rounds):
        drawn = draw_candidates(rng, n_samples, n_classes)
        seen[drawn.classes] += 1
        tries.append(drawn.n_tries)
    expected = [np.exp(log_expected_count(np.arange(40), t, n_classes)) for t in tries[:200]]
    np.testing.assert_allclose(seen / n_rounds, np.mean(expected, axis=0), atol=0.05)
    # The formula by hand, for the first class and the average number of draws.
    share = np.log(2) / np.log(n_classes + 1)
    by_hand = 1 - (1 - share) ** tries[0]
    np.testing.assert_allclose(np.exp(log_expected_count(np.arange(1), tries[0], 40))[0], by_hand)
