"""Occurrences, neighbors, planes and heatmaps, with vectors that are easy to see through."""

import doctest
import html
import json
import re

import numpy as np
import pytest
from commands import failing, summary

import elmo_jax
from elmo_jax import ElmoError, explore
from elmo_jax.cli import main
from elmo_jax.cli import neighbors as neighbors_command
from elmo_jax.explore.drawing import GRAY, PALETTE, colors_of

NASTY = [
    "</script><script>alert(1)</script>",
    "play\"'&",
    "<!--",
    "play",
    "👩\u200d🔬",
    "שלום",
    "$x$",
]
TEXT = [
    ["a", "play"],
    ["the", "play", "began"],
    ["no", "such"],
    ["Play", "the", "play"],
    ["a", "play"],
    NASTY,
]


class SpellingElmo:
    """Stands in for an Elmo: a vector tells its word, the word before it and nothing else."""

    def __init__(self):
        sizes = {"n_output_layers": 2, "output_dim": 4}
        sizes |= {"token_layer": "bytes", "max_characters_per_token": 50}
        self.config = type("Config", (), sizes)()
        self.seen = 0

    def stream(self, sentences, layers="all", cut_words=None):
        for words in sentences:
            self.seen += 1
            yield np.array(
                [
                    [self.vector(word, "") for word in words],
                    [
                        self.vector(word, before)
                        for word, before in zip(words, ["", *words], strict=False)
                    ],
                ],
                np.float32,
            ).reshape(2, len(words), 4)

    def embed(self, sentences, layer):
        return [next(iter(self.stream([words])))[1] for words in sentences]

    def embed_sentences(self, sentences, layer, pooling):
        return np.stack([layers.mean(axis=0) for layers in self.embed(sentences, layer)])

    @staticmethod
    def vector(word, before):
        return [1.0, len(word.casefold()), 3.0 * len(before), float(before == "the")]


@pytest.fixture
def elmo():
    return SpellingElmo()


# Occurrences


def test_occurrences_are_found_in_order_and_in_any_case():
    occurrences = explore.find_occurrences("play", TEXT)
    assert [(each.sentence, each.position) for each in occurrences] == [
        (0, 1),
        (1, 1),
        (3, 0),
        (3, 2),
        (4, 1),
        (5, 3),
    ]
    assert occurrences.total == 6 and occurrences[2].marked() == "[Play] the play"
    assert len(explore.find_occurrences("play", TEXT, exact=True)) == 5


def test_a_sample_is_even_and_never_holds_more_than_twice_as_many():
    text = ([*["x"] * (n % 3), "play", str(n)] for n in range(1000))
    occurrences = explore.find_occurrences("play", text, most=10)
    numbers = [each.sentence for each in occurrences]
    assert occurrences.total == 1000 and len(numbers) == 10
    gaps = np.diff([*numbers, 1000])
    assert numbers[0] == 0 and gaps.min() >= 50 and gaps.max() <= 200


def test_a_word_that_is_not_there_is_an_error():
    with pytest.raises(ElmoError, match="'bank' does not occur"):
        explore.find_occurrences("bank", TEXT)
    with pytest.raises(ElmoError, match="'bank' is not a word of the sentence 'a play'"):
        explore.occurrence_in(["a", "play"], "bank")
    with pytest.raises(ElmoError, match="sentence 1 as a list of words"):
        explore.find_occurrences("a", [["a"], "a play"])


def test_vectors_are_those_of_the_word_in_its_sentence(elmo):
    occurrences = explore.find_occurrences("play", TEXT)
    done = []
    vectors = explore.embed_occurrences(elmo, occurrences, done=done.append)
    assert done == [len(each.words) for each in occurrences]
    assert vectors.shape == (6, 2, 4) and vectors.dtype == np.float32
    assert vectors[:, 1, 3].tolist() == [0, 1, 0, 1, 0, 0]


# Neighbors


