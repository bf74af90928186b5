"""No file outside the project is read or written, however it is named."""

import pytest

from boxwood.web.inside import OutsideError, inside


@pytest.fixture
def root(tmp_path):
    root = tmp_path.resolve() / "project"
    (root / "Micrographs").mkdir(parents=True)
    (root.parent / "projects").mkdir()
    (root / "linked").symlink_to(root.parent / "projects")
    (root / "here").symlink_to(root / "Micrographs")
    return root


NAMES = [
    *("..", "../x", "Micrographs/../../x", "/etc/passwd", "linked", "linked/a.mrc", "here/../../x"),
    *("../projects", "Micrographs/\0", "linked/../project/../x"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_leads_out_is_refused(root, name):
    with pytest.raises(OutsideError):
        inside(root, name)


def test_paths_of_the_project_are_resolved(root):
    assert inside(root, "here/a.mrc") == root / "Micrographs/a.mrc"
    assert inside(root, "Micrographs/../b.star") == root / "b.star"
    assert inside(root, str(root / "c.star")) == root / "c.star"


def test_further_folders_may_be_read_if_they_were_named(root):
    data = root.parent / "projects"
    assert inside(root, "linked/a.mrc", [data]) == data / "a.mrc"
    with pytest.raises(OutsideError):
        inside(root, "../other/a.mrc", [data])


@pytest.mark.parametrize(
    "address",
    [
        *("/image/micrograph", "/api/micrograph", "/image/tile", "/image/stack"),
        *("/image/filtered", "/api/filtered"),
    ],
)
@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.mrc", "out/secret.mrc", "1@../secret.mrc"])
def test_no_picture_of_a_file_outside(client, copy, address, name):
    (copy / "out").symlink_to(copy.parent)
    source = copy / "Micrographs/micrograph_001.mrc"
    (copy.parent / "secret.mrc").write_bytes(source.read_bytes())
    if address == "/image/stack":
        name = name.removeprefix("1@")  # it asks for images by number
    answer = client.get(address, params={"name": name})
    assert answer.status_code == 403
    assert "leads out of the project" in answer.json()["error"]


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "views/../../app.py"]
)
def test_static_files_stay_in_their_folder(client, name):
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404 or "def make_app" not in answer.text
