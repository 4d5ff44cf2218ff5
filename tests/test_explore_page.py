"""The page of `elmo-jax explore` in a real browser: what its reader sees, points at and types."""

import shutil

import numpy as np
import pytest

from elmo_jax import explore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs a browser: Debian's packages chromium and chromium-driver",
    ),
]

ALERT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
SENTENCES = [
    ("the bank of the river", "water"),
    (f"a bank {ALERT} '\" & &amp;", "money"),
    ("בבנק bank של ישראל", "money"),
    ("👩‍🔬 bank 👍🏽", None),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Four occurrences, at the corners of a diamond in the lower layer and moved in the upper."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    sentences = [explore.Labelled(text.split(), label) for text, label in SENTENCES]
    occurrences = explore.find_occurrences("bank", sentences)
    lower = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]], np.float32)
    vectors = np.stack([lower * 0, lower, lower[[2, 3, 0, 1]] + 1], axis=1)
    explore.write_page(path, "bank", occurrences, vectors, source="<b>a text</b>", total=9)
    return path


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-sync",
        "--disable-component-update",
        "--no-first-run",
        "--window-size=1280,800",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


class Reader:
    """What a person does with the page."""

    def __init__(self, driver):
        self.driver = driver

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def text(self, selector):
        return self.all(selector)[0].text

    def act(self, *steps):
        from selenium.webdriver import ActionChains

        chain = ActionChains(self.driver, duration=50)
        for step in steps:
            step(chain)
        chain.perform()

    def point_at(self, dot, click=False):
        """The pointer goes to a dot, by its number in the text."""
        box = self.all("#plot")[0].rect
        left, top = self.places()[dot]
        from_middle = round(left - box["width"] / 2), round(top - box["height"] / 2)
        steps = [
            lambda chain: chain.move_to_element_with_offset(self.all("#plot")[0], *from_middle)
        ]
        self.act(*steps, *[lambda chain: chain.click()] * click)

    def press(self, *keys):
        for key in keys:
            self.act(lambda chain, key=key: chain.send_keys(key))

    def places(self):
        """Where the dots are in the plot, in the order of the text."""
        return self.driver.execute_script("return Array.from(x, (left, i) => [left, y[i]])")

    def states(self):
        """Of each dot: 0 if it is shown, 1 if it is faint, 2 if it is hidden."""
        return self.driver.execute_script("return Array.from(state)")

    def pixel(self, canvas, left, top):
        """The color, red, green, blue and opacity, that a canvas has at a place in the plot."""
        script = """
            const pen = document.createElement("canvas").getContext("2d");
            const place = [Math.round(arguments[1]), Math.round(arguments[2]), 1, 1];
            pen.drawImage(document.querySelector(arguments[0]), ...place, 0, 0, 1, 1);
            return Array.from(pen.getImageData(0, 0, 1, 1).data);
        """
        return self.driver.execute_script(script, canvas, left, top)

    def has_ring(self, dot):
        left, top = self.places()[dot]
        return any(self.pixel("#rings", left, top + reach)[3] for reach in (6, 7, 8, 9))

    def wait_until(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 10).until(condition)

    def to_layer(self, layer):
        self.driver.execute_script(
            "slider.value = arguments[0]; slider.dispatchEvent(new Event('input'))", layer
        )
        self.wait_until(lambda _: not self.all("#plot[data-moving]"))


@pytest.fixture
def reader(browser, page):
    browser.get(page.as_uri())
    yield Reader(browser)
    errors = [entry["message"] for entry in browser.get_log("browser")]
    assert errors == []


def test_the_page_says_what_it_shows(reader):
    assert reader.text("h1") == "“bank”" and reader.driver.title == "“bank”: 4 occurrences"
    assert reader.text("#about") == ("4 of 9 occurrences, taken at even distances · <b>a text</b>")
    assert reader.text("#count") == "4 of 4 occurrences"
    ticks = [tick.text.split("\n") for tick in reader.all("#ticks span")]
    assert [name for name, _ in ticks] == ["token layer", "biLM layer 1", "biLM layer 2 (top)"]
    assert [share.split()[0] for _, share in ticks] == ["0%", "100%", "100%"]
    axes = reader.text("#right"), reader.text("#up")
    assert axes[0] == "First principal component, 90% of the variance of this layer"
    assert axes[1] == "Second principal component, 10% of the variance"


def test_the_dots_are_drawn_in_their_labels_colors_and_beside_the_names_of_the_axes(reader):
    colors = {"money": [0, 114, 178], "water": [213, 94, 0], None: [138, 143, 152]}
    for (left, top), (_, label) in zip(reader.places(), SENTENCES, strict=True):
        red_green_blue = np.array(reader.pixel("#dots", left + 2, top + 2)[:3], int)
        assert abs(red_green_blue - colors[label]).max() < 60  # they are a little transparent
    plot, right, up = (reader.all(name)[0].rect for name in ("#plot", "#right", "#up"))
    assert right["y"] >= plot["y"] + plot["height"] and up["x"] + up["width"] <= plot["x"]