def test_neighbors_are_the_nearest_of_the_same_word_and_not_itself(elmo):
    query = explore.find_occurrences("play", TEXT)[1]
    ((_, ranked),) = explore.neighbors(elmo, [query], TEXT, n=2, word="play")
    assert (ranked[0].occurrence.sentence, ranked[0].occurrence.position) == (3, 2)
    assert ranked[0].score == pytest.approx(1) and ranked[1].score < ranked[0].score
    assert elmo.seen == 1 + 5  # the query, and the sentences that have the word


def test_equal_sentences_count_once_and_any_word_is_looked_at_on_request(elmo):
    query = explore.occurrence_in(["the", "play"], "play")
    ((layer, _),) = explore.neighbors(elmo, [query], TEXT, n=99, word="play")
    assert [each.occurrence.sentence for each in layer] == [0, 1, 3, 3, 5]  # 4 says what 0 does
    ((_, ranked),) = explore.neighbors(elmo, [query], TEXT, n=99)
    assert {"began", "such"} <= {each.occurrence.word for each in ranked}
    scores = [each.score for each in ranked]
    assert scores == sorted(scores, reverse=True)


def test_the_best_of_a_stream_are_those_of_a_sort(elmo):
    rng = np.random.default_rng(0)
    text = [["x" * int(n), "play", "y" * int(m)] for n, m in rng.integers(1, 200, (300, 2))]
    query = explore.occurrence_in(["word", "play"], "play")
    ((_, ranked),) = explore.neighbors(elmo, [query], text, n=7, word="play")
    vectors = explore.embed_occurrences(elmo, explore.find_occurrences("play", text))[:, 1]
    own = explore.embed_occurrences(elmo, [query])[0, 1]
    cosines = vectors @ own / np.linalg.norm(vectors, axis=1) / np.linalg.norm(own)
    np.testing.assert_allclose([each.score for each in ranked], np.sort(cosines)[::-1][:7], 1e-6)


# Planes


def test_the_projection_keeps_what_varies_most_and_says_how_much():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(60, 5)) * [1, 8, 0.1, 3, 0.1]
    points, explained = explore.project(vectors)
    variances = np.sort(np.linalg.eigvalsh(np.cov(vectors.T)))[::-1]
    np.testing.assert_allclose(explained, variances[:2] / variances.sum())
    np.testing.assert_allclose(points.var(axis=0, ddof=1), variances[:2])
    assert np.corrcoef(points[:, 0], vectors[:, 1])[0, 1] > 0.9  # grows with it: never mirrored
    np.testing.assert_allclose(explore.project(vectors[::-1]).points[::-1], points, atol=1e-9)


@pytest.mark.parametrize("shape", [(5, 9), (9, 9), (90, 9)])
def test_the_projection_is_that_of_the_singular_values(shape):
    vectors = np.random.default_rng(3).normal(size=shape)
    centered = vectors - vectors.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centered, full_matrices=False)
    points, explained = explore.project(vectors)
    np.testing.assert_allclose(explained, sizes[:2] ** 2 / (sizes**2).sum())
    np.testing.assert_allclose(np.abs(points), np.abs(centered @ axes[:2].T), atol=1e-9)


def test_vectors_that_are_all_the_same_lie_on_one_point():
    vector = np.random.default_rng(0).normal(size=256).astype(np.float32)
    for vectors in (np.tile(vector, (9, 1)), vector[None], np.zeros((3, 256))):
        points, explained = explore.project(vectors)
        assert not points.any() and not explained.any()


def test_layers_are_mirrored_to_resemble_the_one_before():
    base = np.random.default_rng(2).normal(size=(40, 3)) * [4, 2, 0.5]
    before, after = explore.project_layers(np.stack([base, -base], axis=1))
    np.testing.assert_allclose(before.points, after.points, atol=1e-9)


