"""Jobs: what is said of them, the stream of what changes, thumbnails, alias, cancelling."""

import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import claim_log
from boxwood.web.changes import Watch, piece_of
from boxwood.web.revisions import revision
from boxwood.web.runs import FOLDER, Run, Runs


def test_a_job_tells_all_of_itself(client, copy):
    job = client.get("/api/job/Extract/job002").json()
    assert (job["name"], job["status"], job["kind"]) == ("Extract/job002", "Succeeded", "extract")
    assert job["inputs"] == ["micrographs_ctf.star", "AutoPick/job001/coords_suffix_autopick.star"]
    assert job["users"] == ["Class2D/job003"]
    assert job["command"].startswith("boxwood extract --micrographs micrographs_ctf.star")
    assert job["settings"]["box_size"] == 64
    assert job["pictures"] == ["Extract/job002/particles.png"]
    assert job["out"] == (copy / "Extract/job002/run.out").read_text()
    assert job["after"] == f"{(copy / 'Extract/job002/run.out').stat().st_size}-0"
    assert client.get("/api/job/Extract/job099").status_code == 404
    assert "its jobs: AutoPick/job001" in client.get("/api/job/Extract/job099").json()["error"]


def test_a_classification_has_classes_as_soon_as_they_are_written(client, copy):
    assert client.get("/api/job/Class2D/job003").json()["classes"]
    for path in (copy / "Class2D/job003").glob("run_it*_model.star"):
        path.unlink()
    assert not client.get("/api/job/Class2D/job003").json()["classes"]


def test_a_job_of_relion_is_shown_too(client, copy):
    (copy / "AutoPick/job001/.boxwood.json").unlink()
    job = client.get("/api/job/AutoPick/job001").json()
    assert (job["kind"], job["continues"]) == ("autopick", False)
    assert job["settings"]["min_diameter"] == "150"
    (copy / "AutoPick/job001/job.star").unlink()
    job = client.get("/api/job/AutoPick/job001").json()
    assert job["kind"] == "" and "nothing to run" in job["why"]


