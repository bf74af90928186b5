"""Jobs as a user starts, watches, stops and continues them, in a real browser."""

import os
import re
import shutil

import pytest
from browsing import drawn, free_port
from playwright.sync_api import expect

from boxwood.jobs.api import Project
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import exit_status
from boxwood.web.runs import FOLDER


def go(page, address):
    page.goto(re.match(r"http://[^/]+", page.url)[0] + address)
    page.wait_for_selector("main > :not(.waiting)")


def statuses(copy):
    """As jobs say it themselves; their line in the books comes a moment later."""
    jobs = ProjectFolder(copy).pipeline().jobs()
    return {job.name: exit_status(copy / job.name) or job.status for job in jobs}


def open_tab(page, title):
    page.get_by_role("tab", name=title).click()


def test_a_job_is_started_from_its_form(page, copy):
    page.keyboard.press("n")
    page.get_by_role("link", name="autopick pick particles").click()
    expect(page.get_by_label("Micrographs*")).to_have_value("micrographs_ctf.star")
    expect(page.locator(".problem")).to_contain_text("Min diameter and Max diameter are not given")
    expect(page.get_by_role("tab", name="Laplacian")).to_have_class(re.compile("wrong"))
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    open_tab(page, "Laplacian")
    smallest = page.get_by_label("Min diameter")
    expect(page.locator("[data-option=min_diameter] .error")).to_contain_text("are not given")
    expect(page.get_by_label("Max diameter")).to_have_attribute("aria-invalid", "true")
    smallest.fill("-3")
    expect(page.locator("[data-option=min_diameter] .error")).to_have_text(
        "Min diameter is '-3'; it must be a number of at least 2.5 Å"
    )
    smallest.fill("150")
    page.get_by_label("Max diameter").fill("180")
    expect(page.locator("[data-option=min_diameter] .error")).to_have_text("")
    open_tab(page, "Running")
    page.get_by_label("Alias").fill("second try")
    expect(page.locator(".command")).to_have_text(
        "boxwood autopick --micrographs micrographs_ctf.star --min-diameter 150.0 --max-diameter 180.0 "
        "'--alias=second try'"
    )
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("AutoPick/job004")
    expect(page.locator(".state")).to_contain_text("succeeded")
    expect(page.locator("pre.log").last).to_contain_text("particles picked on 3 micrographs")
    expect(page.locator(".pictures img").first).to_be_visible()
    expect(page.get_by_label("Alias")).to_have_value("second_try")
    assert statuses(copy)["AutoPick/job004/"] == "Succeeded"
    assert (copy / "AutoPick/second_try/autopick.png").exists()


def test_manual_picking_leads_to_the_picture_that_is_picked_on(page):
    go(page, "/new/manual-pick?micrographs=micrographs_ctf.star")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".picking .place")).to_have_text("1 of 3")
    expect(page).to_have_url(re.compile("/pick/ManualPick/job004"))


def test_a_job_leads_to_what_it_made(page, copy):
    project = Project(copy)
    project.select_micrographs(micrographs="micrographs_ctf.star", first=2)
    project.select_particles(particles="Extract/job002/particles.star", where="rlnCoordinateX > 100")
    go(page, "/job/Select/job004")
    views = page.locator(".views a")
    expect(views).to_have_text(["Micrographs"])
    views.click()
    expect(page.locator("[data-micrograph]")).to_have_count(2)
    go(page, "/job/Select/job004")
    page.locator(".plain").get_by_role("link", name="micrographs_selected.star").click()
    expect(page.locator("[data-micrograph]")).to_have_count(2)
    page.get_by_role("link", name="Select/job004").click()
    expect(page.locator("h1")).to_have_text("Select/job004")
    go(page, "/job/Select/job005")
    expect(views).to_have_text(["Look at the particles"])
    page.locator(".plain").get_by_role("link", name="particles.star").last.click()
    expect(page.locator(".gallery")).to_be_visible()
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.set_status("Select/job005/", "Scheduled")
    (copy / "Select/job005/RELION_JOB_EXIT_SUCCESS").unlink()
    go(page, "/job/Select/job005")
    expect(page.locator(".state")).to_contain_text("scheduled")
    expect(views).to_have_count(0)  # nothing is there yet
    go(page, "/job/Class2D/job003")
    page.get_by_role("link", name="run_it003_model.star").click()
    expect(page.locator("output.iteration")).to_have_text("3 of 3")
    go(page, "/job/AutoPick/job001")
    page.get_by_role("link", name="coords_suffix_autopick.star").click()
    expect(page.locator(".picking .place")).to_have_text("1 of 3")