def test_colors_go_to_the_most_frequent_labels_and_rare_ones_are_gray():
    labels = [str(n) for n in range(9) for _ in range(n + 1)] + [None]
    colors = colors_of(labels)
    assert list(colors)[:6] == list("876543") and list(colors.values())[:6] == list(PALETTE)
    assert colors["0"] == colors[None] == GRAY
    assert colors_of([None, None]) == {None: PALETTE[0]}


def page_data(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


def test_a_page_holds_everything_and_no_sentence_can_break_it(elmo, tmp_path):
    occurrences = explore.find_occurrences("play", TEXT)
    vectors = explore.embed_occurrences(elmo, occurrences)
    explore.write_page(tmp_path / "p.html", "play", occurrences, vectors, total=99)
    page = (tmp_path / "p.html").read_text("utf-8")
    data = page_data(page)
    assert data["items"][5][:3] == [" ".join(NASTY[:3]), "play", " ".join(NASTY[4:])]
    assert data["total"] == 99 and len(data["layers"]) == 2
    assert all(len(layer["x"]) == len(layer["y"]) == 6 for layer in data["layers"])
    assert page.count("</script>") == 2 and "<!--" not in page and "alert(1)</" not in page
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|fetch\(|innerHTML", page)
    with pytest.raises(ElmoError, match="exists already"):
        explore.write_page(tmp_path / "p.html", "play", occurrences, vectors)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_figures_take_any_text(elmo, tmp_path, suffix):
    pytest.importorskip("matplotlib")
    labelled = [explore.Labelled(words, words[0]) for words in TEXT]
    occurrences = explore.find_occurrences("play", labelled)
    vectors = explore.embed_occurrences(elmo, occurrences)
    explore.write_figure(tmp_path / f"f.{suffix}", "$a$_{", occurrences, vectors)
    heatmap = explore.Heatmap(["$a$", "b_{"], ["c$"], np.ones((2, 1)))
    explore.write_heatmap(tmp_path / f"h.{suffix}", heatmap, title="$")
    for name in ("f", "h"):
        assert (tmp_path / f"{name}.{suffix}").stat().st_size > 1000


# Heatmaps


def test_similarities_are_cosines(elmo):
    heatmap = explore.sentence_similarity(elmo, [["a", "play"], ["the", "play"], ["a", "play"]])
    np.testing.assert_allclose(heatmap.values, heatmap.values.T)
    np.testing.assert_allclose(np.diag(heatmap.values), 1, rtol=1e-6)
    assert heatmap.values[0, 2] == pytest.approx(1) and heatmap.values[0, 1] < 1
    by_word = explore.word_similarity(elmo, ["the", "play"], ["play"])
    assert by_word.values.shape == (2, 1) and by_word.columns == ["play"]
    with pytest.raises(ElmoError, match="one layer"):
        explore.word_similarity(elmo, ["a"], ["b"], layers="all")


def test_a_heatmap_page_escapes_its_words(tmp_path):
    heatmap = explore.Heatmap(NASTY, ["<b>"], np.linspace(-1, 1, 7)[:, None])
    explore.write_heatmap(tmp_path / "h.html", heatmap, title="<i>")
    page = (tmp_path / "h.html").read_text("utf-8")
    assert "<script" not in page and "<b>" not in page and "<i>" not in page
    assert all(html.escape(word) in page for word in NASTY)
    with pytest.raises(ElmoError, match=r"ends in \.html, \.png"):
        explore.write_heatmap(tmp_path / "h.gif", heatmap)


@pytest.fixture
def figure_of(monkeypatch):
    """The figure that is drawn of a heatmap."""
    pytest.importorskip("matplotlib")
    drawn = []
    monkeypatch.setattr(
        "elmo_jax.explore.heatmap.save_figure", lambda path, figure, **_: drawn.append(figure)
    )

    def figure(names, values):
        explore.write_heatmap("h.png", explore.Heatmap(names, names, values))
        return drawn[-1]

    return figure


@pytest.mark.parametrize(("n", "numbers"), [(2, 4), (70, 0)])
def test_a_figure_of_many_names_stays_small_and_leaves_out_the_numbers(n, numbers, figure_of):
    names = [f"word{number}" for number in range(n)]
    figure = figure_of(names, np.eye(n))
    cells, _ = figure.axes
    assert len(cells.texts) == numbers and max(figure.get_size_inches()) < 40
    assert [label.get_text() for label in cells.get_yticklabels()] == names


def contrast(one, other):
    """The contrast of two colors, each red, green and blue from 0 to 1, as in WCAG 2."""

    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def html_cells(names, values, path):
    """Of each cell: its number, the color behind it and that of the number, from 0 to 1."""
    explore.write_heatmap(path, explore.Heatmap(names, names, values), overwrite=True)
    found = re.findall(r"background:rgb\((.*?)\);color:#(\w+)\">(.*?)<", path.read_text("utf-8"))
    return [
        (
            float(number),
            [int(channel) / 255 for channel in behind.split(",")],
            [channel / 255 for channel in bytes.fromhex(ink)],
        )
        for behind, ink, number in found
    ]


def figure_cells(names, values, figure_of):
    cells, _ = figure_of(names, values).axes
    image = cells.images[0]
    behind = image.cmap(image.norm(np.asarray(image.get_array()))).reshape(-1, 4)[:, :3]
    inks = [[c / 255 for c in bytes.fromhex(text.get_color()[1:])] for text in cells.texts]
    numbers = [float(text.get_text()) for text in cells.texts]
    return list(zip(numbers, behind, inks, strict=True))


def test_a_number_can_be_read_on_every_color_and_equal_cosines_have_equal_colors(
    tmp_path, figure_of
):
    names, values = list("abcdefgh"), np.linspace(-1, 1, 64).reshape(8, 8)
    cells = html_cells(names, values, tmp_path / "h.html")
    drawn = figure_cells(names, values, figure_of)
    assert len(cells) == len(drawn) == 64
    for (number, behind, ink), (same_number, drawn_behind, _) in zip(cells, drawn, strict=True):
        assert contrast(behind, ink) >= 4.5 and number == same_number
        np.testing.assert_allclose(drawn_behind, behind, atol=0.02)
    # Another picture, whose cosines have other extremes.
    other = html_cells(
        ["a", "b"], np.array([[values[0, 3], values[5, 1]]] * 2), tmp_path / "o.html"
    )
    assert other[0] == cells[3] and other[1] == cells[41]


def test_a_number_below_zero_that_is_shown_as_zero_has_no_sign(tmp_path):
    cells = html_cells(["a"], np.array([[-0.001]]), tmp_path / "h.html")
    assert ">0.00<" in (tmp_path / "h.html").read_text("utf-8") and cells[0][0] == 0


def test_long_sentences_stand_beside_rows_and_their_numbers_above_columns(tmp_path):
    names = ["a sentence " * 20, "Hi"]
    explore.write_heatmap(tmp_path / "h.html", explore.Heatmap(names, names, np.eye(2)))
    page = (tmp_path / "h.html").read_text("utf-8")
    heads = re.findall(r"<th [^>]*><div>(.*?)</div>", page)
    assert heads == ["[1]", "[2]", f"[1] {names[0]}", "[2] Hi"]
    assert page.count(f'title="{names[0]}"') == 1  # above the column, for who points at it


# Commands


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A text with labels in its first column; the commands' model is the one above."""
    from elmo_jax.cli import explore, neighbors, similarity

    for command in (neighbors, explore, similarity):
        monkeypatch.setattr(command, "open_elmo", lambda args: SpellingElmo())
    path = tmp_path / "text.tsv"
    lines = [f"{'AB'[n % 2]}\t{' '.join(words)}" for n, words in enumerate(TEXT)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def plain(corpus):
    """The same as lines of text, of which the label is a word."""
    return corpus.rename(corpus.with_suffix(".txt"))


def test_neighbors_lists_the_nearest_in_each_layer(plain, capsys):
    result = summary(capsys, "neighbors", "play", plain, "--occurrence", 2, "--layers", "all")
    (query,) = result["queries"]
    assert query["text"] == "B the [play] began" and list(query["layers"]) == ["0", "1"]
    best = query["layers"]["1"][0]
    assert (best["text"], best["score"]) == ("B Play the [play]", 1.0)
    assert (best["sentence"], best["line"], best["file"]) == (4, 4, str(plain))
    assert best["words"][best["position"]] == best["word"] == "play"
    result = summary(capsys, "neighbors", "play", plain, "--occurrence", "each", "-n", 1)
    assert len(result["queries"]) == 6
    sentence = ["--sentence", "We saw the play", "--any-word", "-n", 3]
    assert main(["neighbors", "play", str(plain), *map(str, sentence)]) == 0
    assert capsys.readouterr().out.startswith(
        "We saw the [play]\n  biLM layer 1 (top):\n     1.000  line "
    )


def test_neighbors_says_from_how_many_occurrences_it_starts(plain, capsys, monkeypatch):
    command = ["neighbors", "play", str(plain), "--json", "--occurrence"]
    limited = {"each": (2, 6, "note: starting from 2 of 6 occurrences, "), "2": (1, None, "")}
    for most, starts in (2, limited), (6, {"each": (6, 6, "")}):
        monkeypatch.setattr(neighbors_command, "_MOST_QUERIES", most)
        for occurrence, (n_queries, n_occurrences, said) in starts.items():
            assert main([*command, occurrence]) == 0
            shown = capsys.readouterr()
            result = json.loads(shown.out)
            found = len(result["queries"]), result["occurrences"]
            assert found == (n_queries, n_occurrences)
            assert said in shown.err and bool(said) == ("starting from" in shown.err)


def test_words_between_tabs_may_hold_spaces_in_the_exploring_commands(corpus, capsys):
    text = corpus.with_suffix(".tokens")
    text.write_text("\t".join(["Hà Nội"] * 9 + ["Việt Nam", "ở"]) + "\nViệt Nam\tở\n", "utf-8")
    command = ["neighbors", "Việt Nam", text, "--tokenizer", "tabs", "--quiet"]
    assert main(list(map(str, command))) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and "Hà Nội [Việt Nam] ở  (line 1)\n" in shown.out
    compared = summary(capsys, "similarity", "a b\tc", "a b", "--tokenizer", "tabs", "--words")
    assert compared["rows"] == ["a b", "c"]
    labelled = ["explore", "a", corpus, "-o", "x.html", "--tokenizer", "tabs", "--label-column", 1]
    assert "between tabs if its label is" in failing(
        capsys, *labelled, "--input-format", "text", "--overwrite"
    )


def test_neighbors_says_what_it_cannot_do(plain, capsys):
    common = ["neighbors", "play", plain]
    assert "no occurrence 7: " in (said := failing(capsys, *common, "--occurrence", 7))
    assert "has 6 occurrences of 'play'" in said
    assert "has 1 occurrence of 'began'" in failing(
        capsys, "neighbors", "began", plain, "--occurrence", 2
    )
    for number in ("²", "0", "9" * 5000):  # int() refuses the first and the last
        assert "from 1 or each" in failing(capsys, *common, "--occurrence", number)
    assert "from 1 or each" in failing(capsys, *common, "--occurrence", "x")
    assert "Unknown --layers 2" in failing(capsys, *common, "--layers", 2)
    assert "is not a word of the sentence" in failing(capsys, *common, "--sentence", "nothing")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ["embed", "-o", "x.h5", "x", "--layers"],
            "expected all, average, top, mix, or a number from 0",
        ),
        (["neighbors", "a", "x", "--layers"], "expected all, top, or a number from 0"),
        (["similarity", "a", "b", "--layers"], "expected average, top, or a number from 0"),
    ],
)
def test_a_layer_is_a_number_or_a_name_that_the_command_has(capsys, command, expected):
    for layer in ("²", "foo", "--1", "1.5"):
        with pytest.raises(SystemExit):
            main([*command[:-1], f"{command[-1]}={layer}"])
        said = capsys.readouterr().err
        assert f"{layer!r} is not a layer; {expected}" in said


