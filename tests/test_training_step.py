"""One step of training against plain NumPy: loss, gradient by differences, and update."""

import dataclasses
import functools

import jax
import numpy as np
import oracle
import pytest

from elmo_jax import ElmoConfig
from elmo_jax.checkpoint.vocabulary import Vocabulary
from elmo_jax.model.bilm import zero_state
from elmo_jax.model.lstm import LanguageModelStack
from elmo_jax.model.parameters import datasets, flatten, unflatten
from elmo_jax.training.language_model import Reading, init_language_model
from elmo_jax.training.lexicon import Lexicon
from elmo_jax.training.losses import Candidates
from elmo_jax.training.sentences import SplitSentences
from elmo_jax.training.settings import TrainingSettings
from elmo_jax.training.train_step import (
    learning_rate,
    make_optimizer,
    make_train_step,
    new_state,
    window_loss,
)
from elmo_jax.training.windows import LanePair, assemble

CONFIG = ElmoConfig(
    filters=((1, 3), (2, 4)),
    projection_dim=4,
    cell_dim=6,
    char_embedding_dim=3,
    max_characters_per_token=12,
    cell_clip=0.6,
    proj_clip=0.4,
)
SENTENCES = [["a", "bank", "of", "sand"], ["bank", "money"], ["of", "a", "sandbank", "!"]]
VOCABULARY = Vocabulary.from_counts({"bank": 3, "of": 2, "a": 2, "sand": 1, "money": 1})
N_ROWS, N_STEPS = 2, 4
KEY, PLAIN = jax.random.key(0), Reading()


@pytest.fixture
def windows():
    """Three windows in a row, as words and as arrays. The last one is trained on."""
    lexicon = Lexicon(VOCABULARY, CONFIG)
    streams = [SplitSentences(iter(SENTENCES * 4)) for _ in range(2)]
    lanes = LanePair(streams, N_ROWS, lexicon)
    pairs = [lanes.take(N_STEPS) for _ in range(3)]
    words = [
        [[list(map(lexicon.words, x)) for x in direction[:2]] for direction in pair]
        for pair in pairs
    ]
    return words, [assemble(pair, lexicon) for pair in pairs]


@pytest.fixture
def params():
    """Larger than at the start, so that nothing is nearly linear."""
    tree = flatten(init_language_model(CONFIG, len(VOCABULARY), seed=1))
    rng = np.random.default_rng(0)
    return unflatten(
        {
            path: np.float32(3 * leaf + 0.1 * rng.normal(size=leaf.shape))
            for path, leaf in tree.items()
        }
    )


def numpy_loss(params, words, candidates, reset_state=False):
    """Mean loss of the last window, in float64 and plain loops, from the text itself."""
    flat = flatten(params)
    weights = {
        d.name: np.asarray(d.from_params(flat), np.float64)
        for d in datasets(CONFIG)
        if d.paths[0] in flat
    }
    options = CONFIG.to_options()
    total = 0.0
    for d, begin in ((0, "<S>"), (1, "</S>")):
        cells = []
        for k in range(CONFIG.n_layers):
            name = f"RNN_{d}/RNN/MultiRNNCell/Cell{k}/LSTMCell/"
            cells.append({n[len(name) :]: w for n, w in weights.items() if n.startswith(name)})
        for row in range(N_ROWS):
            state = [(np.zeros(CONFIG.cell_dim), np.zeros(CONFIG.projection_dim))] * len(cells)
            zeros = list(state)
            for number, pair in enumerate(words):
                inputs, targets = pair[d]
                for word, target in zip(inputs[row], targets[row], strict=True):
                    if reset_state and word == begin:
                        state = list(zeros)
                    x = oracle.token_vector(options, weights, oracle.character_ids(word, 12))
                    for k, cell in enumerate(cells):
                        state[k] = oracle.lstm_step(options, cell, x, *state[k])
                        x = state[k][1] + x if k else state[k][1]
                    if number < len(words) - 1:
                        continue
                    total += token_loss(weights, x, VOCABULARY.ids([target])[0], candidates, d)
    return total / (2 * N_ROWS * N_STEPS)


