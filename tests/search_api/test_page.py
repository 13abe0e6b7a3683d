"""The page, in a browser, on a small index that is built and served here."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from hooke.settings import read_settings
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.app import create_app
from search_api.engine import Engine
from search_api.engine.similarity import EmbedderChoice

TAXA = """format-version: 1.2
ontology: ncbitaxon

[Term]
id: NCBITaxon:40674
name: Mammalia

[Term]
id: NCBITaxon:9989
name: Rodentia
synonym: "rodents" EXACT []
is_a: NCBITaxon:40674

[Term]
id: NCBITaxon:10090
name: Mus musculus
is_a: NCBITaxon:9989

[Term]
id: NCBITaxon:10116
name: Rattus norvegicus
is_a: NCBITaxon:9989

[Term]
id: NCBITaxon:9606
name: Homo sapiens
is_a: NCBITaxon:40674
"""
MARKUP = "<script>window.bad = true</script><img src=x onerror='window.bad = true'>"
MANIFEST = f"""path\ttitle\torganism\tlicence
mouse-1.png\tStripes of a mouse\tMus musculus\tCC0-1.0
mouse-2.png\t{MARKUP}\tMus musculus\tCC-BY-4.0
rat-1.png\tStripes of a rat\tRattus norvegicus\tCC-BY-4.0
human-1.png\tSpots of a person\tHomo sapiens\tCC0-1.0
human-2.png\tNoise of a person\tHomo sapiens\tCC-BY-4.0
"""


@dataclass
class Seen:
    """A page, and what it should not have done."""

    page: Page
    console: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.page.url).query)

    def titles(self) -> list[str]:
        return self.page.locator(".card h3").all_inner_texts()


def stripes(width: int) -> Image.Image:
    rows = np.zeros((96, 96), np.uint8)
    rows[(np.arange(96) // width) % 2 == 0] = 220
    return Image.fromarray(rows)


def _write_images(folder: Path) -> None:
    generator = np.random.default_rng(0)
    spots = np.zeros((96, 96), np.uint8)
    spots[8::24, 8::24] = 255
    for name, width in (("mouse-1", 4), ("mouse-2", 6), ("rat-1", 8)):
        stripes(width).save(folder / f"{name}.png")
    Image.fromarray(spots).save(folder / "human-1.png")
    Image.fromarray(generator.integers(0, 255, (96, 96), np.uint8)).save(folder / "human-2.png")


@pytest.fixture(scope="module")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "stripes"
    folder.mkdir()
    _write_images(folder)
    (folder / "manifest.tsv").write_text(MANIFEST)
    taxa = folder.parent / "taxa.obo"
    taxa.write_text(TAXA)
    settings = read_settings()
    index = folder.parent / "index"
    run(IndexJob((folder,), index, None, (str(taxa),), Model(settings.model, settings.weights)))
    return index


@pytest.fixture(scope="module")
def text_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty images whose pixels were not read."""
    folder = tmp_path_factory.mktemp("unread") / "many"
    folder.mkdir()
    for number in range(30):
        stripes(4).save(folder / f"{number:02}.png")
    rows = "".join(f"{number:02}.png\tField {number:02}\n" for number in range(30))
    (folder / "manifest.tsv").write_text(f"path\ttitle\n{rows}")
    run(IndexJob((folder,), folder.parent / "index"))
    return folder.parent / "index"


@contextmanager
def _serving(index: Path) -> Iterator[str]:
    with closing(Engine(index, EmbedderChoice())) as engine, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(engine, read_settings()), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def address(small_index: Path) -> Iterator[str]:
    with _serving(small_index) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium: install it to test the page")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield started
        started.close()


@pytest.fixture
def seen(browser: Browser, address: str) -> Iterator[Seen]:
    with _watched(browser, address) as found:
        yield found


@contextmanager
def _watched(browser: Browser, address: str) -> Iterator[Seen]:
    """A fresh page; at the end nothing was logged as an error and nothing left for another server."""
    context = browser.new_context(base_url=address)
    context.set_default_timeout(20_000)
    found = Seen(context.new_page())
    found.page.on("console", lambda message: found.console.append(message.text) if message.type == "error" else None)
    found.page.on("pageerror", lambda error: found.console.append(str(error)))
    found.page.on("request", lambda request: found.addresses.append(request.url))
    yield found
    context.close()
    foreign = [url for url in found.addresses if not url.startswith((address, f"blob:{address}"))]
    assert foreign == []
    assert found.console == []


def _open(seen: Seen, path: str, count: str) -> Page:
    seen.page.goto(path)
    expect(seen.page.locator("#count")).to_have_text(count, timeout=20_000)
    return seen.page


def _value(page: Page, facet: str, label: str) -> Locator:
    return page.locator(f'details[data-field="{facet}"] .value').filter(has=page.get_by_text(label, exact=True))


def _drop(page: Page, image: Image.Image, path: Path) -> None:
    image.save(path)
    page.set_input_files("#file", path)


