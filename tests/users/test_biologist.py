"""A biologist who sees the page for the first time: from images on another disk to particles and templates.

She takes what the page offers next; test_real_steps.py in tests/web looks closer at single steps.
"""

import re

import pytest
from browsing import drawn
from playwright.sync_api import expect

from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star

pytestmark = [pytest.mark.data, pytest.mark.slow]

MICROGRAPHS = ("May08_03.05.02.bin_avg.png", "May08_03.13.02.bin_avg.png")


@pytest.fixture(scope="module")
def disk(shared_data, tmp_path_factory):
    """Her images, outside the project."""
    folder = tmp_path_factory.mktemp("disk") / "session 12"
    folder.mkdir()
    for name in MICROGRAPHS:
        (folder / name).write_bytes((shared_data / "apoferritin10146" / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tmp_path_factory.mktemp("new project")


@pytest.fixture(scope="module")
def page(project, disk, module_server, new_module_page):
    return new_module_page(module_server(project, "--data", str(disk)))


def start(page, job):
    """Start what the form asks for, and wait until it has succeeded."""
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text(job)
    expect(page.locator(".state")).to_contain_text("succeeded")


def go_on(page, step, title):
    page.get_by_role("link", name=step, exact=True).click()
    expect(page.locator("h1")).to_have_text(title)


def fill(page, tab, **values):
    page.get_by_role("tab", name=tab).click()
    for label, value in values.items():
        page.get_by_label(re.compile(rf"^{label.replace('_', ' ')}\*?$")).fill(str(value))


def uncheck(page, tab, label):
    page.get_by_role("tab", name=tab).click()
    page.get_by_label(label, exact=True).and_(page.get_by_role("checkbox")).uncheck()


@pytest.fixture(scope="module")
def imported(page, project, disk):
    """The first page leads to the list of micrographs; what is missing is said, and can be mended."""
    expect(page.locator("main")).to_contain_text("This project has no jobs yet")
    go_on(page, "list them", "New job: import-micrographs")
    fill(page, "I/O", Files=disk.parent)
    expect(page.locator(".error").first).to_contain_text(f"--data {disk.parent}")
    fill(page, "I/O", Files=disk)
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".state")).to_contain_text("failed")
    expect(page.locator(".errors")).to_contain_text("does not say its pixel size; please give it, in Å")
    page.get_by_role("link", name="New like this").click()
    fill(page, "I/O", Pixel_size=1.5)
    start(page, "Import/job002")
    return project / "Import/job002"


@pytest.fixture(scope="module")
def picked_by_hand(page, project, imported):
    page.get_by_role("link", name="Micrographs", exact=True).click()
    expect(page.locator(".summary")).to_have_text("2 of 2 selected")
    page.get_by_role("link", name="look").first.click()
    go_on(page, "a manual-pick job", "New job: manual-pick")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".counts")).to_contain_text("0 picks")
    expect(page.locator(".viewer")).to_have_attribute("data-state", "ready")
    drawn(page)
    box = page.locator("canvas").first.bounding_box()
    for i in range(3):
        page.mouse.click(box["x"] + 300 + 60 * i, box["y"] + 250)
    expect(page.locator(".counts")).to_contain_text("3 picks")
    expect(page.locator(".counts")).to_contain_text("saved")
    return project / "ManualPick/job003"


@pytest.fixture(scope="module")
def picked(page, project, picked_by_hand, visit):
    """Without a diameter nothing can be sought; the form shows where that is said."""
    visit(page, "/job/ManualPick/job003")
    go_on(page, "Pick automatically", "New job: autopick")
    expect(page.get_by_label("Micrographs")).to_have_value("Import/job002/micrographs.star")
    page.get_by_label("Method").select_option("adaptive")
    page.get_by_role("button", name="Show “Laplacian”").click()
    fill(page, "Laplacian", Min_diameter=90, Max_diameter=130)
    start(page, "AutoPick/job004")
    return project / "AutoPick/job004"


@pytest.fixture(scope="module")
def classified(page, project, picked):
    go_on(page, "Cut the particles out", "New job: extract")
    fill(page, "extract", Rescale=48)
    start(page, "Extract/job005")
    go_on(page, "Classify the particles", "New job: class2d")
    fill(page, "Optimisation", Classes=2, Iterations=4, Mask_diameter=140)
    fill(page, "Sampling", Psi_step=12)
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".state")).to_contain_text("failed")  # there is no CTF
    expect(page.get_by_role("link", name="Look at the classes")).to_have_count(0)  # and are no classes
    expect(page.locator(".errors")).to_contain_text(
        "or do without it (--no-ctf, or the box `CTF` of the form)"
    )
    page.get_by_role("link", name="New like this").click()
    uncheck(page, "CTF", "CTF")
    start(page, "Class2D/job007")
    return project / "Class2D/job007"


@pytest.fixture(scope="module")
def selected(page, project, classified):
    """By the slider of scores; a class of each side of it must not be needed."""
    page.get_by_role("link", name="Select good classes").click()
    slider = page.get_by_label("Select by score, at least")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".count")).to_contain_text("2 of 2 classes")
    page.get_by_role("button", name="Save selection").click()
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("Select/job008")
    expect(page.locator(".state")).to_contain_text("succeeded")
    return project / "Select/job008"


@pytest.fixture(scope="module")
def picked_again(page, project, selected):
    go_on(page, "Pick again with these templates", "New job: autopick")
    expect(page.get_by_label("References", exact=True)).to_have_value("Select/job008/class_averages.star")
    uncheck(page, "References", "References CTF corrected")
    start(page, "AutoPick/job009")
    return project / "AutoPick/job009"


@pytest.fixture(scope="module")
def cleaned(page, project, picked_again, visit):
    visit(page, "/job/Class2D/job007")
    go_on(page, "Clean the particles", "New job: select-particles")
    start(page, "Select/job010")
    return project / "Select/job010"


def places(job):
    return {name: read_coordinates(path) for name, path in coordinate_files(job).items()}


def test_micrographs_are_linked_into_the_project(imported, disk):
    names = MicrographSet.read(imported / "micrographs.star").table["rlnMicrographName"]
    assert names.tolist() == [f"Import/job002/Micrographs/{name}" for name in MICROGRAPHS]
    assert all((imported / "Micrographs" / name).resolve().parent == disk.resolve() for name in MICROGRAPHS)


def test_what_she_picked_is_saved(picked_by_hand):
    assert [len(table) for table in places(picked_by_hand).values()][:1] == [3]


def test_templates_find_what_was_found_without(picked, picked_again):
    before, after = places(picked), places(picked_again)
    assert before.keys() == after.keys() and len(before) == 2
    for name, table in before.items():
        assert 100 < len(table) < 250
        assert abs(len(after[name]) / len(table) - 1) < 0.25


def test_cleaning_leaves_most_of_the_particles(cleaned, classified, picked):
    before = ParticleSet.read(classified / "run_it004_data.star").table
    after = ParticleSet.read(cleaned / "particles.star").table
    assert len(before) == sum(map(len, places(picked).values()))
    assert 0.6 * len(before) < len(after) < len(before)
    assert set(after["rlnImageName"]) <= set(before["rlnImageName"])


def test_the_books_know_every_step(cleaned, project):
    processes = read_star(project / "default_pipeline.star")["pipeline_processes"]
    failed = processes["rlnPipeLineProcessStatus"] == 3
    assert processes["rlnPipeLineProcessName"][failed].tolist() == ["Import/job001/", "Class2D/job006/"]
    assert len(processes) == 10
