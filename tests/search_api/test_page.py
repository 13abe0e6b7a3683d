"""The page, in a browser, on a small index that is built and served here."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from search_api.engine import nullmodel
from tests.search_api.pages import MARKUP, Seen, index_small_archive, index_unread_archive, serving, stripes, watched
from tests.small_index import image_id, shared_index


@pytest.fixture(scope="module")
def text_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_unread_archive(tmp_path_factory.mktemp("unread"))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(index_small_archive(tmp_path_factory.mktemp("archive"))) as found:
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
    with watched(browser, address) as found:
        yield found


def _open(seen: Seen, path: str, count: str) -> Page:
    seen.page.goto(path)
    expect(seen.page.locator("#count")).to_have_text(count, timeout=20_000)
    return seen.page


def _value(page: Page, facet: str, label: str) -> Locator:
    return page.locator(f'details[data-field="{facet}"] .value').filter(has=page.get_by_text(label, exact=True))


def _options(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Suggestions").get_by_role("option")


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


def test_suggestions_follow_what_is_typed_and_the_keyboard_fills_one_in(seen: Seen) -> None:
    page = _open(seen, "/", "5 images")
    box, options = page.get_by_role("combobox", name="Words, terms or ids"), _options(page)
    expect(box).to_have_attribute("aria-expanded", "false")

    box.press_sequentially("stripes rodents")

    expect(options).to_have_text(["Rodentia rodentsorganism3"])
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", "suggestion-0")
    page.keyboard.press("Enter")
    expect(box).to_have_value("stripes Rodentia")
    expect(options).to_have_count(0)
    assert "q" not in seen.query
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_have_text("3 images")
    assert seen.query["q"] == ["stripes Rodentia"]


def test_arrows_go_round_the_suggestions_and_the_box(seen: Seen) -> None:
    page = _open(seen, "/", "5 images")
    box, chosen = page.locator("#q"), page.locator("[role=option][aria-selected=true]")
    box.press_sequentially("m")
    expect(_options(page).first).to_be_visible()
    count = _options(page).count()
    assert count > 1

    page.keyboard.press("ArrowUp")
    expect(chosen).to_have_id(f"suggestion-{count - 1}")
    page.keyboard.press("ArrowDown")
    expect(chosen).to_have_count(0)
    expect(box).not_to_have_attribute("aria-activedescendant", re.compile("."))
    page.keyboard.press("ArrowDown")
    expect(chosen).to_have_id("suggestion-0")


def test_escape_closes_the_suggestions_and_keeps_the_text(seen: Seen) -> None:
    page = _open(seen, "/", "5 images")
    page.locator("#q").press_sequentially("mus")
    expect(page.locator("#suggestions")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.locator("#suggestions")).to_be_hidden()
    expect(page.locator("#q")).to_have_value("mus")


def test_a_click_fills_a_suggestion_in_and_leaves_the_rest_of_the_text(seen: Seen) -> None:
    page = _open(seen, "/", "5 images")
    box = page.locator("#q")
    box.fill("🐁 stripes")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    box.press_sequentially(" homo")

    _options(page).filter(has_text="Homo sapiens").click()

    expect(box).to_have_value("🐁 Homo sapiens stripes")
    expect(box).to_be_focused()
    expect(page.locator("#suggestions")).to_be_hidden()


def test_nothing_is_suggested_for_an_empty_box_or_after_a_search(seen: Seen) -> None:
    page = _open(seen, "/", "5 images")
    box, options = page.locator("#q"), _options(page)
    box.press_sequentially("ro")
    expect(options.first).to_be_visible()

    box.fill("")
    expect(options).to_have_count(0)
    box.press_sequentially("rodents")
    page.keyboard.press("Enter")

    expect(page.locator("#count")).to_have_text("3 images")
    page.wait_for_timeout(300)
    expect(options).to_have_count(0)


def test_choosing_facet_values_narrows_the_hits_and_the_other_counts(seen: Seen) -> None:
    page = _open(seen, "/?q=rodents", "3 images")
    expect(_value(page, "licence", "CC-BY-4.0").locator(".count")).to_have_text("2")

    _value(page, "organism", "Mus musculus").get_by_role("checkbox").check()

    expect(page.locator("#count")).to_have_text("2 images")
    expect(_value(page, "licence", "CC-BY-4.0").locator(".count")).to_have_text("1")
    expect(_value(page, "organism", "Rattus norvegicus").locator(".count")).to_have_text("1")
    assert seen.query["facet.organism"] == ["NCBITaxon:10090"]
    expect(page.locator("#chips")).to_contain_text("organism: Mus musculus")


def _cut_facets(page: Page) -> None:
    """Let the page ask for two values of each facet."""

    def cut(route: Route) -> None:
        text = route.fetch().text()
        assert "FACET_VALUES = 200" in text
        route.fulfill(body=text.replace("FACET_VALUES = 200", "FACET_VALUES = 2"), content_type="text/javascript")

    page.route("**/static/api.js", cut)


def test_what_is_below_a_value_is_asked_for_when_it_is_opened_where_a_facet_was_cut(seen: Seen) -> None:
    _cut_facets(seen.page)
    page = _open(seen, "/?level=images", "5 images")
    # terms that part nothing, and are the only group at their level, come last
    expect(_value(page, "organism", "Homo sapiens").locator(".count")).to_have_text("2")
    for label in ("Rodentia", "Rattus norvegicus"):
        expect(_value(page, "organism", label)).to_have_count(0)

    page.get_by_role("button", name="What is in Mus musculus").click()

    expect(page.get_by_role("button", name="What is in Mus musculus")).to_have_count(0)


def test_more_values_are_asked_for_where_all_groups_of_a_cut_facet_are_passed_over(seen: Seen) -> None:
    _cut_facets(seen.page)
    page = _open(seen, "/?level=images", "5 images")
    more = page.get_by_role("button", name="Show more values of organism")
    expect(_value(page, "organism", "Rattus norvegicus")).to_have_count(0)

    more.click()

    expect(_value(page, "organism", "Rattus norvegicus").locator(".count")).to_have_text("1")
    expect(_value(page, "organism", "Mus musculus")).to_have_count(1)
    expect(more).to_have_count(0)


def test_more_numbers_are_not_offered_where_the_server_has_ranges_of_them(browser: Browser, text_index: Path) -> None:
    with serving(text_index) as address, watched(browser, address) as seen:
        _cut_facets(seen.page)
        page = _open(seen, "/?level=images&show=passage&show=well", "30 images")
        expect(page.get_by_role("button", name="Show more values of well")).to_have_count(1)
        expect(_value(page, "passage", "0")).to_have_count(1)
        expect(page.get_by_role("button", name="Show more values of passage")).to_have_count(0)


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


def test_results_are_sorted_and_the_address_says_how(seen: Seen) -> None:
    page = _open(seen, "/?level=images", "5 images")

    page.get_by_label("Sort by").select_option("title, Z to A")

    expect(page.locator(".card h3").first).to_have_text("Stripes of a rat")
    titles = seen.titles()
    assert titles[:4] == ["Stripes of a rat", "Stripes of a mouse", "Spots of a person", MARKUP]
    assert seen.query["sort"] == ["-title"]
    page.reload()
    expect(page.get_by_label("Sort by")).to_have_value("-title")
    expect(page.locator(".card h3").first).to_have_text("Stripes of a rat")
    assert seen.titles() == titles


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


def test_look_alikes_of_other_studies_and_the_best_of_each(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(shared_index()) as address, watched(browser, address) as seen:
        page = _open(
            seen, f"/?level=images&like={quote(image_id('plain.png'))}", "11 look-alikes: exact, 11 candidates"
        )
        expect(page.locator(".percentile").first).to_have_text(re.compile(r"more alike than [\d.]+ % of pairs"))
        expect(page.locator("#hits .nothing")).to_have_count(0)
        monkeypatch.setattr(nullmodel, "FEWEST_FOR_TAIL", 1)  # the same few pairs, taken to be enough
        page.get_by_label("Not from the same study").check()
        expect(page.locator("#count")).to_have_text("8 look-alikes: exact, 8 candidates")
        expect(page.locator("#hits .nothing")).to_contain_text("Nothing here is meaningfully similar")
        page.get_by_label("Best of each study").check()
        expect(page.locator("#count")).to_have_text("2 look-alikes: exact, 8 candidates")
        assert (seen.query["exclude"], seen.query["group"]) == (["study"], ["study"])
        page.reload()
        expect(page.get_by_label("Best of each study")).to_be_checked()
        expect(page.locator("#count")).to_have_text("2 look-alikes: exact, 8 candidates")


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


def test_on_a_phone_the_filters_are_closed_from_wherever_one_has_scrolled_to(seen: Seen) -> None:
    seen.page.set_viewport_size({"width": 390, "height": 400})
    page = _open(seen, "/?level=images", "5 images")
    page.get_by_role("button", name="Filters").click()
    page.locator('details[data-field="format"]').scroll_into_view_if_needed()

    hide = page.get_by_role("button", name="Hide filters")
    expect(hide).to_be_in_viewport()
    hide.click()

    expect(page.locator("#facets")).to_be_hidden()
    expect(page.locator("#count")).to_be_in_viewport()


def test_a_dim_picture_is_shown_as_bright_as_it_is_looked_at(seen: Seen, tmp_path: Path) -> None:
    page = _open(seen, "/", "5 images")
    _drop(page, stripes(5).point(lambda value: value // 10), tmp_path / "dim.png")
    expect(page.locator(".example img")).to_have_css("filter", re.compile(r"brightness\((9|1\d)"))
    _drop(page, stripes(5), tmp_path / "bright.png")
    expect(page.locator("#drop")).to_contain_text("bright.png")
    expect(page.locator(".example img")).to_have_css("filter", "none")


def test_more_results_follow_on_a_page(browser: Browser, text_index: Path) -> None:
    with serving(text_index) as address, watched(browser, address) as seen:
        page = _open(seen, "/?level=images", "30 images")
        assert len(seen.titles()) == 24

        page.get_by_role("button", name="More results").click()

        expect(page.locator(".card")).to_have_count(30)
        assert len(set(seen.titles())) == 30
        expect(page.get_by_role("button", name="More results")).to_have_count(0)


def test_where_no_pixels_are_indexed_no_image_is_asked_for(browser: Browser, text_index: Path) -> None:
    with serving(text_index) as address, watched(browser, address) as seen:
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