def test_a_form_shows_only_what_applies(page):
    go(page, "/new/class2d")
    open_tab(page, "Optimisation")
    batches = page.locator("[data-option=mini_batches]")
    expect(batches).to_be_hidden()
    page.get_by_label("Algorithm").select_option("vdam")
    expect(batches).to_be_visible()
    expect(page.locator("[data-option=iterations]")).to_be_hidden()
    open_tab(page, "Sampling")
    page.get_by_label("Align").uncheck()
    expect(page.locator("[data-option=psi_step]")).to_be_hidden()


def test_a_link_opens_the_same_tab(page):
    go(page, "/new/class2d")
    open_tab(page, "Sampling")
    page.reload()
    expect(page.get_by_label("Psi step")).to_be_visible()


def test_a_link_fills_a_form(page):
    go(page, "/new/autopick?min_diameter=120&max_diameter=140")
    expect(page.locator(".command")).to_contain_text("--min-diameter 120.0 --max-diameter 140.0")


def test_a_form_suggests_until_something_else_is_typed(page):
    go(page, "/new/extract?coordinates=AutoPick/job001")
    open_tab(page, "extract")
    box, background = page.get_by_label("Box size", exact=True), page.get_by_label("Background diameter")
    expect(box).to_have_value("64")
    expect(page.locator(".command")).to_contain_text("--box-size 64 --background-diameter 51.0")
    box.fill("100")
    open_tab(page, "I/O")
    page.get_by_label("Pixel size", exact=True).fill("1.77")
    expect(background).to_have_value("102")
    expect(box).to_have_value("100")
    expect(page.locator("[data-option=box_size]")).to_contain_text("suggested: 128")


def test_a_job_is_started_with_what_is_suggested_for_what_was_filled_in_last(page):
    go(page, "/new/extract?coordinates=AutoPick/job001")
    started = []
    page.route("**/start", lambda route: (started.append(route.request.post_data_json), route.abort()))
    with page.expect_request("**/start"):
        page.locator("[name=pixel_size]").evaluate(
            """(input) => {
                input.value = "1.77";
                input.dispatchEvent(new Event("input", { bubbles: true }));
                input.form.requestSubmit();
                input.form.requestSubmit();
            }"""
        )
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
    assert [form["values"]["box_size"] for form in started] == ["128"]


def test_what_a_job_made_is_shown_once_the_books_know_it(page):
    """Its marker may have told the page before that it has succeeded."""
    answers = []

    def early(route):
        answer = route.fetch()
        answers.append(answer.json())
        if len(answers) == 1:
            answers[0]["outputs"] = []
        route.fulfill(response=answer, json=answers[-1])

    page.route("**/api/job/AutoPick/job001", early)
    go(page, "/job/AutoPick/job001")
    expect(page.locator(".state")).to_contain_text("succeeded")
    expect(page.get_by_role("heading", name="Made")).to_be_visible()


def test_tuning_has_a_form(page):
    go(page, "/new/tune-picking?particle_diameter=165")
    expect(page.locator(".command")).to_have_text(
        "boxwood tune-picking --micrographs micrographs_ctf.star --particle-diameter 165.0"
    )
    expect(page.get_by_role("button", name="Start")).to_be_enabled()


