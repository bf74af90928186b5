"""Automatic picking, tried on the page: what it shows is what the job picks."""

import re
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_image
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project
from boxwood.picking import pick_log
from boxwood.web import adaptive_tuning

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
    expect(page).to_have_url(re.compile("tune=1.*min_distance=400"))
    page.reload()
    expect(page.locator(".tuning .says")).to_contain_text(f"{len(sparse)} of ")
    page.get_by_role("button", name="Use for this micrograph").click()
    expect(page.locator(".picking .saved")).to_have_text("saved")
    found = read_coordinates(path)
    np.testing.assert_allclose(found[[X, Y, FOM]], np.array([sparse.x, sparse.y, sparse.fom]).T, atol=1e-3)
    assert (found["rlnClassNumber"] == 0).all() and (found["rlnAnglePsi"] == 0).all()
    page.keyboard.press("Control+z")
    expect(page.locator(".picking .count")).not_to_have_text(f"{len(sparse)} picks")


def run_form(page):
    """Go to the form that "Run on all micrographs" opens, and return its command line."""
    page.get_by_role("button", name="Run on all micrographs").click()
    expect(page.locator("h1")).to_have_text("New job: autopick")
    expect(page.locator(".command")).to_contain_text("boxwood autopick")
    return page.locator(".command").inner_text()


def tried_on_two(page):
    page.get_by_label("How many micrographs to try").fill("2")
    page.get_by_role("button", name="Try on the first").click()
    expect(page.locator(".tried")).to_have_attribute("data-state", "ready")
    return [int(text) for text in page.locator(".tried .count").all_inner_texts()]


def learn_at_once(page, many, hold):
    """Press "Learn" in the moment in which the number before it is taken over; its answer comes late."""
    with hold(page, re.compile("api/picks/model"), lambda request: request.post_data_json["start"]):
        page.get_by_label("Learn from", exact=True).evaluate(
            """(input, many) => {
                input.value = many;
                input.dispatchEvent(new Event("change", { bubbles: true }));
                document.querySelector(".learning button.main").click();
            }""",
            many,
        )
        page.wait_for_timeout(300)


def test_a_setting_that_is_remembered_late_leaves_the_address_of_the_next_view(page):
    open_tuning(page, JOB)
    page.get_by_label("Figure of merit, at least").evaluate(
        """(slider) => {
            slider.value = 500;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            document.querySelector(".tuning .run").click();
        }"""
    )
    expect(page.locator("h1")).to_have_text("New job: autopick")
    page.wait_for_timeout(300)
    expect(page).to_have_url(re.compile("/new/autopick"))


def test_methods_are_tried_on_a_few_and_run_on_all(page, copy, hold):
    open_tuning(page, STAR)
    type_in(page, "Min. diameter", 150)
    type_in(page, "Max. diameter", 180)
    type_in(page, "Threshold", 1.5)
    assert len(tried_on_two(page)) == 3
    assert "--threshold-offset 1.5" in run_form(page)
    page.go_back()
    page.get_by_label("Method").select_option("adaptive")
    learn_at_once(page, 2, hold)
    says = page.locator(".tuning > .says")
    expect(says).to_contain_text("peaks")
    usual = int(says.inner_text().split()[0])
    slider = page.get_by_label("Max. local FDR, slider")
    slider.fill("1000")  # its end, where every peak is let pass
    expect(says).to_contain_text(re.compile(r"^(\d+) of \1 "))
    slider.fill("0")
    expect(page.get_by_label("Max. local FDR", exact=True)).to_have_value("0.01")
    expect(says).not_to_contain_text(re.compile(r"^(\d+) of \1 "))
    counts = tried_on_two(page)
    assert f"{counts[0]} of " in says.inner_text() and 0 < counts[0] <= usual
    command = run_form(page)
    for words in ("--method adaptive", "--min-diameter 150.0", "--learn-from 2", "--max-local-fdr 0.01"):
        assert words in command
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("AutoPick/job004")
    expect(page.locator(".state")).to_contain_text("succeeded")
    files = coordinate_files(copy / "AutoPick/job004")
    picked = [len(read_coordinates(files[name])) for name in NAMES[:2]]
    assert counts == [*picked, sum(picked)]


