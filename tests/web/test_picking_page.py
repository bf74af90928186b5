"""Picking as a user does it, in a real browser."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browsing import drawn
from PIL import Image
from playwright.sync_api import expect

from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_image, read_stack, write_stack
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star_table, write_star
from boxwood.jobs.api import Project

STAR = "micrographs_ctf.star"
X, Y = "rlnCoordinateX", "rlnCoordinateY"


@pytest.fixture
def manual(copy):
    return Project(copy).manual_pick(micrographs=STAR, diameter=160).output


@pytest.fixture
def site(copy, manual, start_server):
    """The link of a project with a manual picking job."""
    return start_server(copy)


def go(page, address):
    page.goto(re.match(r"http://[^/]+", page.url)[0] + address)


def open_picking(page, job="ManualPick/job004", micrograph=1, query=""):
    go(page, f"/pick/{job}?name=Micrographs/micrograph_{micrograph:03d}.mrc{query}")
    expect(page.locator(".picking .place")).to_have_text(f"{micrograph} of 3")
    settle(page)


def at(page, x, y):
    """Where a point of the 400 x 400 micrographs is on the screen, fitted to the window."""
    box = page.locator(".viewer").bounding_box()
    scale = min(box["width"], box["height"]) / 400
    return box["x"] + box["width"] / 2 + (x - 199.5) * scale, box["y"] + box["height"] / 2 + (
        y - 199.5
    ) * scale


def drag(page, start, end, button="left"):
    page.mouse.move(*at(page, *start))
    page.mouse.down(button=button)
    page.mouse.move(*at(page, *[(a + b) / 2 for a, b in zip(start, end, strict=True)]))
    page.mouse.move(*at(page, *end))
    page.mouse.up(button=button)


def saved(page):
    expect(page.locator(".picking .saved")).to_have_text("saved")


def places(manual, micrograph=1):
    path = manual / f"Micrographs/micrograph_{micrograph:03d}_manualpick.star"
    return read_coordinates(path)[[X, Y]].to_numpy().tolist()


def near(found, wanted):
    """Clicks land on whole pixels of the screen, which are smaller than the micrograph's."""
    assert np.abs(np.array(found) - np.array(wanted)).max() <= 1, (found, wanted)


def test_pick_move_remove_undo(site, new_page, manual):
    page = new_page(site)
    open_picking(page)
    count = page.locator(".picking .count")
    expect(count).to_have_text("0 picks")
    for place in ((100, 100), (200, 150), (300, 300)):
        page.mouse.click(*at(page, *place))
    expect(count).to_have_text("3 picks")
    saved(page)
    near(places(manual), [(100, 100), (200, 150), (300, 300)])
    page.mouse.click(*at(page, 105, 102))  # the circle is taken
    expect(count).to_have_text("3 picks")
    drag(page, (200, 150), (220, 190))
    saved(page)
    near(places(manual), [(100, 100), (220, 190), (300, 300)])
    page.mouse.click(*at(page, 300, 300), button="right")
    expect(count).to_have_text("2 picks")
    drag(page, (60, 100), (240, 190), button="right")  # rubs along the line, through both
    expect(count).to_have_text("0 picks")
    page.keyboard.press("Control+z")
    expect(count).to_have_text("2 picks")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    saved(page)
    near(places(manual), [(100, 100), (200, 150), (300, 300)])
    page.keyboard.press("Control+y")
    saved(page)
    near(places(manual), [(100, 100), (220, 190), (300, 300)])
    assert all(value == int(value) for place in places(manual) for value in place)


def test_pick_by_keys_alone(site, new_page, manual):
    page = new_page(site)
    open_picking(page)
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    saved(page)
    near(places(manual), [(202, 201)])
    page.keyboard.press("n")
    expect(page.locator(".picking .place")).to_have_text("2 of 3")
    expect(page.locator(".picking .count")).to_have_text("0 picks")
    page.keyboard.press("p")
    expect(page.locator(".picking .count")).to_have_text("1 pick")
    page.keyboard.press("]")
    page.keyboard.press("Delete")
    expect(page.locator(".picking .count")).to_have_text("0 picks")
    saved(page)
    assert places(manual) == []
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("choose the next pick")