def test_a_running_job_is_watched_cancelled_and_continued(page, copy):
    go(page, "/new/class2d?like=Class2D/job003&iterations=3000")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("Class2D/job004")
    expect(page.locator(".state")).to_contain_text("running")
    expect(page.locator(".state progress")).to_be_visible()
    expect(page.locator("pre.log").last).to_contain_text("iteration 2:")
    go(page, "/")
    card = page.locator("[data-job='Class2D/job004']")
    expect(card).to_contain_text("running")
    expect(card.locator("progress")).to_be_visible()
    page.get_by_role("link", name="Class2D/job004").hover()
    page.mouse.down()
    before = card.locator("img").get_attribute("src")
    os.utime(copy / "Class2D/job004/run.out")
    os.utime(copy / "default_pipeline.star")
    expect(card.locator("img")).not_to_have_attribute("src", before)
    page.mouse.up()  # the list was drawn anew while the button was held
    expect(page.locator("h1")).to_have_text("Class2D/job004")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".state")).to_contain_text("aborted")
    assert statuses(copy)["Class2D/job004/"] == "Aborted"
    done = len(list((copy / "Class2D/job004").glob("run_it*_model.star"))) - 1
    page.get_by_role("link", name="Continue").click()
    expect(page.locator("h1")).to_have_text("Continue Class2D/job004")
    open_tab(page, "Optimisation")
    page.get_by_label("Iterations").fill(str(done + 2))
    expect(page.locator(".command")).to_have_text(
        f"boxwood class2d --iterations {done + 2} --continue=Class2D/job004"
    )
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("h1")).to_have_text("Class2D/job004")
    expect(page.locator(".state")).to_contain_text("succeeded")
    assert statuses(copy)["Class2D/job004/"] == "Succeeded"


def test_a_job_goes_on_without_page_and_server(copy, start_server, new_page):
    page = new_page(start_server(copy))
    go(page, "/new/class2d?like=Class2D/job003&iterations=40")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("Class2D/job004")
    page.context.close()
    start_server.end()
    page = new_page(start_server(copy))
    go(page, "/job/Class2D/job004")
    expect(page.locator(".state")).to_contain_text("succeeded")
    expect(page.locator("pre.log").last).to_contain_text("after 40 iterations")


def test_a_link_stays_where_it_was_when_a_job_ends(page, copy):
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.set_status("Extract/job002/", "Running")
    (copy / "Extract/job002/RELION_JOB_EXIT_SUCCESS").unlink()
    go(page, "/job/Extract/job002")
    expect(page.locator(".state")).to_contain_text("running")
    page.get_by_role("link", name="Look at the particles").hover()
    page.mouse.down()
    with page.expect_response("**/api/job/Extract/job002"), ProjectFolder(copy).edit() as pipeline:
        pipeline.set_status("Extract/job002/", "Failed")
    expect(page.locator(".state")).to_contain_text("failed")
    drawn(page)
    page.mouse.up()
    expect(page.locator(".gallery")).to_be_visible()


def test_why_a_job_failed_is_said(page, copy):
    shutil.rmtree(copy / "Micrographs")
    go(page, "/new/autopick?like=AutoPick/job001")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("AutoPick/job004")
    expect(page.locator(".state")).to_contain_text("failed")
    expect(page.locator(".errors")).to_contain_text("none of the 3 micrographs could be used")


def test_a_command_that_is_no_job_of_the_project(page, copy):
    go(page, "/new/export?directory=out&to=text&coordinates=AutoPick/job001&micrographs=micrographs_ctf.star")
    page.get_by_role("button", name="Start").click()
    run = page.locator(".run")
    expect(run).to_contain_text("boxwood export out --to text")
    expect(run).to_contain_text("succeeded")
    assert [path for path in (copy / "out").rglob("*") if path.is_file()]
    run.get_by_role("button", name="Dismiss").click()
    expect(run).to_have_count(0)


