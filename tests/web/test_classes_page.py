"""Watching a classification and selecting its classes, in a real browser."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from playwright.sync_api import expect

from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.selection import read_selection
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.saved_iteration import read_iteration

JOB = "Class2D/job003"
COUNT = 240


def tile(page, number):
    return page.get_by_role("option", name=f"class {number}", exact=True)


def selected(page):
    return sorted(
        int(label.split()[1])
        for label in page.locator(".tile[aria-selected=true]:not([hidden])").evaluate_all(
            "all => all.map((tile) => tile.getAttribute('aria-label'))"
        )
    )


def save(page, alias):
    page.get_by_role("button", name="Save selection").click()
    page.get_by_label("Alias of the job").fill(alias)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("Select/job004")
    expect(page.locator(".state")).to_contain_text("succeeded")


@pytest.fixture(scope="session")
def classified(shared_data, tmp_path_factory):
    """Some of the tutorial's particles in eight classes."""
    folder = tmp_path_factory.mktemp("bgal")
    particles = ParticleSet.read(shared_data / "bgal10204/particles.star").select(slice(COUNT))
    write_stack(folder / "particles.mrcs", particles.images().read(slice(COUNT)), 3.54)
    table = particles.table.assign(rlnImageName=[f"{n:06d}@particles.mrcs" for n in range(1, COUNT + 1)])
    ParticleSet(particles.optics, table).write(folder / "particles.star")
    Project(folder, threads=2).class2d(
        particles="particles.star", classes=8, iterations=4, mask_diameter=200, psi_step=12, offset_range=3
    )
    return folder


@pytest.fixture
def bgal(classified, tmp_path):
    return shutil.copytree(classified, tmp_path / "bgal", symlinks=True)


def test_the_averages_of_every_iteration_are_seen(page, shown):
    page.get_by_role("link", name=JOB, exact=True).first.click()
    page.get_by_role("link", name="Look at the classes").click()
    expect(page.locator("output.iteration")).to_have_text("3 of 3")
    expect(page.locator(".chart")).to_have_count(7)
    order = shown(page)
    page.keyboard.press("[")
    expect(page.locator("output.iteration")).to_have_text("2 of 3")
    assert shown(page) == order  # every class stays where it is
    page.get_by_label("Iteration", exact=True).fill("0")
    expect(page.locator("output.iteration")).to_have_text("0 of 3")
    page.keyboard.press("p")
    expect(page.locator("output.iteration")).to_have_text("3 of 3")
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile("iteration=2"))
    page.reload()
    expect(page.locator("output.iteration")).to_have_text("2 of 3")


def test_no_curve_moves_a_bar_from_under_the_pointer(page, visit, hold):
    with hold(page, "**/api/classes/convergence/**"):
        visit(page, f"/classes/{JOB}")
        expect(page.locator(".chart")).to_have_count(0)
    expect(page.locator(".chart")).to_have_count(7)
    page.locator(".chart .bar").first.click()
    expect(page.get_by_label("One class")).to_be_visible()


def test_a_view_that_is_left_before_it_is_complete_is_no_fault(page, visit):
    page.route("**/api/classes/convergence/**", lambda route: None)  # never answered
    with page.expect_request("**/api/classes/convergence/**"):
        visit(page, f"/classes/{JOB}")
    page.get_by_role("link", name=JOB, exact=True).click()
    expect(page.locator("h1")).to_have_text(JOB)
    expect(page.locator("#notes")).to_be_empty()


def test_a_class_shows_its_particles(page, copy, visit):
    visit(page, f"/classes/{JOB}")
    tile(page, 2).click()
    one = page.get_by_label("One class")
    numbers = ParticleSet.read(copy / JOB / "run_it003_data.star").table["rlnClassNumber"]
    expect(one).to_contain_text(f"All its {(numbers == 2).sum()} particles")
    expect(one.locator(".members .tile").first).to_be_visible()
    expect(page).to_have_url(re.compile("class=2"))
    page.keyboard.press("Escape")
    expect(one).to_be_hidden()
    tile(page, 2).click()
    one.get_by_role("link", name="All its").click()
    expect(page.locator(".count")).to_contain_text(f"{(numbers == 2).sum()} of {len(numbers)} particles")
    expect(page.get_by_label("aligned")).to_be_checked()