def test_a_page_that_is_closed_at_once_loses_nothing(site, new_page, manual):
    page = new_page(site)
    open_picking(page)
    page.mouse.click(*at(page, 120, 130))
    go(page, "/")  # before it has saved
    open_picking(page)
    expect(page.locator(".picking .count")).to_have_text("1 pick")
    saved(page)
    near(places(manual), [(120, 130)])
    page.mouse.click(*at(page, 300, 130))
    page.keyboard.press("n")  # another micrograph of the same page
    expect(page.locator(".picking .place")).to_have_text("2 of 3")
    page.keyboard.press("p")
    expect(page.locator(".picking .count")).to_have_text("2 picks")


def test_picks_are_not_read_again_before_they_are_saved(site, new_page, manual, hold):
    page = new_page(site)
    open_picking(page)
    with hold(page, "**/api/picks/coordinates**", lambda request: request.method == "PUT"):
        page.mouse.click(*at(page, 100, 100))
        page.keyboard.press("n")
        page.keyboard.press("p")
        page.wait_for_timeout(200)
    expect(page.locator(".picking .count")).to_have_text("1 pick")
    near(places(manual), [(100, 100)])


def test_a_view_that_is_left_takes_no_more_keys(site, new_page, hold):
    page = new_page(site)
    open_picking(page)
    with hold(page, "**/api/picks/coordinates**", lambda request: request.method == "PUT"):
        page.mouse.click(*at(page, 100, 100))
        page.keyboard.press("h")  # waits for what was picked to be saved
        page.keyboard.press("n")
    expect(page.locator("h1")).to_have_text("Jobs")
    assert page.url.endswith("/")


def test_another_micrograph_comes_while_a_button_is_held(site, new_page, manual):
    page = new_page(site)
    open_picking(page)
    page.mouse.click(*at(page, 100, 100))
    for button, start in (("left", (100, 100)), ("right", (60, 60))):
        page.mouse.move(*at(page, *start))
        page.mouse.down(button=button)
        page.keyboard.press("n")
        page.mouse.move(*at(page, 200, 200))
        expect(page.locator(".picking .count")).to_have_text("0 picks")
        page.mouse.move(*at(page, 210, 210))
        page.mouse.up(button=button)
        page.keyboard.press("p")
        expect(page.locator(".picking .count")).to_have_text("1 pick")
        settle(page)
    near(places(manual), [(100, 100)])


def test_a_tile_that_cannot_be_had_is_asked_for_once(site, new_page):
    page = new_page(site)
    asked = []
    page.route("**/image/filtered**", lambda route: (asked.append(route.request.url), route.abort()))
    open_picking(page)
    assert asked and len(asked) == len(set(asked))


def test_two_pages_do_not_overwrite_each_other(site, new_page, manual, copy, start_server):
    first, second = new_page(site), new_page(start_server(copy))
    open_picking(first)
    open_picking(second)
    first.mouse.click(*at(first, 100, 100))
    saved(first)
    second.mouse.click(*at(second, 300, 300))
    dialog = second.get_by_role("dialog")
    expect(dialog).to_contain_text("Somebody else has saved")
    near(places(manual), [(100, 100)])
    dialog.get_by_role("button", name="Show theirs, drop mine").click()
    expect(second.locator(".picking .saved")).to_have_text("")  # read anew
    expect(second.locator(".picking .count")).to_have_text("1 pick")
    second.mouse.click(*at(second, 300, 300))
    saved(second)
    near(places(manual), [(100, 100), (300, 300)])
    first.mouse.click(*at(first, 200, 300))
    first.get_by_role("dialog").get_by_role("button", name="Save mine over theirs").click()
    saved(first)
    near(places(manual), [(100, 100), (200, 300)])


def shown(page):
    """The grey values that are seen, without the circles."""
    page.keyboard.press("o")
    box = page.locator(".viewer").bounding_box()
    middle = {"x": box["x"] + box["width"] / 2 - 150, "y": box["y"] + box["height"] / 2 - 150}
    picture = page.screenshot(clip={**middle, "width": 300, "height": 300})
    page.keyboard.press("o")
    return np.asarray(Image.open(io.BytesIO(picture)).convert("L")).astype(float)


