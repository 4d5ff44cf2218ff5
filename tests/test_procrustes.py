"""Aligning two languages: dictionaries, the orthogonal map, its scores, and the command."""

import numpy as np
import pytest
from commands import failing, summary
from comparing import FLOAT32_TOLERANCE, assert_close
from random_models import random_elmo
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from elmo_jax import Elmo, ElmoError, ElmoWarning, alignment
from elmo_jax.alignment import Anchors
from elmo_jax.cli import main

D = 12

# An anchor is a mean of float32 vectors, and a fit a product of a few matrices of them: rounding
# adds up to some times that of one vector.
FIT_TOLERANCE = 5 * FLOAT32_TOLERANCE


@pytest.fixture(scope="module")
def elmo():
    model = random_elmo(0)
    return Elmo.from_params(model.config, model.params)


def some_anchors(words, seed=0, layer=1, dim=D):
    vectors = np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32)
    return Anchors(tuple(words), vectors, 2.5 + layer, layer)


# Dictionaries


def test_a_dictionary_has_two_words_in_each_line(tmp_path):
    file = tmp_path / "de-en.txt"
    file.write_text("der the\ndie\tthe\n\nBank  bank\nder the\nguten Tag\thello\n")
    assert alignment.read_dictionary(file) == [
        ("der", "the"),
        ("die", "the"),
        ("Bank", "bank"),
        ("guten Tag", "hello"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("der the\nder\na b c\nx\ty\tz\nd\t\n", "line 2 is 'der'; line 3 is 'a b c'; line 4 is"),
        ("der\n" * 5, "and 2 more. Expected two words in each line"),
        ("f\xfcr for\n", "line 1: not UTF-8"),
    ],
)
def test_one_error_lists_the_lines_that_are_not_pairs(tmp_path, content, problem):
    file = tmp_path / "de-en.txt"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(ElmoError, match=problem):
        alignment.read_dictionary(file)


# The orthogonal map

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = [a + b for a in LETTERS[:8] for b in LETTERS[8:14]]
TEXT = [list(np.random.default_rng(seed).choice(WORDS, 9)) for seed in range(60)]
ROTATION = ortho_group.rvs(D, random_state=0)


class Foreign:
    """Stands in for the model of a language that differs in its spelling, and by one rotation.

    Its words are the other language's in capitals, and its vectors are longer.
    """

    def __init__(self, elmo):
        self.config, self._elmo = elmo.config, elmo

    def stream(self, sentences, layers="all", cut_words=None):
        spelled = ([word.lower() for word in sentence] for sentence in sentences)
        for vectors in self._elmo.stream(spelled, layers, cut_words=cut_words):
            yield (vectors.astype(np.float64) @ ROTATION.T * 1.7).astype(np.float32)


def test_the_map_undoes_the_rotation_between_two_languages(elmo):
    foreign, foreign_text = Foreign(elmo), [[word.upper() for word in words] for words in TEXT]
    source = alignment.compute_anchors(foreign, foreign_text, map(str.upper, WORDS))[1]
    target = alignment.compute_anchors(elmo, TEXT, WORDS)[1]
    matrix = alignment.fit_alignment(source, target, [(word.upper(), word) for word in WORDS])
    assert matrix.dtype == np.float32
    assert_close(matrix * source.mean_norm, ROTATION.T, FIT_TOLERANCE)
    # So both languages' vectors arrive at the same place, with a mean length of 1.
    theirs = next(foreign.stream(foreign_text[:1], 1)) @ matrix.T
    ours = elmo.embed(TEXT[:1], 1)[0] @ alignment.scaling_alignment(target).T
    assert_close(theirs, ours, FIT_TOLERANCE)


def test_the_scaled_vectors_have_a_mean_length_of_one(elmo):
    target = alignment.compute_anchors(elmo, TEXT, WORDS)[1]
    scaled = [v @ alignment.scaling_alignment(target).T for v in elmo.embed(TEXT, 1)]
    assert_close(np.linalg.norm(np.concatenate(scaled), axis=1).mean(), 1)


def test_of_noisy_anchors_it_is_the_best_orthogonal_map():
    source, target = some_anchors(WORDS, 1), some_anchors(WORDS, 2)
    pairs = [(word, WORDS[-1 - i]) for i, word in enumerate(WORDS[:20])]
    matrix = alignment.fit_alignment(source, target, [*pairs, ("no", "ab"), ("ab", "no")])
    rows, _ = orthogonal_procrustes(source.vectors[:20], target.vectors[::-1][:20])
    assert_close(matrix * source.mean_norm, rows.T, FIT_TOLERANCE)


def test_few_pairs_are_warned_of_and_none_are_an_error():
    source, target = some_anchors(WORDS, 1), some_anchors(WORDS, 2)
    with pytest.warns(ElmoWarning, match="11 pairs of words for 12 dimensions"):
        alignment.fit_alignment(source, target, [(word, word) for word in WORDS[:11]])
    with pytest.raises(ElmoError, match=r"None of the 2 pairs .* 1 have .* source language, 1 of"):
        alignment.fit_alignment(source, target, [("AI", "ai"), ("ai", "AI")])


