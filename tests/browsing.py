"""Fixtures for tests in a real browser: servers of projects, Chromium, and pages in it."""

import os
import re
import shutil
import socket
from contextlib import suppress

import pytest

_LONGEST = 200_000  # ms; machines are slow at times
# The first has no windows at all, which saves two thirds of the time it takes to open a page.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def start_server():
    """Start a server of a project; returns its link. `end()` ends them all."""
    from serving import Server

    servers = []

    def start(project, *words):
        servers.append(Server(project, *words))
        return servers[-1].link

    def end():
        while servers:
            servers.pop().end()

    start.end = end
    yield start
    end()


@pytest.fixture(scope="module")
def module_server():
    """Start `boxwood ui` of a module's own project as a user does; returns its link."""
    from boxwood.web import serve

    processes = []

    def start(project, *words):
        process, link = serve.start(project, *words)
        processes.append(process)
        return link

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=300)


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window, or a skipped test."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    playwright.expect.set_options(timeout=_LONGEST)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=_LONGEST)
        yield browser
        browser.close()


def drawn(page):
    """Wait until the page has laid out and drawn what it has been told so far."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def free_port():
    """A port below those that systems lend to clients, so that nobody gets it between two servers."""
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return str(port)
    raise OSError("no port is free")


def _pages(browser):
    """Open a link in a browser of its own, as a second user would; faults of the page fail the test."""
    contexts, faults = [], []

    def open_link(link):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce"))
        contexts[-1].set_default_timeout(_LONGEST)  # of other pages that are opened there, too
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(link)
        page.wait_for_selector("main > :not(.waiting)")
        drawn(page)
        return page

    yield open_link
    for context in contexts:
        context.close()
    assert faults == []


new_page = pytest.fixture(_pages, name="new_page")
new_module_page = pytest.fixture(_pages, scope="module", name="new_module_page")


@pytest.fixture(scope="session")
def visit():
    """Open an address of the page that is shown: visit(page, "/job/Extract/job002")."""

    def go(page, address):
        page.goto(re.match(r"http://[^/]+", page.url)[0] + address)
        page.wait_for_selector("main > :not(.waiting)")
        drawn(page)

    return go
