"""Who saves what somebody else has changed is told so, and nothing is overwritten."""

import threading

import pytest

from boxwood.web.revisions import ABSENT, ConflictError, revision, save


def test_a_revision_is_that_of_the_contents(tmp_path):
    one, other = tmp_path / "a", tmp_path / "b"
    assert revision(one) == ABSENT
    one.write_text("x")
    first = revision(one)
    one.write_text("y")
    assert revision(one) != first
    one.write_text("x")
    assert revision(one) == first
    assert revision(one, other) != first
    other.write_text("")
    assert len({revision(one), revision(one, other), revision(other)}) == 3


def test_the_second_of_two_that_save_is_refused(tmp_path):
    path = tmp_path / "a.star"
    read = revision(path)
    first = save(read, lambda: path.write_text("first"), path)
    with pytest.raises(ConflictError, match=r"a\.star was saved by somebody else") as conflict:
        save(read, lambda: path.write_text("second"), path)
    assert path.read_text() == "first"
    assert conflict.value.revision == first == revision(path)
    save(conflict.value.revision, lambda: path.write_text("second"), path)
    assert path.read_text() == "second"


def test_of_many_at_once_one_wins(tmp_path):
    path, results = tmp_path / "a", []
    begun = threading.Barrier(8)

    def attempt(number):
        begun.wait()
        try:
            results.append(save(ABSENT, lambda: path.write_text(str(number)), path))
        except ConflictError:
            results.append(None)

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is not None for result in results) == 1


def test_the_note_of_a_job(client, copy):
    path = copy / "AutoPick/job001/note.txt"
    job = client.get("/api/job/AutoPick/job001").json()
    assert job["note"] == path.read_text()
    saved = client.put(
        "/api/job/AutoPick/job001/note", json={"revision": job["note_revision"], "content": "ä\n"}
    )
    assert saved.status_code == 200 and path.read_text() == "ä\n"
    late = client.put(
        "/api/job/AutoPick/job001/note", json={"revision": job["note_revision"], "content": "b"}
    )
    assert late.status_code == 409
    assert late.json()["revision"] == saved.json()["revision"]
    assert path.read_text() == "ä\n"