def fill(page, label, value):
    box = page.get_by_label(label, exact=True)
    box.fill(str(value))
    box.press("Enter")


def settle(page):
    """Wait until the micrograph is laid out, and every tile that was asked for is drawn."""
    expect(page.locator(".viewer")).to_have_attribute("data-state", "ready")
    drawn(page)


def test_display_fields_do_what_they_say(site, new_page):
    page = new_page(site)
    open_picking(page)
    settle(page)
    three = shown(page)
    fill(page, "Sigma contrast", 1)
    settle(page)
    one = shown(page)
    assert one.std() > 1.5 * three.std()
    expect(page).to_have_url(re.compile("sigma_contrast=1"))
    page.reload()
    expect(page.locator(".picking .place")).to_have_text("1 of 3")
    settle(page)
    np.testing.assert_allclose(shown(page), one, atol=2)
    fill(page, "Sigma contrast", 3)
    fill(page, "White value", -100)
    fill(page, "Black value", -200)  # far below all pixels: everything is white
    settle(page)
    assert shown(page).min() == 255
    fill(page, "White value", 0)
    fill(page, "Black value", 0)
    fill(page, "Low-pass", 80)
    settle(page)
    smooth = shown(page)
    fine = np.abs(np.diff(three)).mean() / three.std()
    assert np.abs(np.diff(smooth)).mean() / smooth.std() < 0.5 * fine
    page.get_by_role("button", name="As the job has it").click()
    settle(page)
    np.testing.assert_allclose(shown(page), three, atol=2)


def test_zoom_reaches_every_pixel(site, new_page, copy):
    page = new_page(site)
    open_picking(page, query="&low_pass=-1&scale=8")
    settle(page)
    image = read_image(copy / "Micrographs/micrograph_001.mrc").data[190:210, 190:210]
    # the middle is the corner between pixels 199 and 200; of each pixel of 8 x 8, what is in its middle
    seen = shown(page)[150 - 80 : 150 + 80, 150 - 80 : 150 + 80].reshape(20, 8, 20, 8)[:, 2:6, :, 2:6]
    seen = seen.mean(axis=(1, 3))
    inside = (seen > 0) & (seen < 255)
    assert np.corrcoef(seen[inside], image[inside])[0, 1] > 0.95  # JPEG rounds


def seen_around(page, x, y, radius=22.6, zoom=1.0, shift=0.0):
    """How much of a circle around a point of the micrograph is drawn, 0 to 1."""
    return page.locator(".marks").evaluate(
        """(canvas, [x, y, radius, zoom, shift]) => {
          const [width, height] = [canvas.clientWidth, canvas.clientHeight];
          const scale = Math.min(width, height) / 400 * zoom;
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const on = Array.from({ length: 60 }, (_, i) => {
            const [a, b] = [x + radius * Math.cos(i * Math.PI / 30), y + radius * Math.sin(i * Math.PI / 30)];
            const column = Math.round(width / 2 + (a - 199.5) * scale - shift);
            const row = Math.round(height / 2 + (b - 199.5) * scale);
            return pixels.data[4 * (row * canvas.width + column) + 3] > 60;
          });
          return on.filter(Boolean).length / on.length;
        }""",
        [x, y, radius, zoom, shift],
    )


def test_circles_stay_on_their_particles(site, new_page):
    page = new_page(site)
    open_picking(page)
    page.mouse.click(*at(page, 150, 150))
    page.mouse.click(*at(page, 250, 260))
    page.mouse.move(*at(page, 350, 50))
    settle(page)
    for x, y in ((150, 150), (250, 260)):
        assert seen_around(page, x, y) > 0.95
    assert seen_around(page, 200, 200) < 0.3
    drag(page, (350, 60), (290, 60))
    settle(page)
    box = page.locator(".viewer").bounding_box()
    moved = 60 * min(box["width"], box["height"]) / 400
    assert seen_around(page, 150, 150, shift=moved) > 0.95
    assert seen_around(page, 150, 150) < 0.5
    page.keyboard.press("f")
    page.keyboard.press("+")
    settle(page)
    assert seen_around(page, 250, 260, zoom=1.25) > 0.95
    page.keyboard.press("o")
    settle(page)
    assert seen_around(page, 250, 260, zoom=1.25) == 0