def token_loss(weights, h, target, candidates, d):
    n_words = len(VOCABULARY)
    if candidates is None:
        classes, counts = [target, *(c for c in range(n_words) if c != target)], 1.0
    else:
        classes = [target, *(c for c in candidates.classes[d] if c != target)]
        share = np.log1p(1 / (np.array(classes) + 1)) / np.log(n_words + 1)
        counts = 1 - (1 - share) ** candidates.n_tries[d]
    logits = weights["softmax/W"][classes] @ h + weights["softmax/b"][classes] - np.log(counts)
    return np.log(np.exp(logits).sum()) - logits[0]


def enable_x64():
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


@functools.partial(jax.jit, static_argnames="reading")
def loss_and_state(params, state, window, candidates, key, reading=PLAIN):
    return window_loss(params, state, window, candidates, key, config=CONFIG, reading=reading)


def state_before(params, windows):
    """The rows' state that the windows before the last one leave, float64."""
    state = new_state(CONFIG, params, make_optimizer(TrainingSettings(), 1), N_ROWS).rows
    for window in windows[:-1]:
        _, state = loss_and_state(params, state, window, None, KEY)
    return state


CANDIDATES = Candidates(
    np.array([[3, 0, 5, 2], [1, 4, 3, 7]], np.int32), np.array([6.0, 9.0], np.float64)
)


@pytest.mark.parametrize("candidates", [None, CANDIDATES], ids=["full", "sampled"])
@pytest.mark.parametrize("reset_state", [False, True])
def test_the_loss_of_a_window_that_continues_others(params, windows, candidates, reset_state):
    words, arrays = windows
    state = new_state(CONFIG, params, make_optimizer(TrainingSettings(), 1), N_ROWS).rows
    for window in arrays:
        reading = Reading(reset_state=reset_state)
        loss, state = loss_and_state(params, state, window, candidates, KEY, reading)
    expected = numpy_loss(params, words, candidates, reset_state)
    np.testing.assert_allclose(loss, expected, rtol=2e-6)


@pytest.mark.slow
def test_one_step_of_the_original_recipe(params, windows):
    """float64: gradient by central differences in NumPy, then clip and Adagrad by hand."""
    words, arrays = windows
    with enable_x64():
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        settings = TrainingSettings(
            recipe="original", batch_size=N_ROWS, unroll_steps=N_STEPS, clip_norm=2.0
        )
        optimizer = make_optimizer(settings, 10)
        state = new_state(CONFIG, params, optimizer, N_ROWS)
        state = state._replace(rows=state_before(params, arrays))
        step = make_train_step(CONFIG, Reading(), optimizer)
        # Gradients reach back to the start of the window only, so differences do, too.
        new, metrics = step(state, arrays[-1], CANDIDATES, KEY)
        np.testing.assert_allclose(metrics.loss, numpy_loss(params, words, CANDIDATES), rtol=1e-12)

        rows = state_before(params, arrays)
        gradient = jax.jit(
            jax.grad(lambda p: loss_and_state(p, rows, arrays[-1], CANDIDATES, KEY)[0])
        )(params)
        np.testing.assert_allclose(
            metrics.gradient_norm, np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(gradient)))
        )
        check_differences(params, arrays, gradient)
        check_adagrad(params, new.params, gradient, clip=2.0)


def check_differences(params, arrays, gradient):
    """Three numbers of every parameter, by central differences of the NumPy loss.

    The carried state is a constant for the gradient: the NumPy loss is given the window alone,
    from the state that the unchanged parameters left.
    """
    state = state_before(params, arrays)
    rng = np.random.default_rng(4)
    for path, leaf in flatten(params).items():
        slope = np.asarray(flatten(gradient)[path])
        # Where a clip or a relu is passed within the step, differences say nothing; 1e-6 is small.
        for place in rng.integers(0, leaf.size, 3):
            ends = []
            for sign in (1, -1):
                changed = leaf.copy()
                changed.flat[place] += sign * 1e-6
                tree = unflatten({**flatten(params), path: changed})
                ends.append(numpy_window(tree, arrays[-1], state))
            difference = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose(
                slope.flat[place],
                difference,
                rtol=1e-5,
                atol=1e-8,
                err_msg=str(path),
            )