def test_a_layer_that_the_model_lacks_is_answered_with_its_numbers(capsys):
    said = failing(capsys, "similarity", "a", "b", "--layers", 9)
    assert "Unknown --layers 9: expected a number from 0 (the token layer) to 2" in said


def test_explore_draws_a_page_with_labels_and_says_what_it_left_out(corpus, tmp_path, capsys):
    out = tmp_path / "page.html"
    common = ["explore", "play", corpus, "-o", out]
    result = summary(capsys, *common, "--label-column", 1, "-n", 4)
    assert (result["occurrences"], result["drawn"]) == (6, 4)
    data = page_data(out.read_text("utf-8"))
    assert {label["name"] for label in data["labels"]} == {"A", "B"} and data["total"] == 6
    assert data["items"][0][4] == "line 1"
    labels = tmp_path / "labels.txt"
    labels.write_text("x\ny\n", encoding="utf-8")
    common.append("--overwrite")
    assert "labels.txt ends before line 3" in failing(capsys, *common, "--labels", labels)
    assert "has 2 columns" in failing(capsys, *common, "--label-column", 3)
    assert "as a number from 1, got '-1'" in failing(capsys, *common, "--label-column=-1")
    assert "as a number from 1, got '0'" in failing(capsys, *common, "--label-column", 0)
    assert "gives up the lines" in failing(capsys, *common, "--labels", labels, "--split-sentences")
    assert "ends in .html" in failing(capsys, *common[:-2], tmp_path / "x.gif")


