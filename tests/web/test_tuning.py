"""Automatic picking, tried on the page: what it shows is what the job picks."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_image
from boxwood.jobs.api import Project
from boxwood.picking import pick_log

JOB = "AutoPick/job001"
STAR = "micrographs_ctf.star"
NAMES = [f"Micrographs/micrograph_{n:03d}.mrc" for n in (1, 2, 3)]
X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"


def ask(client, source, name=NAMES[0], **content):
    where = {"source": source, "name": name}
    return client.post("/api/picks/peaks", params=where, json={"content": content})


def cut(peaks, threshold, upper=np.inf):
    """What the page keeps of all peaks, as (n, 3) of x, y and figure of merit."""
    table = np.array([peaks["x"], peaks["y"], peaks["fom"]]).T
    low, high = (peaks["mean"] + t * peaks["sigma"] for t in (threshold, upper))
    return table[(table[:, 2] >= low) & (table[:, 2] < high)]


def test_peaks_cut_at_the_jobs_threshold_are_the_jobs_picks(client, copy):
    files = coordinate_files(copy / JOB)
    for name in NAMES:
        picked = read_coordinates(files[name])[[X, Y, FOM]].to_numpy()
        assert len(picked) > 5
        # files have six decimals, the page three of a pixel
        np.testing.assert_allclose(cut(ask(client, JOB, name).json(), 1), picked, atol=1e-3)


@pytest.mark.parametrize(
    ("threshold", "upper", "changed"),
    [
        (0, None, {}),
        (-0.5, 2.0, {}),
        (1.5, None, {"min_distance": 400}),
        (0.5, 3.0, {"min_diameter": 100, "max_diameter": 250, "max_resolution": 30}),
        (0.5, None, {"white_particles": True}),
        (-3, None, {"neighbour_percent": 50, "skip_side": 60}),
    ],
)
def test_any_threshold_keeps_what_picking_with_it_finds(client, copy, threshold, upper, changed):
    """A micrograph that is square, so that no noise is put around it."""
    options = {"min_diameter": 150, "max_diameter": 180, **changed}
    image = read_image(copy / NAMES[0]).data
    picks = pick_log(image, 3.54, **options, threshold_offset=threshold, upper_threshold=upper)
    found = cut(ask(client, STAR, **options).json(), threshold, np.inf if upper is None else upper)
    np.testing.assert_allclose(found, np.array([picks.x, picks.y, picks.fom]).T, atol=1e-3)
    assert len(found)


def test_maps_that_the_job_kept_are_used(client, copy):
    Project(copy).autopick(micrographs=STAR, min_diameter=150, max_diameter=180, write_fom_maps=True)
    job = "AutoPick/job004"
    want = ask(client, JOB).json()
    (copy / NAMES[0]).write_bytes(
        (copy / NAMES[0]).read_bytes()[:1024] + bytes(400 * 400 * 4)
    )  # no particles
    assert ask(client, job).json() == want
    assert ask(client, job, min_diameter=140).status_code == 400  # nothing is to be found there any more


def test_what_cannot_be_picked_says_why(client):
    for wrong in ({"min_diameter": -1}, {"min_diameter": 500}, {"nothing": 1}, {"max_resolution": "x"}):
        answer = ask(client, JOB, **wrong)
        assert answer.status_code == 400 and answer.json()["error"]
    assert ask(client, JOB, "Micrographs/none.mrc").status_code == 404
    assert "max_diameter" in ask(client, STAR).json()["error"]


def open_tuning(page, source=JOB):
    page.goto(re.match(r"http://[^/]+", page.url)[0] + f"/pick/{source}?name={NAMES[0]}")
    page.get_by_role("button", name="Try automatic picking").click()
    expect(page.locator(".tuning")).to_have_attribute("data-state", "ready")


def type_in(page, label, value):
    page.get_by_label(label, exact=True).fill(str(value))
    page.keyboard.press("Enter")


def test_thresholds_are_tried_live_and_used(page, copy):
    path = copy / "AutoPick/job001/Micrographs/micrograph_001_autopick.star"
    image = read_image(copy / NAMES[0]).data
    open_tuning(page)
    says = page.locator(".tuning .says")
    expect(says).to_contain_text(f"{len(read_coordinates(path))} of ")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    type_in(page, "Threshold", 2)
    wanted = pick_log(image, 3.54, min_diameter=150, max_diameter=180, threshold_offset=2)
    expect(says).to_contain_text(f"{len(wanted)} of ")
    page.get_by_label("Figure of merit, at least").press("End")
    expect(says).to_contain_text(re.compile("^[01] of "))
    page.get_by_label("Figure of merit, at least").press("Home")
    every = int(re.search(r"of (\d+)", says.inner_text())[1])
    expect(says).to_contain_text(f"{every} of {every} ")
    assert not [url for url in requests if "/api/picks" in url]  # thresholds ask the server nothing
    type_in(page, "Threshold", 2)
    type_in(page, "Min. distance", 400)
    sparse = pick_log(image, 3.54, min_diameter=150, max_diameter=180, threshold_offset=2, min_distance=400)
    assert len(sparse) < len(wanted)
    expect(says).to_contain_text(f"{len(sparse)} of ")
    assert "min_distance=400" in page.url and "tune=1" in page.url
    page.reload()
    expect(page.locator(".tuning .says")).to_contain_text(f"{len(sparse)} of ")
    page.get_by_role("button", name="Use for this micrograph").click()
    expect(page.locator(".picking .saved")).to_have_text("saved")
    found = read_coordinates(path)
    np.testing.assert_allclose(found[[X, Y, FOM]], np.array([sparse.x, sparse.y, sparse.fom]).T, atol=1e-3)
    assert (found["rlnClassNumber"] == 0).all() and (found["rlnAnglePsi"] == 0).all()
    page.keyboard.press("Control+z")
    expect(page.locator(".picking .count")).not_to_have_text(f"{len(sparse)} picks")


def test_tried_on_a_few_and_run_on_all(page, copy):
    open_tuning(page, STAR)
    type_in(page, "Min. diameter", 150)
    type_in(page, "Max. diameter", 180)
    type_in(page, "Threshold", 1.5)
    page.get_by_label("How many micrographs to try").fill("2")
    page.get_by_role("button", name="Try on the first").click()
    expect(page.locator(".tried")).to_have_attribute("data-state", "ready")
    counts = [int(text) for text in page.locator(".tried .count").all_inner_texts()]
    page.get_by_role("button", name="Run on all micrographs").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".command")).to_contain_text("--threshold-offset 1.5")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("AutoPick/job004", timeout=30_000)
    expect(page.locator(".status")).to_have_text("succeeded", timeout=60_000)
    files = coordinate_files(copy / "AutoPick/job004")
    picked = [len(read_coordinates(files[name])) for name in NAMES]
    assert counts == [*picked[:2], sum(picked[:2])]
