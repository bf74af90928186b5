"""Real micrographs, picked as a user would do it; they lie on another disk."""

import pandas as pd
import pytest
from playwright.sync_api import expect

from boxwood.io.particles import MicrographSet

pytestmark = pytest.mark.data


@pytest.fixture
def apoferritin(shared_data, tmp_path):
    """A project whose micrographs are a link to the real ones."""
    folder = tmp_path / "apoferritin"
    folder.mkdir()
    (folder / "Micrographs").symlink_to(shared_data / "apoferritin10146")
    names = [f"Micrographs/{path.name}" for path in sorted((folder / "Micrographs").glob("*.png"))]
    optics = {
        "rlnOpticsGroupName": ["one"],
        "rlnOpticsGroup": [1],
        "rlnMicrographPixelSize": [1.5],
        "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.1],
    }
    table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    MicrographSet(pd.DataFrame(optics), table).write(folder / "micrographs.star")
    return folder


def test_apoferritin_is_picked_and_seen(apoferritin, shared_data, start_server, new_page):
    page = new_page(start_server(apoferritin, "--data", str(shared_data)))
    page.get_by_role("link", name="Start one here").click()
    page.get_by_role("link", name="autopick pick particles").click()
    expect(page.get_by_label("Micrographs*")).to_have_value("micrographs.star")
    page.get_by_role("tab", name="Laplacian").click()
    page.get_by_label("Min diameter*").fill("95")
    page.get_by_label("Max diameter*").fill("115")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_have_text("AutoPick/job001")
    expect(page.locator(".state")).to_contain_text("succeeded")
    expect(page.locator("pre.log").last).to_contain_text("picked on 8 micrographs")
    page.keyboard.press("h")
    picture = page.locator("[data-job='AutoPick/job001'] img")
    expect(picture).to_be_visible()
    assert picture.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 240