def test_all_of_it_is_run_from_one_form_and_stopped(page, copy):
    go(page, "/new/run?min_diameter=150&max_diameter=180&iterations=3000&classes=2")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".run")).to_contain_text("boxwood run")
    expect(page.locator("[data-job='Class2D/job006'] progress")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".run")).to_contain_text("failed")
    expect(page.locator("[data-job='Class2D/job006']")).to_contain_text("aborted")
    assert list(statuses(copy).values())[3:] == ["Succeeded", "Succeeded", "Aborted"]


def test_jobs_are_found_by_words(page):
    page.keyboard.press("/")
    page.keyboard.type("extract succ")
    expect(page.locator(".card")).to_have_count(2)  # it, and the job that reads what it made
    expect(page).to_have_url(re.compile(r"\?find=extract%20succ$"))
    page.reload()
    expect(page.locator(".card")).to_have_count(2)
    page.get_by_label("Find a job").fill("nothing like this")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".card")).to_have_count(3)


def test_the_list_is_told_of_jobs_started_elsewhere(page, copy):
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.set_status("AutoPick/job001/", "Failed")
    expect(page.locator("[data-job='AutoPick/job001']")).to_contain_text("failed")


@pytest.fixture
def note(page, copy):
    go(page, "/job/AutoPick/job001")
    return page.get_by_label("Note")


def test_what_files_say_is_never_run(page, copy):
    attack = "<img src=x onerror='document.title=1'><script>document.title=2</script>"
    for name in ("run.out", "run.err", "note.txt"):
        (copy / "AutoPick/job001" / name).write_text(f"{attack}\n")
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.add_input("AutoPick/job001/", f"{attack}.star", "micrographs")
    go(page, "/job/AutoPick/job001")
    expect(page.locator("pre.log").last).to_have_text(attack)
    expect(page.locator(".errors")).to_contain_text(attack)
    expect(page.locator(".plain").first).to_contain_text(attack)
    go(page, "/")
    expect(page.locator("[data-job='AutoPick/job001']")).to_contain_text(attack)
    expect(page.locator("main script, main img[src=x]")).to_have_count(0)
    expect(page).to_have_title("jobs – boxwood")


def test_a_server_that_is_away_is_said_to_be(copy, start_server, new_page):
    port = free_port()
    page = new_page(start_server(copy, "--port", port))
    start_server.end()
    expect(page.locator(".offline")).to_contain_text("The server does not answer")
    page.goto(start_server(copy, "--port", port))
    page.wait_for_selector(".card")
    expect(page.locator(".card")).to_have_count(3)
    expect(page.locator(".offline")).to_have_count(0)


