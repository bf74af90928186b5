"""Looking through particles, marking bad ones and saving the others, in a real browser."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from boxwood.io.particles import ParticleSet
from boxwood.io.selection import read_selection

PARTICLES = "Extract/job002/particles.star"
MARKS = "Extract/job002/particles_selection.star"


def tile(page, number):
    return page.get_by_role("option", name=f"particle {number}", exact=True)


def marked(copy):
    count = len(ParticleSet.read(copy / PARTICLES))
    return (np.flatnonzero(~read_selection(copy / MARKS, count)) + 1).tolist()


@pytest.fixture
def gallery(page):
    """The particles of the extraction, reached from the list of jobs."""
    page.get_by_role("link", name="Extract/job002", exact=True).first.click()
    page.get_by_role("link", name="Look at the particles").click()
    expect(tile(page, 1)).to_be_visible()
    return page


def test_bad_particles_are_marked_and_the_others_saved(gallery, copy):
    page = gallery
    tile(page, 2).click()
    tile(page, 5).click()
    tile(page, 8).click(modifiers=["Shift"])
    tile(page, 6).click()
    expect(tile(page, 7)).to_have_attribute("aria-selected", "true")
    expect(tile(page, 6)).to_have_attribute("aria-selected", "false")
    expect(page.locator(".count")).to_contain_text("4 marked as bad")
    page.get_by_role("button", name="Save without the marked").click()
    page.get_by_label("Alias of the job").fill("good ones")
    expect(page.locator("dialog .command")).to_have_text(
        f"boxwood select-particles --particles {PARTICLES} --selection {MARKS} '--alias=good ones'"
    )
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("Select/job004")
    expect(page.locator(".state")).to_contain_text("succeeded")
    assert marked(copy) == [2, 5, 7, 8]
    before = ParticleSet.read(copy / PARTICLES).table
    after = ParticleSet.read(copy / "Select/good_ones/particles.star").table
    assert after.equals(before.drop(index=[1, 4, 6, 7]).reset_index(drop=True))
    backup = read_selection(copy / "Select/job004/backup_selection.star", len(before))
    assert (np.flatnonzero(~backup) + 1).tolist() == [2, 5, 7, 8]
    page.get_by_role("link", name="Look at the particles").click()
    expect(page.locator(".count")).to_contain_text(f"{len(after)} particles")


def test_marks_are_there_again_and_on_a_second_page_too(gallery, copy, start_server, new_page, visit):
    page = gallery
    tile(page, 3).click()
    expect(page.locator(".saved")).to_have_text("marks are saved")
    second = new_page(start_server(copy))
    visit(second, "/particles/Extract/job002")
    expect(tile(second, 3)).to_have_attribute("aria-selected", "true")
    tile(second, 4).click()
    expect(second.locator(".saved")).to_have_text("marks are saved")
    tile(page, 5).click()  # the first page knows nothing of particle 4
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Somebody else has saved")
    assert marked(copy) == [3, 4]
    dialog.get_by_role("button", name="Show theirs, drop mine").click()
    expect(tile(page, 4)).to_have_attribute("aria-selected", "true")
    expect(tile(page, 5)).to_have_attribute("aria-selected", "false")
    assert marked(copy) == [3, 4]


def test_a_page_that_is_closed_at_once_loses_no_mark(gallery):
    page = gallery
    tile(page, 2).click()
    page.reload()
    expect(tile(page, 2)).to_have_attribute("aria-selected", "true")
    expect(page.locator(".saved")).to_have_text("marks are saved")
    tile(page, 2).click()
    page.reload()
    expect(tile(page, 2)).to_have_attribute("aria-selected", "false")


def test_the_keyboard_is_enough(gallery, copy):
    page = gallery
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    for number, on in ((1, "false"), (2, "true"), (3, "true"), (4, "true"), (5, "false")):
        expect(tile(page, number)).to_have_attribute("aria-selected", on)
    page.keyboard.press("a")
    expect(page.locator(".count")).to_contain_text("4 marked")
    count = len(ParticleSet.read(copy / PARTICLES))
    page.keyboard.press("i")
    expect(page.locator(".count")).to_contain_text(f"{count - 4} marked")
    page.keyboard.press("End")
    expect(tile(page, count)).to_have_class(re.compile(r"\bat\b"))
    page.keyboard.press("Home")
    page.keyboard.press("b")
    expect(page.locator(".count")).to_contain_text(f"{count} marked")


def test_the_right_button_has_a_menu(gallery):
    page = gallery
    tile(page, 4).click(button="right")
    page.get_by_role("menuitem", name="This and all above").click()
    expect(page.locator(".count")).to_contain_text("4 marked")
    expect(page.get_by_role("menu")).to_have_count(0)
    tile(page, 1).click(button="right")
    page.get_by_role("menuitem", name="None").click()
    expect(page.locator(".count")).to_contain_text("click bad ones")
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+F10")
    page.get_by_role("menuitem", name="This and all above").press("Enter")
    expect(page.locator(".count")).to_contain_text("2 marked")


def test_a_link_opens_the_same_view(gallery, copy, shown):
    page = gallery
    page.get_by_label("Sort by").select_option("rlnAutopickFigureOfMerit")
    page.get_by_role("button", name="smallest first").click()
    merit = ParticleSet.read(copy / PARTICLES).table["rlnAutopickFigureOfMerit"].to_numpy()
    order = (np.argsort(-merit, kind="stable") + 1).tolist()
    expect(page.locator(".tile[data-place='0']")).to_have_attribute("aria-label", f"particle {order[0]}")
    page.get_by_label("Size").fill("160")
    assert shown(page) == order[: len(shown(page))]
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".tile[data-place='0']")).to_have_attribute("aria-label", f"particle {order[0]}")
    assert other.locator(".tile").first.bounding_box()["width"] == 160
    expect(other.get_by_label("Sort by")).to_have_value("rlnAutopickFigureOfMerit")
    assert other.locator(".gallery").evaluate("(gallery) => gallery.scrollTop") == 0
    tile(page, order[-1]).wait_for(state="detached")
    page.get_by_label("Size").fill("200")
    page.keyboard.press("g")
    page.keyboard.press("End")
    expect(page).to_have_url(re.compile(f"at={order[-1] - 1}"))
    other.goto(page.url)  # what was looked at last is in sight
    expect(tile(other, order[-1])).to_be_in_viewport()


def test_an_order_that_comes_late_does_not_replace_the_one_wanted_now(gallery, copy, hold):
    page = gallery
    late = re.compile("order.*sort=rlnCoordinateX")
    with hold(page, late), page.expect_request(late):
        page.get_by_label("Sort by").select_option("rlnCoordinateX")
        page.get_by_label("Size").fill("160")  # tiles are made anew, with what is known of them
        page.get_by_label("Sort by").select_option("rlnCoordinateY")
        page.wait_for_timeout(200)  # its answer would overtake the other
    table = ParticleSet.read(copy / PARTICLES).table
    first = table["rlnCoordinateY"].argmin() + 1
    assert first != table["rlnCoordinateX"].argmin() + 1
    expect(page.locator(".tile[data-place='0']")).to_have_attribute("aria-label", f"particle {first}")
    expect(page.locator(".tile[data-place='0']")).to_have_text(f"{table['rlnCoordinateY'].min():.4g}")


def test_particles_of_a_class_are_seen_aligned(page, visit):
    visit(page, "/particles/Class2D/job003?class=2&align=true")
    expect(page.locator(".count")).to_contain_text("in class 2")
    expect(page.get_by_label("aligned")).to_be_checked()
    pixel = "document.querySelector('.gallery canvas').getContext('2d').getImageData(20, 20, 1, 1).data"
    page.wait_for_function(f"{pixel}[3] > 0")


def test_only_rows_in_sight_exist(gallery):
    page = gallery
    page.get_by_label("Size").fill("256")
    expect(page.locator(".tile:not([hidden])").first).to_be_visible()
    tiles = page.locator(".tile:not([hidden])").count()
    page.locator(".gallery").evaluate("(element) => { element.scrollTop = element.scrollHeight; }")
    count = int(page.locator(".count").inner_text().split()[0].replace(",", ""))
    expect(tile(page, count)).to_be_visible()
    assert page.locator(".tile").count() <= tiles + 8 < count


def test_where_there_are_no_particles_it_is_said(page, visit):
    visit(page, "/particles/AutoPick/job001")
    expect(page.locator("main")).to_contain_text("This job made no particles")
    page.get_by_role("link", name="Back to the job").click()
    expect(page.locator("h1")).to_have_text("AutoPick/job001")
    visit(page, "/particles/Extract/job099")
    expect(page.locator("main")).to_contain_text("is no job of the project")