def test_anchors_that_do_not_belong_together_are_an_error():
    anchors, pairs = some_anchors(WORDS), [(word, word) for word in WORDS]
    with pytest.raises(ElmoError, match="12 dimensions in the source language, 8 in the target"):
        alignment.fit_alignment(anchors, some_anchors(WORDS, dim=8), pairs)
    with pytest.raises(ElmoError, match="layer 1 in the source language, and of layer 2"):
        alignment.score_alignment(np.eye(D), anchors, some_anchors(WORDS, layer=2), pairs)
    unknown = Anchors(anchors.words, anchors.vectors)
    with pytest.raises(ElmoError, match="mean norm of the anchors' layer is not known"):
        alignment.fit_alignment(unknown, anchors, pairs)
    alignment.fit_alignment(anchors, unknown, pairs)  # only the source's is needed
    with pytest.raises(ElmoError, match="expected a number above 0"):
        alignment.scaling_alignment(Anchors(anchors.words, anchors.vectors, 0.0))


# Scores


def test_scores_are_the_mean_cosine_and_the_share_of_words_that_find_a_translation(monkeypatch):
    monkeypatch.setattr("elmo_jax.alignment.procrustes._BLOCK_ROWS", 7)
    source, target = some_anchors(WORDS, 1), some_anchors(WORDS, 2)
    matrix = np.random.default_rng(3).normal(size=(D, D))
    aligned = [matrix @ vector for vector in source.vectors]

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    nearest = [
        WORDS[int(np.argmax([cosine(vector, other) for other in target.vectors]))]
        for vector in aligned
    ]
    right, wrong = WORDS[:10], WORDS[10:30]
    pairs = [(word, nearest[WORDS.index(word)]) for word in right]
    pairs += [(word, "ai" if nearest[WORDS.index(word)] != "ai" else "bi") for word in wrong]
    # A word may have several translations; one that is nearest is enough.
    pairs += [(word, WORDS[-1]) for word in right[:5] if nearest[WORDS.index(word)] != WORDS[-1]]
    cosines = [
        cosine(aligned[WORDS.index(a)], target.vectors[WORDS.index(b)].astype(float))
        for a, b in pairs
    ]
    scores = alignment.score_alignment(matrix, source, target, [*pairs, ("ai", "no")])
    assert (scores.pairs, scores.missing) == (len(pairs), 1)
    assert scores.precision == 10 / 30
    assert_close(scores.cosine, np.mean(cosines))


# The command


@pytest.fixture
def languages(tmp_path):
    """Anchors in `de` and `en`, which a rotation brings together, and dictionaries."""
    target = some_anchors(WORDS)
    rotated = (target.vectors.astype(np.float64) @ ROTATION.T * 2).astype(np.float32)
    source = Anchors(tuple(map(str.upper, WORDS)), rotated, 2 * target.mean_norm, 1)
    alignment.write_anchors(tmp_path / "de", {1: source})
    alignment.write_anchors(tmp_path / "en", {1: target})
    lines = [f"{word.upper()} {word}\n" for word in WORDS]
    (tmp_path / "fit.txt").write_text("".join([*lines[:30], "NO no\n"]))
    (tmp_path / "test.txt").write_text("".join(lines[30:]))
    return tmp_path


def test_align_fits_a_matrix_and_says_how_well(languages, capsys):
    de, en, out = languages / "de", languages / "en", languages / "de.npz"
    common = ["align", de, en, "--dictionary", languages / "fit.txt", "-o", out]
    result = summary(capsys, *common, "--test-dictionary", languages / "test.txt")
    assert (result["layer"], result["dimensions"], result["mean_norm"]) == (1, D, 7.0)
    fitted, tested = result["dictionary"], result["test_dictionary"]
    assert (fitted["pairs"], fitted["pairs_missing"], tested["pairs"]) == (30, 1, 18)
    for scores in (fitted, tested):
        assert scores["precision"] == 1 > scores["precision_before"]
        assert_close(scores["cosine"], 1)
    matrix = alignment.read_matrix(out)
    assert_close(matrix * 7, ROTATION.T, FIT_TOLERANCE)
    assert main([*map(str, common), "--overwrite"]) == 0
    shown = capsys.readouterr().out
    assert "de.npz: layer 1, 12 dimensions, mean norm 7" in shown
    assert "fitted to 30 pairs (1 more lack an anchor): mean cosine" in shown


def test_align_makes_the_target_languages_own_matrix(languages, capsys):
    out = languages / "en.npy"
    result = summary(capsys, "align", languages / "en" / "avg_embeds_1.txt", "-o", out)
    assert result["mean_norm"] == 3.5 and "dictionary" not in result
    assert_close(alignment.read_matrix(out), np.eye(D) / 3.5)


def test_align_says_what_it_cannot_do(languages, capsys):
    de, en, pairs = languages / "de", languages / "en", languages / "fit.txt"
    out = languages / "m.npz"
    assert "belong together" in failing(capsys, "align", de, en, "-o", out)
    assert "belong together" in failing(capsys, "align", de, "--dictionary", pairs, "-o", out)
    assert "Name both" in failing(capsys, "align", de, "--test-dictionary", pairs, "-o", out)
    common = ["align", de, en, "--dictionary"]
    assert "ends in .npy or .npz" in failing(capsys, *common, pairs, "-o", languages / "m.pth")
    text = pairs.rename(languages / "fit.npz")
    assert "would be lost" in failing(capsys, *common, text, "-o", text, "--overwrite")
    out.touch()
    assert "exists already" in failing(capsys, *common, text, "-o", out)
    out.unlink()
    (languages / "one.txt").write_text("der\n")
    assert "line 1 is 'der'" in failing(capsys, *common, languages / "one.txt", "-o", out)
    assert not out.exists()