def test_a_link_lets_in_another_browser(page, new_page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    go(page, "/job/Extract/job002")
    page.get_by_role("button", name="Copy a link").click()
    expect(page.locator(".note")).to_contain_text("Copied")
    other = new_page(page.evaluate("navigator.clipboard.readText()"))
    expect(other.locator("h1")).to_have_text("Extract/job002")
    assert "token" not in other.url


def test_an_alias_is_given_on_the_page(note, page, copy):
    alias = page.get_by_label("Alias")
    alias.fill("good one")
    alias.press("Enter")
    expect(alias).to_have_value("good_one")
    alias.fill("job7")
    alias.press("Enter")
    expect(page.locator(".note.error")).to_contain_text("alias 'job7' is not possible")
    page.locator(".note.error").get_by_role("button", name="Close").click()
    expect(page.locator(".note.error")).to_have_count(0)
    expect(alias).to_have_value("good_one")
    go(page, "/job/AutoPick/good_one")
    expect(page.locator("h1")).to_have_text("AutoPick/job001")


def test_a_note_is_saved_by_itself(note, page, copy):
    note.press("Control+End")
    note.type("too many on carbon\n")
    expect(page.locator("h2", has_text="Note")).to_contain_text("saved")
    assert (copy / "AutoPick/job001/note.txt").read_text().endswith("too many on carbon\n")


def test_a_page_closed_before_it_had_saved_loses_nothing(note, page, copy):
    path = copy / "AutoPick/job001/note.txt"
    before = path.read_text()
    page.route("**/note", lambda route: route.abort())
    note.press("Control+End")
    note.type("thought of just before closing")
    expect(page.locator("h2", has_text="Note")).to_contain_text("failed")
    other = page.context.new_page()
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert path.read_text() == before
    other.goto(page.url)
    expect(other.get_by_label("Note")).to_have_value(before + "thought of just before closing")
    expect(other.locator("h2", has_text="Note")).to_contain_text("saved")
    assert path.read_text() == before + "thought of just before closing"


@pytest.mark.parametrize("choice", ["Show theirs, drop mine", "Save mine over theirs"])
def test_two_pages_do_not_overwrite_each_other(note, page, copy, choice):
    other = page.context.new_page()
    other.goto(page.url)
    theirs = other.get_by_label("Note")
    theirs.fill("theirs")
    expect(other.locator("h2", has_text="Note")).to_contain_text("saved")
    note.fill("mine")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("note.txt was saved by somebody else")
    path = copy / "AutoPick/job001/note.txt"
    assert path.read_text() == "theirs"
    dialog.get_by_role("button", name=choice).click()
    kept = "theirs" if choice.startswith("Show") else "mine"
    expect(page.get_by_label("Note")).to_have_value(kept)
    if kept == "mine":
        expect(page.locator("h2", has_text="Note")).to_contain_text("saved")
    assert path.read_text() == kept


@pytest.mark.parametrize("pressed", ["Enter", "Space"])
def test_a_key_pressed_as_the_conflict_shows_drops_nothing(note, page, copy, pressed):
    note.press("Control+End")
    (copy / "AutoPick/job001/note.txt").write_text("theirs")
    note.fill("mine")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_be_focused()
    page.keyboard.press(pressed)
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Save mine over theirs").click()
    expect(page.locator("h2", has_text="Note")).to_contain_text("saved")
    assert (copy / "AutoPick/job001/note.txt").read_text() == "mine"


def test_a_draft_is_not_offered_to_another_project_at_the_same_address(copy, start_server, new_page):
    """Servers of two projects often have the same port, one after the other."""
    port = free_port()
    page = new_page(start_server(copy, "--port", port))
    go(page, "/job/AutoPick/job001")
    note = page.get_by_label("Note")
    page.route("**/note", lambda route: route.abort())
    note.fill("a draft of the first project")
    expect(page.locator("h2", has_text="Note")).to_contain_text("failed")
    second = shutil.copytree(copy, copy.parent / "second", symlinks=True)
    before = (second / "AutoPick/job001/note.txt").read_text()
    place = page.url
    page.goto("about:blank")  # the page keeps its draft
    start_server.end()
    page.goto(start_server(second, "--port", port))
    page.wait_for_selector(".card")
    page.unroute("**/note")
    page.goto(place)
    expect(page.get_by_label("Note")).to_have_value(before)
    start_server.end()
    page.goto(start_server(copy, "--port", port))
    page.wait_for_selector(".card")
    page.goto(place)
    expect(page.get_by_label("Note")).to_have_value("a draft of the first project")


def test_a_run_that_died_with_its_server_can_be_dismissed(copy, start_server, new_page):
    folder = copy / FOLDER
    folder.mkdir(parents=True)
    (folder / "20260101-000000-0000.jsonl").write_text('{"event": "command", "text": "boxwood run"}\n')
    page = new_page(start_server(copy))
    run = page.locator(".run")
    expect(run).to_contain_text("its program ended without a word")
    run.get_by_role("button", name="Dismiss").click()
    expect(run).to_have_count(0)
    assert not list(folder.iterdir())