def test_a_page_says_where_each_sentence_is(plain, tmp_path, capsys):
    other = tmp_path / "other.txt"
    other.write_text("no\n\nthe play\n", encoding="utf-8")

    def places(*texts):
        out = tmp_path / "page.html"
        summary(capsys, "explore", "play", *texts, "-o", out, "--overwrite")
        return [item[4] for item in page_data(out.read_text("utf-8"))["items"]]

    assert places(other) == ["line 3"]
    assert places(plain, other)[-2:] == ["text.txt, line 6", "other.txt, line 3"]


def test_similarity_prints_and_draws(corpus, tmp_path, capsys):
    out = tmp_path / "heat.html"
    assert main(["similarity", "a play", "the play", "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "[1] a play" in shown and "drawn in" in shown and out.is_file()
    assert "Every heatmap has the same colors" in out.read_text("utf-8")
    result = summary(capsys, "similarity", "a play", "the play.", "--words", "--tokenizer", "words")
    assert result["columns"] == ["the", "play", "."] and np.shape(result["cosines"]) == (2, 3)
    result = summary(capsys, "similarity", "--input", corpus, "--input-format", "text")
    assert result["rows"][0] == "A a play"
    message = failing(capsys, "similarity", "one")
    assert "2 to 200 sentences" in message and "--input" not in message
    file = tmp_path / "lines.txt"
    file.write_text("a\n")
    assert "--input" not in failing(capsys, "similarity", "a b " * 2000)  # no name of a file
    assert failing(capsys, "similarity", file).endswith(f" of a file: --input {file}.\n")
    assert "or a text with --input" in failing(capsys, "similarity")
    assert "but --words compares" in failing(
        capsys, "similarity", "a", "b", "--words", "--pooling", "mean"
    )
    for flag, value in ("--column", "x"), ("--input-format", "text"):
        said = failing(capsys, "similarity", "a", "b", flag, value)
        assert f"{flag} says how to read the files of --input, and there are none" in said
    assert "compares two sentences" in failing(capsys, "similarity", "a", "b", "c", "--words")


def test_every_way_to_label_a_line_says_in_which_line_and_file_it_is(corpus, tmp_path, capsys):
    labelled, labels, out = (tmp_path / name for name in ("b.txt", "labels.txt", "page.html"))

    def places(*arguments):
        summary(capsys, "explore", "play", "-o", out, "--overwrite", *arguments)
        return [item[4] for item in page_data(out.read_text("utf-8"))["items"]]

    plain = corpus.rename(tmp_path / "a.txt")
    plain.write_text("\na play\n\nthe play\n", "utf-8")
    labels.write_text("\nA\n\nB\n", "utf-8")
    labelled.write_text("\nA\ta play\n\nB\tthe play\n", "utf-8")
    assert places(plain) == places(plain, "--labels", labels) == ["line 2", "line 4"]
    assert places(labelled, "--label-column", 1) == ["line 2", "line 4"]
    other = tmp_path / "c.txt"
    other.write_text("C\tto play\n", "utf-8")
    expected = ["b.txt, line 2", "b.txt, line 4", "c.txt, line 1"]
    assert places(labelled, other, "--label-column", 1) == expected


def test_labels_may_be_empty_and_come_from_a_named_column(corpus, tmp_path, capsys):
    out = tmp_path / "page.html"

    def labels(content, *arguments):
        corpus.write_text(content, encoding="utf-8")
        summary(capsys, "explore", "play", "-o", out, "--overwrite", corpus, *arguments)
        return [label["name"] for label in page_data(out.read_text("utf-8"))["labels"]]

    expected = labels("A\ta play\n\tthe play\nB\tPlay\n", "--label-column", 1)
    assert labels("a play\tA\nthe play\t\nPlay\tB\n", "--label-column", 2) == expected
    table = "text\tn\tname\na play\t1\tA\nthe play\t2\t\nPlay\t3\tB\n"
    assert labels(table, "--column", "text", "--label-column", "name") == expected
    arguments = "explore", "play", "-o", out, "--overwrite", corpus
    error = failing(capsys, *arguments, "--label-column", "name")
    assert "which column holds the sentences?" in error
    error = failing(capsys, *arguments, "--label-column", 1, "--input-format", "tsv")
    assert "read as tsv: which column holds the sentences?" in error


def test_what_is_no_text_is_refused_by_every_command_that_reads_text(plain, tmp_path, capsys):
    wrong = tmp_path / "utf16.txt"
    wrong.write_text("a play", encoding="utf-16")
    out = tmp_path / "page.html"
    for arguments in (
        ["neighbors", "play", wrong],
        ["similarity", "--input", wrong],
        ["explore", "play", "-o", out, wrong],
        ["explore", "play", "-o", out, wrong, "--label-column", 1],
        ["explore", "play", "-o", out, plain, "--labels", wrong],
    ):
        assert "iconv -f UTF-16 -t UTF-8" in failing(capsys, *arguments)


@pytest.mark.slow  # it compiles
def test_a_real_model_gives_the_vectors_that_embed_gives(make_model):
    elmo = elmo_jax.Elmo(make_model(3)[0])
    occurrences = explore.find_occurrences("play", TEXT)
    vectors = explore.embed_occurrences(elmo, occurrences)
    expected = elmo.embed([TEXT[3]])[0][:, 2]
    np.testing.assert_allclose(vectors[3], expected, atol=1e-5)


@pytest.mark.slow  # it compiles
def test_the_examples_of_docstrings_print_what_they_say(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    names = {"elmo_jax": elmo_jax, "np": np} | {
        name: getattr(explore, name) for name in dir(explore)
    }
    examples = [explore, *(getattr(explore, name) for name in explore.__all__)]
    for each in examples:
        for path in tmp_path.iterdir():
            path.unlink()
        for test in finder.find(each, globs=dict(names)):
            runner.run(test)
    assert runner.failures == 0 and runner.tries >= 20