# --- the adaptive method --------------------------------------------------------------------------------

ADAPTIVE = {"method": "adaptive", "min_diameter": 150, "max_diameter": 180}
RATE = "boxwoodLocalFdr"


def learn(client, source=STAR, start=True, **content):
    """How far learning is, once it has ended if it was begun."""
    while True:
        where, body = {"source": source}, {"content": content, "start": start}
        found = client.post("/api/picks/model", params=where, json=body).json()
        if found.get("state") != "learning":
            return found
        time.sleep(0.05)


def agree(peaks, job, rate):
    """Whether the page, at this false-discovery rate, keeps what the job has picked."""
    picked = read_coordinates(job)[[X, Y, FOM, RATE]].to_numpy()
    table = np.array([peaks["x"], peaks["y"], peaks["fom"], peaks["rate"]]).T
    np.testing.assert_allclose(table[table[:, 3] <= rate], picked, atol=1e-3)
    return len(picked)


def test_what_was_learned_to_be_tried_picks_as_the_job_does(client, copy):
    assert learn(client, start=False, **ADAPTIVE) == {"state": "none"}
    assert "nothing is learned" in ask(client, STAR, **ADAPTIVE).json()["error"]
    model = learn(client, **ADAPTIVE)
    assert model["state"] == "ready" and model["convincing"] and model["model"] == ""
    numbers, learned = [], {}
    for rate, settings in ((1.0, {}), (0.02, {"min_distance": 250.0})):
        told = {**ADAPTIVE, **settings, **learned, "max_local_fdr": rate}
        job = Project(copy).autopick(micrographs=STAR, **told).output.relative_to(copy)
        learned = {"model": f"{job}/picking_model.star"}  # once is enough
        path = coordinate_files(job)[NAMES[0]]
        numbers.append(agree(ask(client, STAR, **ADAPTIVE, **settings).json(), path, rate))
        its = learn(client, str(job), start=False, method="adaptive")  # its own model is there
        assert its == {**model, **learned, "diameter": pytest.approx(model["diameter"])}
        agree(ask(client, job, method="adaptive").json(), path, rate)
    assert numbers[0] > numbers[1] > 3
    other = {"start": False, "method": "adaptive", "min_diameter": 100, "max_diameter": 120}
    assert learn(client, str(job), **other) == {"state": "none"}


def test_learning_is_cancelled(client, monkeypatch):
    monkeypatch.setattr(adaptive_tuning, "learn_with", endless)
    where = {"params": {"source": STAR}}
    body = {"content": ADAPTIVE, "start": True}
    while (found := client.post("/api/picks/model", **where, json=body).json())["done"] < 0.5:
        assert found["state"] == "learning"
    assert client.get("/api/project").status_code == 200  # which does not wait for it
    assert client.post("/api/picks/model/cancel", **where, json=body).status_code == 200
    assert learn(client, start=False, **ADAPTIVE) == {"state": "none"}
    assert client.post("/api/picks/model/cancel", **where, json=body).status_code == 400
    monkeypatch.setattr(adaptive_tuning, "learn_with", lambda *_: None)
    assert learn(client, **ADAPTIVE) == {"state": "nothing"}  # the other one has left the thread


def endless(options, images, pixel_sizes, threads, told):
    while True:
        told(0.5)


def test_what_cannot_be_learned_says_why(client):
    assert "max_diameter" in learn(client, method="adaptive", min_diameter=100)["error"]
    table = read_star(STAR)
    table["optics"] = table["optics"].drop(
        columns=["rlnMicrographPixelSize", "rlnMicrographOriginalPixelSize"], errors="ignore"
    )
    write_star("bare.star", table)
    assert "pixel size; give it" in learn(client, "bare.star", **ADAPTIVE)["error"]
