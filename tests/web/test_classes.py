"""What the page is told of 2D classifications: iterations, classes, convergence, and selections."""

import shutil

import numpy as np
import pytest

from boxwood.io.selection import read_selection, write_selection
from boxwood.io.star import read_star
from boxwood.jobs.saved_iteration import read_iteration
from boxwood.web.classes import iterations

JOB = "Class2D/job003"


def test_iterations_are_those_whose_averages_are_there(client, copy, workspace):
    run = client.get(f"/api/classes/run/{JOB}").json()
    assert run == {"job": JOB, "status": "Succeeded", "iterations": [0, 1, 2, 3]}
    (copy / JOB / "run_it002_classes.mrcs").unlink()
    for path in (copy / JOB).glob("run_it003_*"):  # RELION's names after it has gone on with a run
        shutil.copy(path, path.with_name(path.name.replace("run_it003", "run_ct1_it003")))
    found = iterations(workspace, f"{JOB}/")
    assert [each.number for each in found] == [0, 1, 3]
    assert found[-1].stem == f"{JOB}/run_ct1_it003"
    assert client.get("/api/classes/run/Extract/job002").json()["iterations"] == []
    assert client.get("/api/classes/run/Class2D/job099").status_code == 404


def test_classes_are_told_as_their_files_have_them(client, copy):
    found = client.get(f"/api/classes/iteration/{JOB}").json()
    assert found["iteration"] == 3
    saved = read_iteration(copy / JOB / "run_it003_model.star")
    classes = found["classes"]
    assert classes["share"] == saved.classes["rlnClassDistribution"].tolist()
    np.testing.assert_allclose(classes["resolution"], saved.classes["rlnEstimatedResolution"], rtol=1e-6)
    np.testing.assert_allclose(classes["score"], saved.scores().score, atol=5e-5)
    numbers = saved.particles.table["rlnClassNumber"]
    assert classes["size"] == [(numbers == 1).sum(), (numbers == 2).sum()]
    assert client.get(f"/api/classes/iteration/{JOB}?iteration=1").json()["iteration"] == 1
    gone = client.get(f"/api/classes/iteration/{JOB}?iteration=9")
    assert gone.status_code == 404 and "no iteration 9" in gone.json()["error"]
    none = client.get("/api/classes/iteration/Extract/job002")
    assert none.status_code == 404 and "no class averages yet" in none.json()["error"]


def test_convergence_is_read_from_the_files_of_every_iteration(client, copy):
    rows = client.get(f"/api/classes/convergence/{JOB}").json()
    assert [row["iteration"] for row in rows] == [1, 2, 3]
    for row in rows:
        stem = copy / JOB / f"run_it{row['iteration']:03d}"
        model = read_star(f"{stem}_model.star")
        optimiser = read_star(f"{stem}_optimiser.star")["optimiser_general"]
        ours = read_star(f"{stem}_optimiser.star")["boxwood_convergence"].iloc[-1]
        assert row["log_likelihood"] == pytest.approx(ours["bwLogLikelihood"]) and row["per_particle"]
        assert row["largest_probability"] == pytest.approx(model["model_general"]["rlnAveragePmax"], rel=1e-5)
        assert row["changed_classes"] == pytest.approx(optimiser["rlnChangesOptimalClasses"])
        assert row["classes"] == pytest.approx(ours["bwEffectiveClasses"], abs=1e-3)
        assert row["largest"] == pytest.approx(ours["bwLargestClass"], abs=1e-6)


def test_runs_of_relion_5_are_shown_too(client, copy, shared_data):
    shutil.copytree(shared_data / "bgal10204/relion5_class2d", copy / JOB, dirs_exist_ok=True)
    run = client.get(f"/api/classes/run/{JOB}").json()
    assert run["iterations"][-1] == 25
    rows = client.get(f"/api/classes/convergence/{JOB}").json()
    seventh = next(row for row in rows if row["iteration"] == 7)
    assert seventh["resolution"] == pytest.approx(20.59636)
    assert seventh["log_likelihood"] == pytest.approx(1.078799e07) and not seventh["per_particle"]
    assert seventh["changed_classes"] is None  # its optimiser was not kept
    last = client.get(f"/api/classes/iteration/{JOB}").json()
    assert len(last["classes"]["share"]) == 50 and None in last["classes"]["accuracy_psi"]
    assert sum(last["classes"]["size"]) == 2374
    without = client.get(f"/api/classes/iteration/{JOB}?iteration=7").json()
    assert without["particles"] == "" and set(without["classes"]["size"]) == {None}


def test_an_iteration_that_is_half_written_stops_nothing(client, copy):
    (copy / JOB / "run_it002_model.star").write_text("data_model_general\n\n_rlnPixelSize 3\n")
    assert [row["iteration"] for row in client.get(f"/api/classes/convergence/{JOB}").json()] == [1, 3]
    answer = client.get(f"/api/classes/iteration/{JOB}?iteration=2")
    assert answer.status_code == 400 and "is not the model" in answer.json()["error"]


def test_a_selection_of_classes_is_kept_for_its_iteration(client, copy):
    address = f"/api/classes/selection/{JOB}"
    first = client.get(address).json()
    assert (first["selected"], first["saved"], first["revision"]) == ([], [], "none")
    done = client.put(address, json={"revision": "none", "content": [1]})
    assert done.status_code == 200
    assert read_selection(copy / first["selection"], 2).tolist() == [False, True]
    assert client.get(address).json()["selected"] == [1]
    assert client.get(f"{address}?iteration=1").json()["selected"] == []
    assert client.put(address, json={"revision": "none", "content": [0]}).status_code == 409
    body = {"revision": done.json()["revision"], "content": [2]}
    assert "no row 2" in client.put(address, json=body).json()["error"]


def test_a_selection_of_another_number_of_classes_counts_for_nothing(client, copy):
    write_selection(copy / JOB / "run_it003_model_selection.star", [1, 0, 1])
    address = f"/api/classes/selection/{JOB}"
    found = client.get(address).json()
    assert found["selected"] == [] and "a selection of 3 rows, but there are 2" in found["problem"]
    assert client.put(address, json={"revision": found["revision"], "content": [1]}).status_code == 200
    again = client.get(address).json()
    assert (again["selected"], again["problem"]) == ([1], "")
