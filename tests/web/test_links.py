"""Files of jobs that are links out of the project: nothing of what they lead to is read or shown."""

import os
import shutil
import sys

import pytest

from boxwood.io.selection import write_selection
from boxwood.project.folder import ProjectFolder
from boxwood.web.cache import Cache
from boxwood.web.changes import Watch
from boxwood.web.inside import OutsideError
from boxwood.web.jobs import progress_of

JOBS = ("AutoPick/job001", "Extract/job002", "Class2D/job003")
PICKED = "Micrographs/micrograph_001.mrc"
# Every address that reads files of a job.
ADDRESSES = [
    "/api/project",
    *(f"/api/job/{job}" for job in JOBS),
    *(f"/image/thumbnail/{job}" for job in JOBS),
    "/image/job/Extract/job002/particles.png",
    "/api/form/extract?like=Extract/job002",
    "/api/form/class2d?continue=Class2D/job003",
    *(f"/api/particles/of/{job}" for job in JOBS),
    "/api/particles?name=Extract/job002/particles.star",
    "/api/particles/order?name=Extract/job002/particles.star",
    "/api/particles/row?name=Extract/job002/particles.star&row=0",
    "/image/particles?name=Extract/job002/particles.star",
    "/api/particles?name=Class2D/job003/run_it003_data.star",
    *(f"/api/classes/{what}/Class2D/job003" for what in ("run", "convergence", "iteration", "selection")),
    "/image/stack?name=Class2D/job003/run_it003_classes.mrcs",
    "/api/picks?source=AutoPick/job001",
    f"/api/picks/coordinates?source=AutoPick/job001&name={PICKED}",
    "/api/picks?source=Extract/job002",
]
# Those that only name files, or ask when they were changed.
UNOPENED = ("/api/project", "/api/particles/of/", "/api/classes/run/")
_opened = []
_watching = False


def _note(event, arguments):
    if _watching and event == "open" and isinstance(arguments[0], str | bytes):
        _opened.append(os.path.realpath(os.fsdecode(arguments[0])))


@pytest.fixture(scope="module")
def hook():
    sys.addaudithook(_note)  # for the life of the process, so it listens only when it is asked to


@pytest.fixture
def opened(hook):
    """A function that does something and returns which files that opened, links resolved."""

    def watch(action):
        global _watching
        _opened.clear()
        _watching = True
        try:
            result = action()
        finally:
            _watching = False
        return result, list(_opened)

    return watch


@pytest.fixture
def linked(copy):
    """A function that puts a file elsewhere and a link in its place; returns where it went."""

    def link(name):
        outside = copy.parent / "elsewhere" / name
        outside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(copy / name, outside)
        (copy / name).symlink_to(outside)
        return outside

    return link


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_file_of_a_job_is_read_through_a_link_that_leads_out(
    client, workspace, copy, linked, opened, address
):
    def ask():
        workspace.pictures = Cache()
        return client.get(address)

    for place in (
        "/api/particles/marks?name=Extract/job002/particles.star",
        "/api/classes/selection/Class2D/job003",
    ):
        assert client.put(place, json={"revision": "none", "content": [1]}).status_code == 200
    answer, files = opened(ask)
    assert answer.status_code in (200, 204)
    used = {os.path.relpath(file, copy) for file in files if file.startswith(f"{copy.resolve()}/")}
    used = sorted(file for file in used if file.startswith(JOBS))
    for name in used:
        outside = linked(name)
        answer, files = opened(ask)
        (copy / name).unlink()
        shutil.move(outside, copy / name)
        leaked = [file for file in files if file.startswith(f"{copy.parent.resolve()}/elsewhere/")]
        assert leaked == [], name
        # 400: whether it is a job of that kind cannot be told
        assert answer.status_code in (200, 204, 400, 403), (name, answer.text)
        assert answer.status_code < 400 or "leads out of the project" in answer.json()["error"]
    assert used or address.startswith(UNOPENED)


def test_no_log_is_told_live_through_a_link_that_leads_out(client, workspace, copy, linked):
    watch = Watch(workspace, "Extract/job002", [])
    assert "out" in dict(watch.events())["job"]
    linked("Extract/job002/run.out").write_text("secret\n")
    with pytest.raises(OutsideError, match=r"run\.out"):
        list(watch.events())
    answer = client.get("/api/live", params={"job": "Extract/job002"})
    assert answer.status_code == 403 and "run.out leads out" in answer.json()["error"]


def test_progress_is_not_read_through_a_link_that_leads_out(workspace, linked):
    outside = linked("Extract/job002/run.out")
    outside.write_text("secret: 3 of 12\n")
    assert progress_of(workspace, "Extract/job002/") is None
    workspace.data = (outside.parent,)
    assert progress_of(workspace, "Extract/job002/")["text"] == "secret"


def test_a_link_to_a_folder_that_was_named_is_followed(workspace, client, linked):
    outside = linked("Extract/job002/run.out")
    assert client.get("/api/job/Extract/job002").status_code == 403
    workspace.data = (outside.parent,)
    assert client.get("/api/job/Extract/job002").json()["out"] == outside.read_text()


def test_a_selection_of_another_job_is_not_read_through_a_link_that_leads_out(client, copy, linked):
    name = "Select/job004/backup_selection.star"
    (copy / name).parent.mkdir(parents=True)
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.add_process("Select/job004/", 7, "Select", "Succeeded")
        pipeline.add_input("Select/job004/", "Class2D/job003/run_it003_model.star", "class_averages")
    write_selection(copy / name, [1, 0])
    address = "/api/classes/selection/Class2D/job003"
    assert client.get(address).json()["saved"] == [{"job": "Select/job004", "selected": [0]}]
    linked(name)
    answer = client.get(address)
    assert answer.status_code == 403 and "backup_selection.star leads out" in answer.json()["error"]