def test_words_for_a_group_find_what_is_annotated_with_its_members(seen: Seen) -> None:
    page = _open(seen, "/", "5 images")

    page.get_by_label("Words, terms or ids").fill("rodents")
    page.keyboard.press("Enter")

    expect(page.locator("#count")).to_have_text("3 images")
    assert sorted(seen.titles()) == sorted(["Stripes of a mouse", MARKUP, "Stripes of a rat"])
    expect(page.locator("#understood")).to_contain_text("Rodentia NCBITaxon:9989")
    expect(page.locator(".card").filter(has_text="rat-1")).to_contain_text("organism: Rattus norvegicus is a Rodentia")
    assert seen.query["q"] == ["rodents"]


def test_choosing_facet_values_narrows_the_hits_and_the_other_counts(seen: Seen) -> None:
    page = _open(seen, "/?q=rodents", "3 images")
    expect(_value(page, "licence", "CC-BY-4.0").locator(".count")).to_have_text("2")

    _value(page, "organism", "Mus musculus").get_by_role("checkbox").check()

    expect(page.locator("#count")).to_have_text("2 images")
    expect(_value(page, "licence", "CC-BY-4.0").locator(".count")).to_have_text("1")
    expect(_value(page, "organism", "Rattus norvegicus").locator(".count")).to_have_text("1")
    assert seen.query["facet.organism"] == ["NCBITaxon:10090"]
    expect(page.locator("#chips")).to_contain_text("organism: Mus musculus")


def test_two_quick_choices_both_count(seen: Seen) -> None:
    page = _open(seen, "/", "5 images")

    page.evaluate(
        """() => ["CC0-1.0", "CC-BY-4.0"].forEach((name) =>
            document.querySelector(`[data-key="choose licence ${name}"]`).click())"""
    )

    expect(page.locator("#chips .chip")).to_have_count(2)
    assert seen.query["facet.licence"] == ["CC0-1.0", "CC-BY-4.0"]


def test_a_value_can_be_left_out(seen: Seen) -> None:
    page = _open(seen, "/?q=rodents", "3 images")

    page.get_by_role("button", name="Leave out Mus musculus").click()

    expect(page.locator("#count")).to_have_text("1 image")
    assert seen.titles() == ["Stripes of a rat"]
    assert seen.query["facet.organism.not"] == ["NCBITaxon:10090"]


def test_the_back_button_returns_to_the_search_before(seen: Seen) -> None:
    page = _open(seen, "/?q=rodents", "3 images")
    _value(page, "licence", "CC0-1.0").get_by_role("checkbox").check()
    expect(page.locator("#count")).to_have_text("1 image")

    page.go_back()

    expect(page.locator("#count")).to_have_text("3 images")
    expect(_value(page, "licence", "CC0-1.0").get_by_role("checkbox")).not_to_be_checked()


def test_an_address_alone_brings_back_a_search(seen: Seen) -> None:
    page = _open(seen, "/?level=images&q=rodents&facet.licence=CC-BY-4.0&facet.organism.not=NCBITaxon:10116", "1 image")

    expect(page.locator("#q")).to_have_value("rodents")
    expect(page.locator("#chips .chip")).to_have_count(2)
    assert seen.titles() == [MARKUP]


def test_without_narrower_terms_only_words_count(seen: Seen) -> None:
    page = _open(seen, "/?q=Rodentia", "3 images")

    page.get_by_label("Include narrower terms").uncheck()

    expect(page.locator("#count")).to_have_text("0 images")
    page.get_by_role("button", name="include narrower terms").click()
    expect(page.locator("#count")).to_have_text("3 images")


def test_a_dropped_image_shows_look_alikes_that_facets_restrict(seen: Seen, tmp_path: Path) -> None:
    page = _open(seen, "/", "5 images")

    _drop(page, stripes(5), tmp_path / "query.png")

    expect(page.locator("#count")).to_have_text("5 look-alikes: exact, 5 candidates", timeout=60_000)
    likeness = [float(re.sub(r"[^0-9.]", "", text)) for text in page.locator(".similarity").all_inner_texts()]
    assert likeness == sorted(likeness, reverse=True)
    assert "Noise of a person" not in seen.titles()[:3]
    _value(page, "organism", "Homo sapiens").get_by_role("checkbox").check()
    expect(page.locator("#count")).to_have_text("2 look-alikes: exact, 2 candidates")
    assert sorted(seen.titles()) == ["Noise of a person", "Spots of a person"]
    page.go_back()
    expect(page.locator("#count")).to_have_text("5 look-alikes: exact, 5 candidates")
    page.get_by_role("button", name="Back to the search without it").click()
    expect(page.locator("#count")).to_have_text("5 images")


def test_an_image_dragged_onto_the_page_is_taken(seen: Seen) -> None:
    page = _open(seen, "/?facet.licence=CC0-1.0", "2 images")

    page.evaluate(
        """async () => {
            const shown = await fetch(document.querySelector(".card img").src);
            const transfer = new DataTransfer();
            transfer.items.add(new File([await shown.blob()], "dragged.png"));
            document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer: transfer }));
        }"""
    )

    expect(page.locator("#count")).to_have_text("2 look-alikes: exact, 2 candidates")
    expect(page.locator("#drop")).to_contain_text("dragged.png")