def test_iterations_appear_while_the_job_runs(page, visit):
    visit(page, f"/new/class2d?like={JOB}")
    page.get_by_role("tab", name="Optimisation").click()
    page.get_by_label("Iterations", exact=True).fill("6")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("Class2D/job004")
    page.get_by_role("link", name="Look at the classes").click()
    expect(page.locator("output.iteration")).to_have_text("6 of 6")
    expect(page.locator(".bar .state")).to_be_empty()


def test_classes_are_selected_and_saved_as_templates(bgal, start_server, new_page, shown):
    page = new_page(start_server(bgal))
    page.get_by_role("link", name="Class2D/job001", exact=True).first.click()
    page.get_by_role("link", name="Select classes").click()
    model = read_star(bgal / "Class2D/job001/run_it004_model.star")["model_classes"]
    share = model["rlnClassDistribution"].to_numpy()
    order = (np.argsort(-share, kind="stable") + 1).tolist()
    expect(tile(page, order[0])).to_be_visible()
    assert shown(page) == order
    page.get_by_label("reverse").check()
    assert shown(page)[0] == order[-1]
    page.get_by_label("reverse").uncheck()
    tile(page, order[1]).click()
    tile(page, order[4]).click(modifiers=["Shift"])
    tile(page, order[2]).click()
    assert selected(page) == sorted([order[1], order[3], order[4]])
    page.keyboard.press("Control+z")
    assert selected(page) == sorted(order[1:5])
    page.get_by_role("button", name="Invert").click()
    assert selected(page) == sorted([order[0], *order[5:]])
    page.get_by_role("button", name="None").click()
    tile(page, order[2]).click(button="right")
    page.get_by_role("menuitem", name="This and all above").click()
    wanted = sorted(order[:3])
    assert selected(page) == wanted
    particles = ParticleSet.read(bgal / "Class2D/job001/run_it004_data.star").table
    kept = particles["rlnClassNumber"].isin(wanted)
    expect(page.locator(".count")).to_contain_text(f"3 of 8 classes · {kept.sum()} of {COUNT} particles")
    page.get_by_role("button", name="Save selection").click()
    page.get_by_label("Regroup the particles, into about").check()
    page.get_by_label("Number of groups").fill("3")
    expect(page.locator("dialog .command")).to_contain_text(
        f"--classes {' '.join(map(str, wanted))} --recenter --regroup 3"
    )
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("Select/job002")
    expect(page.locator(".state")).to_contain_text("succeeded")
    folder = bgal / "Select/job002"
    saved = ParticleSet.read(folder / "particles.star").table
    assert saved["rlnImageName"].tolist() == particles.loc[kept, "rlnImageName"].tolist()
    assert saved["rlnGroupName"].nunique() <= 3
    assert read_star(folder / "class_averages.star")[""]["rlnClassNumber"].tolist() == wanted
    assert len(read_stack(folder / "class_averages.mrcs")) == 3
    assert (np.flatnonzero(read_selection(folder / "backup_selection.star", 8)) + 1).tolist() == wanted


def test_classes_are_selected_by_score_with_reasons_and_particles_cleaned(page, copy, visit):
    scores = read_iteration(copy / JOB / "run_it003_model.star").scores()
    better, worse = (np.argsort(-scores.score) + 1).tolist()
    visit(page, f"/select/{JOB}")
    slider = page.get_by_role("slider", name="Select by score, at least")
    expect(slider).to_have_attribute("aria-valuetext", "none")  # what is selected, not what may be
    assert float(slider.input_value()) > scores.score.max() or scores.score.max() == 1
    slider.fill(f"{np.floor(100 * scores.score.min()) / 100:.2f}")
    assert selected(page) == [1, 2]
    slider.fill(f"{np.ceil(100 * scores.score[worse - 1] + 1e-9) / 100:.2f}")
    assert selected(page) == ([better] if scores.score[better - 1] >= float(slider.input_value()) else [])
    page.get_by_role("button", name="None").click()
    tile(page, worse).click()
    expect(slider).to_have_attribute("aria-valuetext", "by hand")
    reasons = page.get_by_role("list", name="Why it has this score").get_by_role("listitem")
    expect(reasons).to_have_text(scores.reasons()[worse - 1].split("; "))
    page.get_by_role("link", name="Clean particles").click()
    expect(page.locator("h1")).to_have_text("New job: select-particles")
    expect(page.locator("input[name=auto]")).to_be_checked()
    expect(page.locator("input[name=particles]")).to_have_value(f"{JOB}/run_it003_data.star")


