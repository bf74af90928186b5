"""The page around the views, in a real browser."""

import re

import pytest
from playwright.sync_api import expect


def test_the_jobs_are_listed_and_the_token_is_gone(page):
    assert "token" not in page.url
    rows = page.locator(".card")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("Class2D/job003")
    expect(rows.last).to_contain_text("AutoPick/job001")
    expect(rows.last).to_contain_text("succeeded")
    expect(rows.last).to_contain_text("coords_suffix_autopick.star")
    expect(page).to_have_title("jobs – boxwood")


def test_an_address_that_leads_nowhere_says_so(page):
    page.goto(re.sub(r"/\?.*|/$", "/nowhere", page.url))
    expect(page.locator("main")).to_contain_text("There is no such page")
    page.get_by_role("link", name="See all jobs").click()
    expect(page.locator(".card").first).to_be_visible()
    page.go_back()
    expect(page.locator("main")).to_contain_text("There is no such page")


def test_light_and_dark_stay_as_chosen(page):
    def paper():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = paper()
    page.get_by_role("button", name="Light or dark").click()
    dark = paper()
    assert dark != light
    page.reload()
    assert paper() == dark


def test_keys_are_shown_on_asking(page):
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("all jobs")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_new_project_says_what_to_do(tmp_path, start_server, new_page):
    page = new_page(start_server(tmp_path))
    expect(page.locator("main")).to_contain_text("This project has no jobs yet")
    page.get_by_role("link", name="list them").click()
    expect(page.locator("h1")).to_have_text("New job: import-micrographs")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/job/Extract/%E0", "There is no such page"),
        ("/pick/AutoPick/job001?name=none.mrc", "AutoPick/job001 has no micrograph none.mrc"),
        ("/classes/Class2D/job003?iteration=99", "Class2D/job003 has no iteration 99"),
    ],
)
def test_what_is_not_there_is_no_fault_of_the_page(page, visit, address, sentence):
    visit(page, address)
    expect(page.locator("main h2")).to_contain_text(sentence)
    expect(page.locator("main")).not_to_contain_text("fault")


def test_a_server_that_has_ended_is_said_to_have(copy, start_server, new_page):
    page = new_page(start_server(copy))
    page.route("**/api/project", lambda route: route.abort())
    page.keyboard.press("h")
    expect(page.locator("main")).to_contain_text(
        "Is boxwood ui still running".replace("boxwood ui", "`boxwood ui`")
    )
    page.unroute("**/api/project")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card").first).to_be_visible()