def test_an_indexed_image_has_look_alikes_and_a_combined_ranking(seen: Seen) -> None:
    page = _open(seen, "/?q=%22of+a+mouse%22", "1 image")

    page.get_by_role("button", name="Look-alikes of Stripes of a mouse").click()

    expect(page.locator("#count")).to_have_text("0 look-alikes: exact, 0 candidates")
    page.get_by_label("Rank by look and words").click()
    expect(page.locator("#count")).to_have_text("4 images by look and words: exact, 4 candidates")
    expect(page.locator(".ranks").first).to_contain_text("look rank 1")
    assert seen.query["like"] == ["stripes/mouse-1.png"]
    assert seen.query["rank"] == ["combined"]


def test_a_typing_error_offers_what_was_meant(seen: Seen) -> None:
    page = _open(seen, "/?q=Rodentai", "0 images")

    page.get_by_role("button", name="Rodentia").click()

    expect(page.locator("#count")).to_have_text("3 images")
    assert seen.query["q"] == ["Rodentia"]


def test_an_image_that_cannot_be_read_is_one_line(seen: Seen, tmp_path: Path) -> None:
    page = _open(seen, "/", "5 images")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")

    page.set_input_files("#file", broken)

    error = page.get_by_role("alert")
    expect(error).to_be_visible()
    assert "\n" not in error.inner_text().strip()
    # the browser itself logs an answer of 400
    assert all("400" in line for line in seen.console)
    seen.console.clear()


def test_markup_in_a_title_is_shown_as_text(seen: Seen) -> None:
    page = _open(seen, "/?facet.licence=CC-BY-4.0&q=rodents", "2 images")

    page.get_by_role("link", name=MARKUP, exact=True).click()

    expect(page.locator("dialog h2")).to_have_text(MARKUP)
    assert page.evaluate("window.bad") is None
    assert page.locator("main script, dialog script").count() == 0


def test_details_show_the_terms_and_lead_to_the_study(seen: Seen) -> None:
    page = _open(seen, "/?q=rodents", "3 images")

    page.get_by_role("link", name="Stripes of a rat").click()

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("NCBITaxon:10116")
    dialog.get_by_role("link", name="Study stripes").click()
    dialog.get_by_role("button", name="Show its 5 images").click()
    expect(page.locator("#count")).to_have_text("5 images")
    expect(dialog).to_be_hidden()


def test_escape_closes_the_details_and_the_back_button_opens_them_again(seen: Seen) -> None:
    page = _open(seen, "/?q=rodents&open=stripes/rat-1.png", "3 images")
    expect(page.locator("dialog h2")).to_have_text("Stripes of a rat")

    page.keyboard.press("Escape")

    expect(page).not_to_have_url(re.compile("open="))
    expect(page.locator("dialog")).to_be_hidden()
    page.go_back()
    expect(page.locator("dialog h2")).to_have_text("Stripes of a rat")


def test_studies_show_pictures_of_theirs(seen: Seen) -> None:
    page = _open(seen, "/?level=studies", "1 study")

    expect(page.locator(".study .strip img")).to_have_count(4)


def test_the_page_fits_a_phone(seen: Seen) -> None:
    seen.page.set_viewport_size({"width": 390, "height": 844})
    page = _open(seen, "/?q=rodents", "3 images")

    page.get_by_role("button", name="Filters").click()

    expect(_value(page, "licence", "CC0-1.0")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_more_results_follow_on_a_page(browser: Browser, text_index: Path) -> None:
    with _serving(text_index) as address, _watched(browser, address) as seen:
        page = _open(seen, "/?level=images", "30 images")
        assert len(seen.titles()) == 24

        page.get_by_role("button", name="More results").click()

        expect(page.locator(".card")).to_have_count(30)
        assert len(set(seen.titles())) == 30
        expect(page.get_by_role("button", name="More results")).to_have_count(0)


def test_where_no_pixels_are_indexed_no_image_is_asked_for(browser: Browser, text_index: Path) -> None:
    with _serving(text_index) as address, _watched(browser, address) as seen:
        page = _open(seen, "/", "1 study")

        expect(page.locator("#drop")).to_be_hidden()


def test_the_keyboard_stays_where_it_was_when_the_counts_change(seen: Seen) -> None:
    page = _open(seen, "/?q=rodents", "3 images")
    _value(page, "licence", "CC-BY-4.0").get_by_role("checkbox").focus()

    page.keyboard.press("Space")

    expect(page.locator("#count")).to_have_text("2 images")
    expect(_value(page, "licence", "CC-BY-4.0").get_by_role("checkbox")).to_be_focused()


def test_the_page_may_load_only_its_own_files(seen: Seen) -> None:
    response = seen.page.goto("/")
    assert response is not None

    policy = response.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["cache-control"] == "no-cache"