def test_a_backup_selection_comes_back(page, copy, visit):
    visit(page, f"/select/{JOB}")
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator(".saved")).to_have_text("backup selection is saved")
    save(page, "both of them")
    visit(page, f"/select/{JOB}")
    assert selected(page) == [1, 2]
    page.get_by_role("button", name="None").click()
    expect(page.locator(".count")).to_contain_text("click good ones")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="As saved by Select/job004").click()
    assert selected(page) == [1, 2]


def test_two_pages_do_not_overwrite_each_others_selection(page, copy, start_server, new_page, visit):
    visit(page, f"/select/{JOB}")
    second = new_page(start_server(copy))
    visit(second, f"/select/{JOB}")
    tile(second, 1).click()
    expect(second.locator(".saved")).to_have_text("backup selection is saved")
    tile(page, 2).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save mine over theirs").click()
    expect(page.locator(".saved")).to_have_text("backup selection is saved")
    chosen = read_selection(copy / JOB / "run_it003_model_selection.star", 2)
    assert chosen.tolist() == [False, True]


def test_nothing_selected_is_said_and_empty_jobs_say_what_to_do(page, visit):
    visit(page, f"/select/{JOB}")
    page.get_by_role("button", name="Save selection").click()
    expect(page.locator("#notes")).to_contain_text("Nothing is selected yet")
    visit(page, "/select/Extract/job002")
    expect(page.locator("main")).to_contain_text("There are no class averages to select from")
    visit(page, "/classes/Extract/job002")
    expect(page.locator("main")).to_contain_text("There are no class averages yet")
    page.get_by_role("link", name="New classification").click()
    expect(page.locator("h1")).to_have_text("New job: class2d")


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_autopick") is None, reason="RELION is not installed")
def test_relion_picks_with_the_templates_and_classifies_the_particles(page, copy, visit):
    visit(page, f"/select/{JOB}")
    tile(page, 1).click()
    save(page, "templates")
    model = read_star(copy / "Select/job004/class_averages.star")[""]
    stack = read_stack(copy / "Select/job004/class_averages.mrcs")
    assert len(stack) == len(model) == 1 and stack.pixel_size_angstrom == pytest.approx(7.08)

    def relion(*words):
        done = subprocess.run([*map(str, words)], cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    relion(
        "relion_autopick", "--i", "micrographs_ctf.star", "--ref", "Select/job004/class_averages.star",
        "--odir", "theirs/", "--pickname", "autopick", "--ang", 30, "--threshold", 0.1, "--min_distance", 100,
        "--angpix_ref", 7.08, "--particle_diameter", 150, "--invert", "--ctf",
    )  # fmt: skip
    picks = [len(read_coordinates(path)) for path in copy.glob("theirs/Micrographs/*_autopick.star")]
    assert len(picks) == 3 and min(picks) > 0
    relion(
        "relion_refine", "--i", "Select/job004/particles.star", "--o", "theirs/run", "--iter", 1, "--K", 1,
        "--particle_diameter", 160, "--psi_step", 30, "--offset_range", 2, "--offset_step", 2, "--j", 1,
    )  # fmt: skip
    theirs = read_star(copy / "theirs/run_it001_data.star")["particles"]
    ours = ParticleSet.read(copy / "Select/job004/particles.star").table
    assert theirs["rlnImageName"].tolist() == ours["rlnImageName"].tolist()
