"""From real micrographs to templates, every step in the page as a user takes it: apoferritin of EMPIAR-10146.

Every fixture is a step, which goes on from the one before; tests look at the files that steps made.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_stack
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star, read_star_table

pytestmark = [pytest.mark.data, pytest.mark.slow]

X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"
BAD, CLASSES = 2, 4
HIT_PX = 17.0  # of a particle of 61 to 75 px, as in docs/picking.md


@pytest.fixture(scope="module")
def project(make_apoferritin, tmp_path_factory):
    return make_apoferritin(tmp_path_factory.mktemp("steps") / "apoferritin", 3)


@pytest.fixture(scope="module")
def page(project, shared_data, module_server, new_module_page):
    return new_module_page(module_server(project, "--data", str(shared_data)))


def succeeded(page, job):
    expect(page.locator("h1")).to_have_text(job)
    expect(page.locator(".state")).to_contain_text("succeeded")


def save(page, button, job):
    page.get_by_role("button", name=button).click()
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    succeeded(page, job)


def fill(page, tab, **values):
    page.get_by_role("tab", name=tab).click()
    for label, value in values.items():
        page.get_by_label(re.compile(rf"^{label.replace('_', ' ')}\*?$")).fill(str(value))


def type_in(page, label, value):
    page.get_by_label(label, exact=True).fill(str(value))
    page.keyboard.press("Enter")


@pytest.fixture(scope="module")
def selected(page, project, visit):
    """Subset selection: the first two micrographs."""
    visit(page, "/micrographs/micrographs.star")
    expect(page.locator(".summary")).to_have_text("3 of 3 selected")
    page.get_by_label("How many").fill("2")
    page.get_by_role("button", name="Only the first").click()
    expect(page.locator(".summary")).to_have_text("2 of 3 selected")
    save(page, "Save as a Select job", "Select/job001")
    return project / "Select/job001"


@pytest.fixture(scope="module")
def picked(page, project, selected, visit):
    """Automatic picking: a threshold is tried on one micrograph, then on both, then run.

    Returns the job, and what the page had counted.
    """
    visit(page, "/job/Select/job001")
    page.get_by_role("link", name="Micrographs", exact=True).click()
    page.get_by_role("link", name="look").first.click()
    page.get_by_role("button", name="Try automatic picking").click()
    type_in(page, "Min. diameter", 140)  # a hollow shell of 100 Å answers best to a larger blob
    type_in(page, "Max. diameter", 170)
    type_in(page, "Resolution", 30)
    page.get_by_role("button", name="Try on the first").click()
    expect(page.locator(".tried")).to_have_attribute("data-state", "ready")
    total = page.locator(".tried .total .count")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    loose = int(total.inner_text())
    type_in(page, "Threshold", 0.2)
    expect(total).not_to_have_text(str(loose))
    counts = [int(text) for text in page.locator(".tried .count").all_inner_texts()]
    assert 0 < counts[2] < loose
    expect(page.locator(".tuning .says")).to_contain_text(f"{counts[0]} of ")
    assert not [url for url in requests if "/api/picks/peaks" in url]
    page.get_by_role("button", name="Run on all micrographs").click()
    page.get_by_role("button", name="Start").click()
    succeeded(page, "AutoPick/job002")
    return project / "AutoPick/job002", counts


@pytest.fixture(scope="module")
def extracted(page, project, picked, visit):
    """Extraction, from its form; the micrographs have no CTF, which none of its fields then corrects."""
    visit(page, "/new/extract?coordinates=AutoPick/job002")
    expect(page.get_by_label("Micrographs*")).to_have_value("Select/job001/micrographs_selected.star")
    fill(page, "extract", Box_size=128, Rescale=64)
    page.get_by_role("tab", name="CTF").click()
    expect(page.get_by_label("Phase flip")).not_to_be_checked()
    expect(page.get_by_label("Premultiply CTF")).not_to_be_checked()
    page.get_by_role("button", name="Start").click()
    succeeded(page, "Extract/job003")
    return project / "Extract/job003"


@pytest.fixture(scope="module")
def cleaned(page, project, extracted, visit):
    """The gallery: the particles of lowest figure of merit are marked, the others saved."""
    visit(page, "/job/Extract/job003")
    page.get_by_role("link", name="Look at the particles").click()
    page.get_by_label("Sort by").select_option(FOM)
    merit = ParticleSet.read(extracted / "particles.star").table[FOM].to_numpy()
    lowest = np.argsort(merit, kind="stable")[:BAD] + 1
    tiles = [page.locator(f".tile[data-place='{place}']") for place in range(BAD)]
    for tile, number in zip(tiles, lowest, strict=True):
        expect(tile).to_have_attribute("aria-label", f"particle {number}")
    tiles[0].click()
    tiles[-1].click(modifiers=["Shift"])
    expect(page.locator(".count")).to_contain_text(f"{BAD} marked as bad")
    save(page, "Save without the marked", "Select/job004")
    return project / "Select/job004"


@pytest.fixture(scope="module")
def classified(page, project, cleaned, visit):
    """Classification without CTF, from its form; averages are watched as they appear, until they are good.

    Returns the job, and its last iteration.
    """
    visit(page, "/new/class2d")
    expect(page.get_by_label("Particles*")).to_have_value("Select/job004/particles.star")
    page.get_by_role("tab", name="CTF").click()
    page.get_by_label("CTF", exact=True).and_(page.get_by_role("checkbox")).uncheck()
    fill(page, "Optimisation", Classes=CLASSES, Iterations=3000, Mask_diameter=135)
    fill(page, "Sampling", Psi_step=12, Offset_range=5)
    expect(page.locator(".command")).to_contain_text("--no-ctf")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("Class2D/job005")
    page.get_by_role("link", name="Look at the classes").click()
    iteration = page.locator("output.iteration")
    expect(iteration).to_have_text(re.compile(r"^(\d\d+) of \1$"))
    expect(page.locator(".gallery .tile:not([hidden])")).to_have_count(CLASSES)
    expect(iteration).not_to_have_text(iteration.inner_text())  # the next comes by itself
    expect(page.locator(".bar .state")).to_have_text("running")
    page.get_by_role("link", name="Class2D/job005").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".state")).to_contain_text("aborted")
    page.get_by_role("link", name="Look at the classes").click()
    expect(page.locator(".bar .state")).to_be_empty()
    last = int(iteration.inner_text().split()[-1])
    page.keyboard.press("[")
    expect(iteration).to_have_text(f"{last - 1} of {last}")
    return project / "Class2D/job005", last


@pytest.fixture(scope="module")
def templates(page, project, classified, shown, visit):
    """The two largest classes, as templates. Returns the job and the numbers of its classes."""
    visit(page, "/classes/Class2D/job005")
    page.get_by_role("link", name="Select classes").click()
    first = page.locator(".tile[data-place='0']")
    expect(first).to_be_visible()
    first.click()
    page.locator(".tile[data-place='1']").click()
    expect(page.locator(".count")).to_contain_text(f"2 of {CLASSES} classes")
    largest = shown(page)[:2]
    save(page, "Save selection", "Select/job006")
    return project / "Select/job006", largest


def test_a_subset_of_micrographs_is_saved(selected, project):
    names = MicrographSet.read(project / "micrographs.star").table["rlnMicrographName"]
    chosen = MicrographSet.read(selected / "micrographs_selected.star").table["rlnMicrographName"]
    assert chosen.tolist() == names[:2].tolist()


def test_what_was_tried_is_what_the_job_picks(picked, shared_data):
    job, counts = picked
    truth = read_star_table(shared_data / "apoferritin10146/truth.star", "", "particles", "micrographs")
    files = coordinate_files(job)
    picks = {name: read_coordinates(path)[[X, Y]].to_numpy() for name, path in files.items()}
    assert counts == [*map(len, picks.values()), sum(map(len, picks.values()))]
    for name, places in picks.items():
        stem = Path(name).name.split(".bin")[0]
        marks = truth.loc[truth["rlnMicrographName"].str.contains(stem, regex=False), [X, Y]].to_numpy()
        distance = np.linalg.norm(places[:, None] - marks, axis=-1).min(axis=1)
        assert np.mean(distance < HIT_PX) > 0.6


def test_picks_can_be_selected_by_their_number(picked, page, visit):
    visit(page, "/micrographs/AutoPick/job002")
    counts = picked[1]
    assert counts[0] != counts[1]
    expect(page.locator(".summary")).to_have_text(f"2 of 2 selected, {counts[2]} picks")
    page.get_by_label("Picks, at least").press("End")
    expect(page.locator(".summary")).to_have_text(f"1 of 2 selected, {max(counts[:2])} picks")
    page.get_by_role("button", name="All values").click()
    expect(page.locator(".summary")).to_have_text(f"2 of 2 selected, {counts[2]} picks")


def test_particles_are_cut_as_the_form_says(extracted, picked):
    particles = ParticleSet.read(extracted / "particles.star")
    images = particles.images().read(np.arange(len(particles)))
    assert len(particles) == picked[1][2] and images.shape[1:] == (64, 64)
    assert particles.optics["rlnImagePixelSize"].tolist() == [3.0]
    assert "rlnDefocusU" not in particles.table


def test_bad_particles_are_left_out(cleaned, extracted):
    before, after = (ParticleSet.read(job / "particles.star").table for job in (extracted, cleaned))
    lowest = np.argsort(before[FOM].to_numpy(), kind="stable")[:BAD]
    assert after["rlnImageName"].tolist() == before["rlnImageName"].drop(index=lowest).tolist()


def test_most_particles_are_in_hollow_shells(classified):
    job, last = classified
    averages = read_stack(job / f"run_it{last:03d}_classes.mrcs")[:]
    found = ParticleSet.read(job / f"run_it{last:03d}_data.star").table["rlnClassNumber"]
    axis = np.arange(64) - 32
    radius = np.hypot(axis[:, None], axis)
    inside, shell, outside = radius < 5, (radius > 12) & (radius < 18), (radius > 23) & (radius < 26)
    hollow = [
        average[shell].mean() > max(average[inside].mean(), average[outside].mean()) + 0.5 * average.std()
        for average in averages
    ]
    members = np.bincount(found, minlength=CLASSES + 1)[1:]
    assert members[hollow].sum() > 0.5 * members.sum()


def test_templates_and_their_particles_are_saved(templates, classified):
    job, largest = templates
    run, last = classified
    model = read_star(run / f"run_it{last:03d}_model.star")["model_classes"]
    shares = model["rlnClassDistribution"].to_numpy()
    assert largest == (np.argsort(-shares, kind="stable")[:2] + 1).tolist()
    table = read_star(job / "class_averages.star")[""]
    assert table["rlnClassNumber"].tolist() == sorted(largest)
    stack = read_stack(job / "class_averages.mrcs")
    assert len(stack) == 2 and stack.pixel_size_angstrom == pytest.approx(3)
    found = ParticleSet.read(run / f"run_it{last:03d}_data.star").table
    saved = ParticleSet.read(job / "particles.star").table
    wanted = found.loc[found["rlnClassNumber"].isin(largest), "rlnImageName"]
    assert saved["rlnImageName"].tolist() == wanted.tolist()


@pytest.mark.relion
@pytest.mark.skipif(
    shutil.which("relion_star_printtable") is None, reason="no relion_star_printtable: apt-get install relion"
)
def test_relion_reads_the_templates(templates):
    path = templates[0] / "class_averages.star"
    words = ["relion_star_printtable", path, "data_", "_rlnReferenceImage", "_rlnClassDistribution"]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    table = read_star(path)[""]
    assert printed[::2] == table["rlnReferenceImage"].tolist()
    np.testing.assert_allclose(np.array(printed[1::2], float), table["rlnClassDistribution"], atol=1e-5)