def test_pointing_shows_the_sentence_with_its_word_marked_and_a_click_keeps_it(reader):
    for dot, (text, label) in enumerate(SENTENCES):
        reader.point_at(dot)
        shown = reader.all("#tip")[0]
        assert shown.is_displayed() and text in shown.text
        assert (label or "no label") in shown.text and reader.text("#tip mark") == "bank"
    reader.point_at(1, click=True)
    assert ALERT in reader.text("#pins li") and not reader.all("img")
    reader.act(lambda chain: chain.move_to_element(reader.all("h1")[0]))
    assert [reader.has_ring(dot) for dot in range(4)] == [False, True, False, False]
    reader.all("#pins li button")[0].click()
    reader.act(lambda chain: chain.move_to_element(reader.all("h1")[0]))
    assert reader.all("#pins li") == [] and not reader.has_ring(1)


def test_the_slider_moves_the_dots_to_where_the_layer_has_them(reader):
    top = reader.places()
    reader.to_layer(1)
    assert reader.places() != top and reader.text("#ticks .now").startswith("biLM layer 1")
    reader.to_layer(0)
    assert len(set(map(tuple, reader.places()))) == 1 and "knows a word's spelling" in reader.text(
        "#note"
    )
    reader.to_layer(2)
    assert reader.places() == top and "Similar vectors" in reader.text("#note")


def test_thousands_of_dots_are_drawn_and_pointed_at(reader, tmp_path):
    occurrences = explore.find_occurrences("bank", [["the", "bank"]] * 20_000)
    vectors = np.random.default_rng(0).normal(size=(20_000, 2, 2)).astype(np.float32)
    explore.write_page(tmp_path / "many.html", "bank", occurrences, vectors)
    reader.driver.get((tmp_path / "many.html").as_uri())
    left, top = reader.places()[777]
    assert reader.pixel("#dots", left, top)[:3] != [255, 255, 255]
    reader.to_layer(0)
    assert reader.places()[777] != [left, top]
    reader.point_at(777)
    assert reader.text("#tip").startswith("the bank")
    reader.all("#search")[0].send_keys("bank")
    assert reader.text("#count") == "20,000 of 20,000 occurrences; the first 100 are listed"
    assert len(reader.all("#matches li")) == 100


def test_the_search_lists_sentences_and_a_click_on_one_highlights_its_dot(reader):
    from selenium.webdriver import Keys

    assert reader.all("#matches li") == []
    reader.all("#search")[0].send_keys("OF")
    listed = reader.all("#matches button")
    assert len(listed) == 1 and SENTENCES[0][0] in listed[0].text
    listed[0].click()
    reader.act(lambda chain: chain.move_to_element(reader.all("h1")[0]))
    assert [reader.has_ring(dot) for dot in range(4)] == [True, False, False, False]
    assert SENTENCES[0][0] in reader.text("#tip")
    reader.to_layer(1)  # it stays in sight
    assert reader.has_ring(0) and listed[0].get_attribute("aria-pressed") == "true"
    reader.all("#search")[0].clear()
    reader.all("#search")[0].send_keys("<img")
    assert ALERT in reader.text("#matches li") and not reader.has_ring(0)
    reader.press(Keys.ARROW_DOWN)
    assert ALERT in reader.text("#tip")
    reader.press(Keys.ENTER)
    assert reader.has_ring(1)


def test_the_search_and_the_legend_filter(reader):
    reader.all("#search")[0].send_keys("RIVER")
    assert reader.text("#count") == "1 of 4 occurrences"
    assert reader.states() == [0, 1, 1, 1]
    reader.all("#search")[0].clear()
    reader.all("#search")[0].send_keys(" ")
    legend = reader.all("#legend button")
    assert [entry.text.split("\n") for entry in legend] == [
        ["money", "2"],
        ["water", "1"],
        ["no label", "1"],
    ]
    legend[0].click()
    assert legend[0].get_attribute("aria-pressed") == "false"
    assert reader.text("#count") == "2 of 4 occurrences" and reader.states() == [0, 2, 2, 0]


def test_the_keyboard_is_enough(reader):
    from selenium.webdriver import Keys

    reader.driver.execute_script("plot.focus()")
    reader.press(Keys.ARROW_RIGHT)
    said = reader.driver.execute_script("return document.querySelector('#said').textContent")
    assert "bank" in said and sum(map(reader.has_ring, range(4))) == 1
    reader.press(Keys.ENTER)
    assert len(reader.all("#pins li")) == 1
    reader.press(Keys.ESCAPE)
    assert not reader.all("#tip")[0].is_displayed()
    reader.driver.execute_script("slider.focus()")
    reader.press(Keys.ARROW_LEFT)
    assert reader.text("#ticks .now").startswith("biLM layer 1")


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_page_follows_the_readers_choice_of_light_or_dark(reader, scheme, dark):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    paper = reader.all("body")[0].value_of_css_property("background-color")
    first = int(paper.split("(")[1].split(",")[0])
    assert (first < 60) is dark
    reader.wait_until(lambda _: (reader.pixel("#dots", 9, 9)[0] < 60) is dark)
    reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_lies_beside_the_page_on_a_small_screen(reader):
    for width, height in ((1280, 800), (480, 900)):
        reader.driver.set_window_size(width, height)
        wide, room = reader.driver.execute_script(
            "return [document.documentElement.scrollWidth, innerWidth]"
        )
        assert wide <= room
    reader.driver.set_window_size(1280, 800)
