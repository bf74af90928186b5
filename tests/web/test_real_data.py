"""Real micrographs, picked as a user would do it; they lie on another disk."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from boxwood.web.workspace import Workspace

pytestmark = pytest.mark.data


@pytest.fixture
def apoferritin(make_apoferritin, tmp_path):
    return make_apoferritin(tmp_path / "apoferritin", 8)


@pytest.mark.parametrize("name", ["relion31_project", "relion5_project"])
def test_projects_of_relion_are_shown(shared_data, new_client, monkeypatch, name):
    monkeypatch.chdir(shared_data / "formats" / name)
    with new_client(workspace := Workspace(Path())) as client:
        client.get("/", params={"token": workspace.keys.new_token()})
        jobs = client.get("/api/project").json()["jobs"]
        assert len(jobs) >= 8
        kinds = set()
        for job in jobs:
            shown = client.get(f"/api/job/{job['name']}").json()
            assert shown["kind"] or shown["why"]
            kinds.add(shown["kind"])
            if shown["kind"]:
                form = client.get(f"/api/form/{shown['kind']}", params={"like": job["name"]})
                assert form.status_code == 200 and form.json()["values"]
            assert client.get(f"/image/thumbnail/{job['name']}").status_code in (200, 204)
        assert kinds > {"select-micrographs", "extract", "class2d"}
    workspace.pool.shutdown()


def test_apoferritin_is_picked_and_seen(apoferritin, shared_data, start_server, new_page):
    page = new_page(start_server(apoferritin, "--data", str(shared_data)))
    page.get_by_role("link", name="start a job").click()
    page.get_by_role("link", name="autopick pick particles").click()
    expect(page.get_by_label("Micrographs*")).to_have_value("micrographs.star")
    page.get_by_role("tab", name="Laplacian").click()
    page.get_by_label("Min diameter").fill("95")
    page.get_by_label("Max diameter").fill("115")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("AutoPick/job001")
    expect(page.locator(".state")).to_contain_text("succeeded")
    expect(page.locator("pre.log").last).to_contain_text("picked on 8 micrographs")
    page.keyboard.press("h")
    picture = page.locator("[data-job='AutoPick/job001'] img")
    expect(picture).to_be_visible()
    assert picture.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 240