def test_pictures_of_jobs_and_nothing_else(client, copy):
    answer = client.get("/image/job/Extract/job002/particles.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == (copy / "Extract/job002/particles.png").read_bytes()
    for name in ("Extract/job002/particles.star", "Extract/job002/none.png", "Extract/job002/.boxwood.json"):
        assert client.get(f"/image/job/{name}").status_code == 404
    shutil.copy(copy / "Extract/job002/particles.png", copy.parent / "secret.png")
    (copy / "Extract/out").symlink_to(copy.parent)
    assert client.get("/image/job/Extract/out/secret.png").status_code == 403


@pytest.mark.parametrize("job", ["AutoPick/job001", "Extract/job002", "Class2D/job003"])
def test_thumbnails_show_something(client, job):
    answer = client.get(f"/image/thumbnail/{job}")
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert picture.shape[:2] == (120, 240)
    assert picture[..., 0].std() > 10


def test_no_thumbnail_where_there_is_nothing_to_see(client, copy):
    (copy / "Extract/job002/particles.star").unlink()
    assert client.get("/image/thumbnail/Extract/job002").status_code == 204
    (copy / "Class2D/job003/run_it003_model.star").write_text("half written")
    assert client.get("/image/thumbnail/Class2D/job003").status_code == 204


def test_an_alias_is_given_changed_and_taken_away(client, copy):
    def give(alias):
        return client.put("/api/job/AutoPick/job001/alias", json={"alias": alias})

    assert give("first try").json() == {"alias": "AutoPick/first_try/"}
    assert (copy / "AutoPick/first_try").resolve() == (copy / "AutoPick/job001").resolve()
    assert client.get("/api/job/AutoPick/first_try").json()["name"] == "AutoPick/job001"
    assert (copy / ".Nodes/2/AutoPick/first_try/coords_suffix_autopick.star").exists()
    assert not (copy / ".Nodes/2/AutoPick/job001").exists()
    give("better")
    assert not (copy / "AutoPick/first_try").is_symlink() and (copy / "AutoPick/better").is_symlink()
    assert give("better").status_code == 200
    assert give("").json() == {"alias": ""}
    assert [job.alias for job in ProjectFolder(copy).pipeline().jobs()] == ["", "", ""]
    assert not (copy / "AutoPick/better").is_symlink()
    assert (copy / ".Nodes/2/AutoPick/job001/coords_suffix_autopick.star").exists()
    for wrong in ("job7", "a/b", "../x", "x"):
        assert give(wrong).status_code == 400
    assert "nobody" not in give("$HOME").text


def test_only_a_running_job_is_cancelled(client, copy):
    answer = client.post("/api/job/Class2D/job003/cancel")
    assert answer.status_code == 400 and "is not running, it is succeeded" in answer.json()["error"]
    run_again(copy)
    assert client.post("/api/job/Class2D/job003/cancel").status_code == 200
    assert (copy / "Class2D/job003/RELION_JOB_ABORT_NOW").exists()


def test_a_job_that_died_is_said_to_be_lost(client, copy):
    assert client.post("/api/job/Class2D/job003/lost").status_code == 400
    run_again(copy)
    assert not client.get("/api/job/Class2D/job003").json()["lost"]
    os.utime(copy / "Class2D/job003/.boxwood.json", (1, 1))
    assert client.get("/api/job/Class2D/job003").json()["lost"]
    with claim_log(copy / "Class2D/job003"):
        assert not client.get("/api/job/Class2D/job003").json()["lost"]
    assert client.post("/api/job/Class2D/job003/lost").status_code == 200
    assert client.get("/api/job/Class2D/job003").json()["status"] == "Failed"
    assert ProjectFolder(copy).job("Class2D/job003").status == "Failed"


def run_again(copy, job="Class2D/job003/"):
    """Let a job look as if it were at work."""
    (copy / job / "RELION_JOB_EXIT_SUCCESS").unlink()
    (copy / job / ".boxwood.json").touch()  # it has just begun
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.set_status(job, "Running")


def test_a_page_is_told_what_is_new(workspace, copy):
    run_again(copy)
    log = copy / "Class2D/job003/run.out"
    log.write_text("one\nparticles: 3 of 12\n")
    watch = Watch(workspace, "Class2D/job003", ["micrographs_ctf.star"], "4-0")
    progress = {"text": "particles", "done": 3.0, "total": 12.0}
    now = {"status": "Running", "progress": progress, "lost": False, "out": "particles: 3 of 12\n", "err": ""}
    file = {"path": "micrographs_ctf.star", "revision": revision(copy / "micrographs_ctf.star")}
    assert list(watch.events()) == [("project", {}), ("job", now), ("file", file)]
    assert watch.position == "23-0"
    assert list(watch.events()) == []
    with log.open("a") as file:
        file.write("two\nthr")
    assert [(kind, data["out"]) for kind, data in watch.events()] == [("job", "two\n")]
    (copy / "micrographs_ctf.star").write_text("changed")
    (copy / "Class2D/job003/RELION_JOB_EXIT_FAILURE").touch()
    kinds = [kind for kind, _ in watch.events()]
    assert kinds == ["project", "job", "file"]
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.set_alias("AutoPick/job001/", "AutoPick/x/")
    assert [kind for kind, _ in watch.events()] == ["project"]


def test_a_page_is_told_how_far_all_jobs_are_that_run(workspace, copy):
    run_again(copy)
    (copy / "Class2D/job003/run.out").write_text("particles: 3 of 12\n")
    watch = Watch(workspace, "", [], progress=True)
    now = {"Class2D/job003": {"text": "particles", "done": 3.0, "total": 12.0}}
    assert list(watch.events()) == [("project", {}), ("progress", now)]
    assert list(watch.events()) == []
    with (copy / "Class2D/job003/run.out").open("a") as file:
        file.write("particles: 1e1 of 12\n")
    assert [data["Class2D/job003"]["done"] for _, data in watch.events()] == [10.0]


def test_the_end_of_a_long_log_is_enough(tmp_path):
    log = tmp_path / "run.out"
    log.write_text("a line of a log\n" * 100_000)
    text, offset = piece_of(log, 0)
    assert offset == log.stat().st_size
    assert 1000 < text.count("\n") < 20_000 and set(text.splitlines()) == {"a line of a log"}
    log.write_text("bar\r=bar\r==bar\nnext\r\n")
    assert piece_of(log, 0)[0] == "==bar\nnext\r\n"
    log.write_text("anew\n")
    assert piece_of(log, offset) == ("anew\n", 5)
    assert piece_of(tmp_path / "none", 7) == ("", 0)


@pytest.mark.parametrize("query", [{"job": "Extract/job099"}, {"file": "../x"}, {"job": "../../etc"}])
def test_the_stream_refuses_what_is_not_there_or_outside(client, query):
    assert client.get("/api/live", params=query).status_code in (400, 403, 404)


def test_what_a_run_says_is_understood_piece_by_piece(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("")
    run = Run(path, "")
    program = path.open("a")
    fcntl.flock(program, fcntl.LOCK_EX)

    def say(*events, end="\n"):
        program.write("\n".join(json.dumps(event) for event in events) + end)
        program.flush()
        run.update()

    say({"event": "command", "text": "boxwood autopick"})
    assert (run.command, run.begun) == ("boxwood autopick", False)
    say({"event": "start", "output": "AutoPick/job001/", "text": "autopick …"})
    say({"event": "progress", "done": 1, "total": 4, "text": "micrographs"}, end="")
    assert run.job == "AutoPick/job001/" and run.progress == {}  # the line is not whole yet
    say(end="\n")
    assert run.progress == {"AutoPick/job001/": {"done": 1, "total": 4, "text": "micrographs"}}
    say({"event": "error", "text": "no"})
    assert (run.error, run.ended) == ("no", False)
    say({"event": "end", "output": "AutoPick/job001/", "status": "Failed"})
    assert (run.error, run.ended) == ("no", True)
    program.close()


def test_a_run_of_several_jobs_is_none_of_them(tmp_path):
    path = tmp_path / "r.jsonl"
    events = [
        {"event": "start", "output": "./", "text": ""},
        {"event": "start", "output": "AutoPick/job001/", "text": "autopick"},
        {"event": "progress", "done": 1, "total": 4, "text": "micrographs"},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    run = Run(path, "")
    run.update()
    assert (run.job, run.begun, run.text) == ("", True, "autopick")
    assert run.progress["AutoPick/job001/"]["done"] == 1


def test_a_later_server_knows_what_an_earlier_one_started(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    lines = [{"event": "command", "text": "boxwood x"}, {"event": "error", "text": "no such file"}]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    runs = Runs(tmp_path)
    assert [(run["command"], run["error"]) for run in runs.summary()] == [("boxwood x", "no such file")]
    runs.forget("a")
    assert runs.summary() == [] and not list(folder.iterdir())


def test_a_run_that_died_without_a_word_is_known_to_have_by_a_later_server(tmp_path, monkeypatch):
    """It was killed, and its server with it; as long as it lives, a later server shows it as running."""
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda words, **settings: popen(sleeper, **settings))
    program = Runs(tmp_path).start(["run"]).process
    try:
        later = Runs(tmp_path)
        assert [(run["command"], run["ended"]) for run in later.summary()] == [("boxwood run", False)]
        program.kill()
        program.wait()
        (shown,) = later.summary()
        assert (shown["ended"], shown["error"]) == (True, "its program ended without a word")
        later.forget(shown["id"])
        assert later.summary() == [] and not list((tmp_path / FOLDER).iterdir())
    finally:
        program.kill()
        program.wait()


def test_the_end_of_one_of_several_jobs_is_not_the_end_of_the_run(tmp_path):
    events = [
        {"event": "start", "output": "./", "text": ""},
        {"event": "start", "output": "AutoPick/job001/", "text": "autopick"},
        {"event": "end", "output": "AutoPick/job001/", "status": "Succeeded"},
    ]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    with path.open("a") as program:
        fcntl.flock(program, fcntl.LOCK_EX)
        run = Run(path, "")
        run.update()
        assert not run.ended
    run.update()
    assert run.ended and "without a word" in run.error


def test_what_an_ended_run_has_said_is_not_read_again(tmp_path, monkeypatch):
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"event": "command", "text": "boxwood x"}\n')
    runs = Runs(tmp_path)
    first = runs.summary()
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("the file was opened again"))
    assert runs.summary() == first and first[0]["ended"]