def test_the_list_selects_micrographs(site, new_page, manual, copy):
    page = new_page(site)
    go(page, "/micrographs/ManualPick/job004")
    rows = page.locator(".long-list .row")
    expect(rows).to_have_count(3)
    summary = page.locator(".summary")
    expect(summary).to_have_text("3 of 3 selected, 0 picks")
    page.get_by_role("button", name="Invert").click()
    expect(summary).to_have_text("0 of 3 selected, 0 picks")
    page.get_by_label("How many").fill("2")
    page.get_by_role("button", name="Only the first").click()
    expect(summary).to_have_text("2 of 3 selected, 0 picks")
    expect(page.locator(".micrographs .saved")).to_have_text("saved")
    chosen = MicrographSet.read(manual / "micrographs_selected.star").table
    names = MicrographSet.read(copy / STAR).table["rlnMicrographName"]
    assert chosen["rlnMicrographName"].tolist() == names[:2].tolist()
    page.get_by_label("Select micrograph_003.mrc").check()
    expect(summary).to_have_text("3 of 3 selected, 0 picks")
    defocus = MicrographSet.read(copy / STAR).table["rlnDefocusU"]
    page.get_by_label("Defocus, at most").press("Home")  # to the smallest
    expect(summary).to_have_text("1 of 3 selected, 0 picks")
    expect(page.locator(".row:not(.off) .name").last).to_have_text(Path(names[defocus.argmin()]).name)
    page.get_by_role("button", name="Defocus").click()
    expect(page.locator(".long-list .row .name").first).to_have_text(Path(names[defocus.argmin()]).name)
    page.get_by_role("button", name="Save as a Select job").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".command")).to_contain_text(
        "select-micrographs --micrographs ManualPick/job004/coords_suffix_manualpick.star --names"
    )
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Select/job005")
    expect(page.locator(".status")).to_have_text("succeeded")
    chosen = MicrographSet.read(copy / "Select/job005/micrographs_selected.star").table
    assert chosen["rlnMicrographName"].tolist() == [names[defocus.argmin()]]


def test_from_the_list_to_the_picks_and_the_thon_rings(site, new_page):
    page = new_page(site)
    go(page, "/micrographs/ManualPick/job004")
    page.get_by_role("button", name="CTF").first.click()
    picture = page.locator("dialog img")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100
    expect(page.locator("dialog")).to_contain_text("Defocus U")
    page.keyboard.press("Escape")
    page.locator(".row", has_text="micrograph_002").get_by_role("link", name="pick").click()
    expect(page.locator(".picking .place")).to_have_text("2 of 3")
    settle(page)
    page.mouse.click(*at(page, 100, 100))
    saved(page)
    page.get_by_role("link", name="All micrographs").click()
    expect(page.locator(".row", has_text="micrograph_002").locator(".count").first).to_have_text("1")


def test_automatic_picks_are_coloured_and_changed_by_hand(site, new_page, copy):
    page = new_page(site)
    path = copy / "AutoPick/job001/Micrographs/micrograph_001_autopick.star"
    before = read_coordinates(path)
    open_picking(page, "AutoPick/job001")
    expect(page.locator(".picking .count")).to_have_text(f"{len(before)} picks")
    expect(page.get_by_label("Colour by")).to_have_value("rlnAutopickFigureOfMerit")
    page.mouse.click(*at(page, *before.loc[0, [X, Y]]), button="right")
    expect(page.locator(".picking .count")).to_have_text(f"{len(before) - 1} picks")
    saved(page)
    after = read_coordinates(path)
    pd.testing.assert_frame_equal(after, before[1:].reset_index(drop=True))


