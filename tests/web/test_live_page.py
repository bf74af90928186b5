"""A live job on the page: what has come, picks, classes, and the button that finishes it."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

import boxwood
from boxwood.io.coordinates import read_coordinates
from boxwood.io.particles import MicrographSet
from boxwood.jobs.api import Project
from boxwood.jobs.live.run import FINISH

JOB = "Class2D/job004"
STAR = "micrographs_ctf.star"
OPTIONS = {
    **{"min_diameter": 150, "max_diameter": 180, "threshold_offset": 1, "box_size": 64, "rescale": 32},
    **{"classes": 2, "begin_with": 12, "mini_batches": 10, "psi_step": 30, "offset_range": 1},
    **{"settle": 0, "poll": 0.2},
}


@pytest.fixture
def ended(copy):
    """A project whose live job has ended; the last of its four micrographs never came."""
    micrographs = MicrographSet.read(copy / STAR)
    more = micrographs.table.iloc[[0]].assign(rlnMicrographName="Micrographs/never.mrc")
    micrographs.table = pd.concat([micrographs.table, more], ignore_index=True)
    micrographs.write(copy / STAR)
    Project(copy, threads=2).live(micrographs=STAR, stop_after=0, **OPTIONS)
    return copy


def test_what_the_routes_tell(ended, client):
    found = client.get(f"/api/arrivals/{JOB}").json()
    assert (found["job"], found["status"], found["state"]) == (JOB, "Succeeded", "ended")
    assert found["micrographs"] == len(found["recent"]) == 3 and found["queue"] == 0
    assert found["particles"] == sum(one["particles"] for one in found["recent"]) > 12
    assert [(one["name"], one["state"]) for one in found["left_out"]] == [("Micrographs/never.mrc", "listed")]
    name = found["recent"][-1]["name"]
    picks = client.get(f"/api/arrivals/{JOB}/picks", params={"name": name}).json()
    table = read_coordinates(ended / JOB / Path(name).with_name(f"{Path(name).stem}_autopick.star"))
    assert picks["x"] == pytest.approx(table["rlnCoordinateX"].tolist(), abs=0.06)
    assert (picks["width"], picks["height"]) == (400, 400)
    assert picks["diameter"] == pytest.approx(165 / 3.54)


def test_what_is_no_live_job_is_refused(client):
    answer = client.get("/api/arrivals/Class2D/job003")
    assert answer.status_code == 404 and "it is no live job" in answer.json()["error"]
    assert client.post("/api/arrivals/Class2D/job003/finish", json={}).status_code == 404


def test_a_job_that_has_ended_cannot_finish(ended, client):
    answer = client.post(f"/api/arrivals/{JOB}/finish", json={})
    assert answer.status_code == 400 and "is not running, it is succeeded" in answer.json()["error"]
    assert not (ended / JOB / FINISH).exists()


def test_an_iteration_that_comes_late_does_not_replace_the_one_chosen_now(
    ended, start_server, new_page, visit, hold
):
    page = new_page(start_server(ended))
    visit(page, f"/live/{JOB}")
    averages = page.locator(".averages img")
    last = int(page.locator(".control output").inner_text().split()[-1])
    expect(averages).to_have_attribute("alt", re.compile(f"of iteration {last},"))
    late = re.compile(f"iteration={last}$")
    with hold(page, late):
        with page.expect_request(late):
            page.keyboard.press("f")
        page.get_by_label("Iteration").press("ArrowLeft")
        expect(averages).to_have_attribute("alt", re.compile(f"of iteration (?!{last},)"))
    expect(averages).to_have_attribute("alt", re.compile(f"of iteration (?!{last},)"))


def test_it_is_watched_and_finished(copy, page, visit):
    """Two micrographs are there at first, the third comes while the page looks on."""
    micrographs = MicrographSet.read(copy / STAR)
    micrographs.select(slice(2)).write(copy / STAR)
    words = [
        f"--{name.replace('_', '-')}={value}" for name, value in {"micrographs": STAR, **OPTIONS}.items()
    ]
    environment = {"PYTHONPATH": str(Path(boxwood.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "boxwood", "live", *words, "--threads", "1"]
    process = subprocess.Popen(command, cwd=copy, env=environment, stdout=subprocess.DEVNULL)
    try:
        fact = page.locator(".facts div")
        expect(page.locator(f"[data-job='{JOB}']")).to_be_visible()
        visit(page, f"/job/{JOB}")
        page.get_by_role("link", name="See it live").click()
        expect(fact.filter(has_text="micrographs").locator("dd")).to_have_text("2")
        expect(page.locator(".picked circle").first).to_be_attached()
        before = page.locator(".micrograph figcaption").inner_text()
        micrographs.write(copy / STAR)
        expect(fact.filter(has_text="micrographs").locator("dd")).to_have_text("3")
        expect(page.locator(".micrograph figcaption")).not_to_have_text(before)
        expect(page.locator(".averages img")).to_be_visible()
        page.get_by_role("button", name="Finish").click()
        expect(page.locator(".state")).to_contain_text("succeeded")
        expect(page.get_by_role("button", name="Finish")).to_be_hidden()
    finally:
        process.terminate()
        process.wait()
    last = max(int(path.name[6:9]) for path in (copy / JOB).glob("run_it*_model.star"))
    expect(page.locator(".averages img")).to_have_attribute("alt", re.compile(f"of iteration {last},"))
    page.get_by_label("Iteration").press("ArrowLeft")
    expect(page.locator(".averages img")).to_have_attribute("alt", re.compile(f"of iteration (?!{last},)"))