def numpy_window(params, window, state):
    """The loss of one window from a state, in NumPy float64."""
    flat = flatten(params)
    weights = {
        d.name: np.asarray(d.from_params(flat), np.float64)
        for d in datasets(CONFIG)
        if d.paths[0] in flat
    }
    options, total = CONFIG.to_options(), 0.0
    wide = np.pad(window.short_UC, ((0, 0), (0, 12 - window.short_UC.shape[1])))
    spelled = np.concatenate([wide, window.long_UC])
    vectors = {
        slot: oracle.token_vector(options, weights, spelled[slot])
        for slot in np.unique(window.slots).tolist()
    }
    for d, direction in enumerate(state):
        for row in range(N_ROWS):
            layers = [(np.asarray(s.cell_H[row]), np.asarray(s.hidden_P[row])) for s in direction]
            order = range(N_STEPS) if d == 0 else reversed(range(N_STEPS))
            for t in order:
                x = vectors[int(window.slots[d, row, t])]
                for k in range(CONFIG.n_layers):
                    name = f"RNN_{d}/RNN/MultiRNNCell/Cell{k}/LSTMCell/"
                    cell = {n[len(name) :]: w for n, w in weights.items() if n.startswith(name)}
                    layers[k] = oracle.lstm_step(options, cell, x, *layers[k])
                    x = layers[k][1] + x if k else layers[k][1]
                total += token_loss(weights, x, window.targets[d, row, t], CANDIDATES, d)
    return total / (2 * N_ROWS * N_STEPS)


def check_adagrad(before, after, gradient, clip):
    gradient = {path: N_STEPS * np.asarray(g) for path, g in flatten(gradient).items()}
    norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
    assert norm > clip  # otherwise clipping is not tested
    for path, leaf in flatten(before).items():
        clipped = gradient[path] * clip / norm
        expected = leaf - 0.2 * clipped / np.sqrt(1 + clipped**2)
        np.testing.assert_allclose(flatten(after)[path], expected, rtol=1e-9, atol=1e-12)


def test_dropout_drops_the_inputs_and_the_output(params, windows):
    """Losses differ by key, agree for one key, and lie around the loss without dropout."""
    _, arrays = windows
    rows = state_before(params, arrays)

    @jax.jit
    def loss(key):
        return loss_and_state(params, rows, arrays[-1], None, key, Reading(dropout=0.1))[0]

    losses = np.array([loss(jax.random.key(i)) for i in range(200)])
    assert loss(jax.random.key(3)) == losses[3]
    assert losses.std() > 0.01
    plain = loss_and_state(params, rows, arrays[-1], None, KEY)[0]
    assert losses.min() < plain < losses.max()


def test_the_residual_carries_the_dropped_input():
    """If the top layer outputs zeros, the output is its input after dropout."""
    config = dataclasses.replace(CONFIG, n_layers=2, proj_clip=None)
    stack = LanguageModelStack(config)
    tokens = np.ones((50, 4), np.float32)
    state = zero_state(config).forward
    fresh = np.zeros(50, bool)
    tree = stack.init(jax.random.key(0), tokens, state, state, fresh)
    tree = jax.tree.map(np.array, tree)
    # Layer 0 works as it is; layer 1 is silent, so its output is its input.
    tree["params"]["layers_1"]["projection_kernel"][:] = 0

    def run(rate, key):
        return stack.apply(
            tree,
            tokens,
            state,
            state,
            fresh,
            dropout_rate=rate,
            rngs={"dropout": jax.random.key(key)},
        )[0]

    below, top = run(0.5, 1)
    below, top = np.asarray(below).ravel(), np.asarray(top).ravel()
    ratio = top[below != 0] / below[below != 0]
    assert set(np.round(ratio, 5).tolist()) == {0.0, 2.0}
    assert 0.3 < (ratio == 0).mean() < 0.7
    below, top = run(0.0, 1)
    np.testing.assert_array_equal(below, top)


def test_the_schedules():
    original = learning_rate(TrainingSettings(recipe="original"), 100)
    assert original(0) == original(99) == 0.2
    settings = TrainingSettings(learning_rate=0.01, warmup_share=0.1)
    rates = [float(learning_rate(settings, 100)(step)) for step in range(101)]
    assert 0 < rates[0] < 0.002
    np.testing.assert_allclose(max(rates), 0.01, rtol=1e-6)
    assert int(np.argmax(rates)) == 10
    assert rates[100] < 1e-8
    assert 0 < learning_rate(settings, 1)(0) <= 0.01  # no warm-up: the only step has a rate
