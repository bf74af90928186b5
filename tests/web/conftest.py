"""The page of a small project: by requests in this process, as a server, and in a real browser.

A test of a view asks for `page`, which is logged in to a server that shows the project in `copy`.
"""

from contextlib import contextmanager

import browsing
import pandas as pd
import pytest

pytest.importorskip("starlette", reason="needs pip install 'boxwood[ui]'")
from starlette.testclient import TestClient

from boxwood.io.particles import MicrographSet
from boxwood.web.app import make_app
from boxwood.web.workspace import Workspace

PORT = 8000


@pytest.fixture
def workspace(copy, monkeypatch):
    """The project in `copy`, as the server sees it."""
    monkeypatch.chdir(copy)
    workspace = Workspace(copy)
    yield workspace
    workspace.close()


@pytest.fixture
def new_client():
    """A function that makes a client of a workspace's application, which has not logged in."""

    def make(workspace):
        address = f"http://127.0.0.1:{PORT}"
        return TestClient(make_app(workspace), base_url=address, headers={"origin": address})

    return make


@pytest.fixture
def stranger(workspace, new_client):
    """A client of the application that has not logged in."""
    with new_client(workspace) as client:
        yield client


@pytest.fixture
def other(workspace, new_client):
    """Another one."""
    with new_client(workspace) as client:
        yield client


@pytest.fixture
def client(stranger, workspace):
    """One that has: client.get("/api/project").json()."""
    assert stranger.get("/", params={"token": workspace.keys.new_token()}).status_code == 200
    return stranger


@pytest.fixture(scope="session")
def make_apoferritin(shared_data):
    """A function that makes a project whose micrographs, the first so many, are real ones behind a link."""

    def make(folder, count):
        folder.mkdir()
        (folder / "Micrographs").symlink_to(shared_data / "apoferritin10146")
        files = sorted((folder / "Micrographs").glob("*.png"))[:count]
        optics = {
            "rlnOpticsGroupName": ["one"],
            "rlnOpticsGroup": [1],
            "rlnMicrographPixelSize": [1.5],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
        }
        names = [f"Micrographs/{path.name}" for path in files]
        table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
        MicrographSet(pd.DataFrame(optics), table).write(folder / "micrographs.star")
        return folder

    return make


@pytest.fixture
def page(copy, start_server, new_page):
    """The first page of the project in `copy`, logged in."""
    return new_page(start_server(copy))


@pytest.fixture(scope="session")
def hold():
    """Hold requests for an address back: with hold(page, pattern): …; they are answered when that ends."""

    @contextmanager
    def holding(page, pattern, which=lambda request: True):
        held, over = [], []
        page.route(
            pattern,
            lambda route: route.continue_() if over or not which(route.request) else held.append(route),
        )
        yield
        over.append(True)
        for route in held:
            route.continue_()
            route.request.response()
        page.unroute(pattern)  # not before: that answers them, too
        browsing.drawn(page)

    return holding


@pytest.fixture(scope="session")
def shown():
    """Numbers of the particles or classes in sight in a gallery, in their order: shown(page)."""

    def numbers(page):
        tiles = page.locator(".view > .body > .gallery .tile:not([hidden])").evaluate_all(
            "all => all.map((tile) => [Number(tile.dataset.place), tile.getAttribute('aria-label')])"
        )
        return [int(label.split()[1]) for _, label in sorted(tiles)]

    return numbers
