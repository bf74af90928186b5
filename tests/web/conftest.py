"""The page of a small project: by requests in this process, as a server, and in a real browser.

A test of a view asks for `page`, which is logged in to a server that shows the project in `copy`.
"""

import re
import shutil

import pandas as pd
import pytest

pytest.importorskip("starlette", reason="needs pip install 'boxwood[ui]'")
from starlette.testclient import TestClient

from boxwood.io.particles import MicrographSet
from boxwood.web import serve
from boxwood.web.app import make_app
from boxwood.web.workspace import Workspace

PORT = 8000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def workspace(copy, monkeypatch):
    """The project in `copy`, as the server sees it."""
    monkeypatch.chdir(copy)
    workspace = Workspace(copy)
    yield workspace
    workspace.pool.shutdown()


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


def _servers():
    """Start `boxwood ui` of a project in a process; returns its link. `end()` ends them all."""
    processes = []

    def start(project, *words):
        process, link = serve.start(project, *words)
        processes.append(process)
        return link

    def end():
        while processes:
            processes[-1].terminate()
            processes.pop().communicate(timeout=30)

    start.end = end
    yield start
    end()


start_server = pytest.fixture(_servers, name="start_server")
module_server = pytest.fixture(_servers, scope="module", name="module_server")  # for a module's own project


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


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window, or a skipped test."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    playwright.expect.set_options(timeout=60_000)  # machines are slow at times
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def _pages(browser):
    """Open a link in a browser of its own, as a second user would; faults of the page fail the test."""
    contexts, faults = [], []

    def open_link(link):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce"))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(link)
        page.wait_for_selector("main > :not(.waiting)")
        return page

    yield open_link
    for context in contexts:
        context.close()
    assert faults == []


new_page = pytest.fixture(_pages, name="new_page")
new_module_page = pytest.fixture(_pages, scope="module", name="new_module_page")


@pytest.fixture
def page(copy, start_server, new_page):
    """The first page of the project in `copy`, logged in."""
    return new_page(start_server(copy))


@pytest.fixture(scope="session")
def visit():
    """Open an address of the page that is shown: visit(page, "/job/Extract/job002")."""

    def go(page, address):
        page.goto(re.match(r"http://[^/]+", page.url)[0] + address)
        page.wait_for_selector("main > :not(.waiting)")

    return go


@pytest.fixture(scope="session")
def shown():
    """Numbers of the particles or classes in sight in a gallery, in their order: shown(page)."""

    def numbers(page):
        tiles = page.locator(".view > .body > .gallery .tile:not([hidden])").evaluate_all(
            "all => all.map((tile) => [Number(tile.dataset.place), tile.getAttribute('aria-label')])"
        )
        return [int(label.split()[1]) for _, label in sorted(tiles)]

    return numbers