def test_what_is_missing_is_said(site, new_page, copy):
    image = copy / "Micrographs/micrograph_002.mrc"
    image.rename(image.with_suffix(".away"))
    page = new_page(site)
    open_picking(page, micrograph=2)
    expect(page.locator(".viewer")).to_contain_text("there is no micrograph Micrographs/micrograph_002.mrc")
    page.keyboard.press("n")
    expect(page.locator(".picking .count")).to_have_text("0 picks")
    page.mouse.click(*at(page, 100, 100))
    expect(page.locator(".picking .count")).to_have_text("1 pick")
    go(page, "/micrographs/ManualPick/job099")
    expect(page.locator("main")).to_contain_text("is no job of the project")


@pytest.mark.relion
@pytest.mark.skipif(
    shutil.which("relion_preprocess") is None, reason="no relion_preprocess: apt-get install relion"
)
def test_relion_extracts_what_was_picked_on_real_micrographs(
    shared_data, tmp_path, start_server, new_page, monkeypatch
):
    """Apoferritin of EMPIAR-10146: three particles, by hand, at the experts' places."""
    truth = read_star_table(shared_data / "apoferritin10146/truth.star", "", "particles", "micrographs")
    first = truth["rlnMicrographName"].iloc[0]
    file = next((shared_data / "apoferritin10146").glob(f"{Path(first).stem}*.png"))
    image = read_image(file).data
    (tmp_path / "Micrographs").mkdir()
    write_stack(tmp_path / "Micrographs/a.mrc", image, 1.5)
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnMicrographOriginalPixelSize": [1.5]}
    optics |= {"rlnVoltage": [300.0], "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1]}
    optics |= {"rlnMicrographPixelSize": [1.5]}
    table = pd.DataFrame({"rlnMicrographName": ["Micrographs/a.mrc"], "rlnOpticsGroup": [1]})
    write_star(tmp_path / "mics.star", {"optics": pd.DataFrame(optics), "micrographs": table})
    Project(tmp_path).manual_pick(micrographs="mics.star", diameter=100)
    page = new_page(start_server(tmp_path))
    go(page, "/pick/ManualPick/job001?name=Micrographs/a.mrc&scale=0.5")
    expect(page.locator(".picking .count")).to_have_text("0 picks")
    settle(page)
    box = page.locator(".viewer").bounding_box()
    ny, nx = image.shape
    places = truth.loc[truth["rlnMicrographName"] == first, [X, Y]].to_numpy()
    inside = (np.abs(places - [nx / 2, ny / 2]) < 400).all(axis=1)
    for x, y in places[inside][:3]:
        page.mouse.click(
            box["x"] + box["width"] / 2 + (x - (nx - 1) / 2) / 2,
            box["y"] + box["height"] / 2 + (y - (ny - 1) / 2) / 2,
        )
    expect(page.locator(".picking .count")).to_have_text("3 picks")
    saved(page)
    monkeypatch.chdir(tmp_path)
    path = "ManualPick/job001/Micrographs/a_manualpick.star"
    printed = subprocess.run(
        ["relion_star_printtable", path, "data_", "_rlnCoordinateX", "_rlnCoordinateY"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = np.array(printed.stdout.split(), float).reshape(-1, 2)
    assert np.abs(found - places[inside][:3]).max() <= 2
    Path("Extract/job002").mkdir(parents=True)
    subprocess.run(
        [
            *("relion_preprocess", "--i", "ManualPick/job001/micrographs_selected.star"),
            *("--coord_dir", "ManualPick/job001/", "--coord_suffix", "_manualpick.star"),
            *("--part_star", "Extract/job002/particles.star", "--part_dir", "Extract/job002/"),
            *("--extract", "--extract_size", "100"),
        ],
        check=True,
        capture_output=True,
    )
    particles = ParticleSet.read("Extract/job002/particles.star")
    np.testing.assert_array_equal(particles.table[[X, Y]], found)
    stack = read_stack("Extract/job002/Micrographs/a.mrcs")[:]
    for (x, y), cut in zip(found.astype(int), stack, strict=True):
        np.testing.assert_allclose(cut, image[y - 50 : y + 50, x - 50 : x + 50], rtol=1e-5)
