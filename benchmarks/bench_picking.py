"""Time picking in a browser: list, first view, contrast, filters, thresholds, panning over many picks.

python benchmarks/bench_picking.py [--shapes 4096x4096 8192x11520] [--micrographs 1000] [--picks 5000]

A process of its own serves the page, and Chromium shows it in 1280 x 720. A change is timed within the page,
from the event to the second frame after it, when what was drawn is on the screen; a frame is 16.7 ms. Frames
of panning and zooming are the times between two of them, with a change in each: median, and worst of 120.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from bench_page import seconds, start

from boxwood.io.coordinates import coordinate_path, write_coordinates
from boxwood.io.mrc import write_stack
from boxwood.io.star import write_star
from boxwood.jobs.api import Project
from boxwood.jobs.manual_pick_files import as_clicked

PIXEL = 0.885
CHANGE = """(input, value) => new Promise((done) => {
  const begun = performance.now();
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
})"""
FRAMES = """(act) => new Promise((done) => {
  const viewer = document.querySelector(".viewer");
  const acts = {
    pan: (i) => dispatchEvent(
      new KeyboardEvent("keydown", { key: i % 40 < 20 ? "ArrowRight" : "ArrowLeft" })),
    zoom: (i) => viewer.dispatchEvent(
      new WheelEvent("wheel", { deltaY: i % 40 < 20 ? -40 : 40, clientX: 500, clientY: 400 })),
  };
  const times = [];
  let last = performance.now();
  const step = (i) => {
    const now = performance.now();
    times.push(now - last);
    last = now;
    if (i === 120) return done(times.slice(1));
    acts[act](i);
    requestAnimationFrame(() => step(i + 1));
  };
  requestAnimationFrame(() => step(0));
})"""


def make_project(folder: Path, shapes: list[tuple[int, int]], micrographs: int, picks: int) -> None:
    """Micrographs of noise, a list of many, and a manual picking job with picks on all of them."""
    rng = np.random.default_rng(1)
    for number, shape in enumerate(shapes):
        write_stack(folder / f"m{number}.mrc", rng.standard_normal((1, *shape), dtype=np.float32), PIXEL)
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL]}
    table = pd.DataFrame(
        {"rlnMicrographName": [f"m{n}.mrc" for n in range(micrographs)], "rlnOpticsGroup": 1}
    )
    table["rlnDefocusU"] = rng.uniform(8000, 25000, micrographs)
    table["rlnCtfMaxResolution"] = rng.uniform(3, 12, micrographs)
    write_star(folder / "mics.star", {"optics": pd.DataFrame(optics), "micrographs": table})
    project = Project(folder)
    project.manual_pick(micrographs="mics.star")
    for number in range(micrographs):
        count, (ny, nx) = (picks, shapes[number]) if number < len(shapes) else (200, (4096, 4096))
        places = {
            "rlnCoordinateX": rng.integers(nx, size=count),
            "rlnCoordinateY": rng.integers(ny, size=count),
        }
        path = folder / coordinate_path("ManualPick/job001", f"m{number}.mrc", "manualpick")
        write_coordinates(path, as_clicked(pd.DataFrame(places).astype(float), "3.1"))


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs="+", default=["4096x4096", "8192x11520"], metavar="ROWSxCOLUMNS")
    parser.add_argument("--micrographs", type=int, default=1000)
    parser.add_argument("--picks", type=int, default=5000)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    given = parser.parse_args()
    shapes = [(int(ny), int(nx)) for ny, nx in (shape.split("x") for shape in given.shapes)]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name).resolve()
        make_project(folder, shapes, given.micrographs, given.picks)
        server, link = start(folder)
        browser = driver.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(link)
            page.wait_for_selector("main > :not(.waiting)")
            address = link.split("/?")[0]
            for what in ("the first time", "again"):
                shown = seconds(
                    lambda: (
                        page.goto(f"{address}/micrographs/ManualPick/job001"),
                        page.wait_for_selector(".long-list .row"),
                    )
                )
                print(f"{given.micrographs} micrographs listed, {what}: {shown:.2f} s")
            slider = page.get_by_label("CTF resolution, at most")
            changes = [slider.evaluate(CHANGE, str(900 - 40 * i)) for i in range(10)]
            print(f"selected by a slider: {np.median(changes):.0f} ms, at worst {max(changes):.0f} ms")
            for number, (ny, nx) in enumerate(shapes):
                time_view(
                    page, f"{address}/pick/ManualPick/job001?name=m{number}.mrc", f"{ny} x {nx}", given.picks
                )
            time_thresholds(
                page, f"{address}/pick/mics.star?name=m0.mrc&tune=1&min_diameter=150&max_diameter=180"
            )
        finally:
            browser.close()
            server.terminate()
            server.wait()


def time_view(page, address: str, what: str, picks: int) -> None:
    """Everything that is done on one micrograph."""
    counted = f".picking .count:has-text('{picks} picks')"
    ready = ".viewer[data-state=ready]"
    shown = seconds(
        lambda: (page.goto(address), page.wait_for_selector(ready), page.wait_for_selector(counted))
    )
    print(f"{what}: first view {shown:.2f} s, with {picks} picks")
    slider = page.get_by_label("Sigma contrast, slider")
    changes = [slider.evaluate(CHANGE, str(300 + 30 * i)) for i in range(12)]
    print(f"  contrast {np.median(changes):.0f} ms, at worst {max(changes):.0f} ms")
    slider = page.get_by_label("Low-pass, slider")
    times = []
    for part in (650, 450, 700, 500):
        begun = time.perf_counter()
        slider.evaluate(CHANGE, str(part))
        page.wait_for_selector(".viewer[data-state=ready]")
        times.append(time.perf_counter() - begun)
    print(f"  filter {np.median(times):.2f} s, at worst {max(times):.2f} s")
    for act in ("pan", "zoom"):
        frames = page.evaluate(FRAMES, act)
        print(f"  {act}: a frame takes {np.median(frames):.1f} ms, at worst {max(frames):.0f} ms")
    begun = time.perf_counter()
    page.get_by_role("button", name="1 : 1").click()
    page.wait_for_selector(".viewer[data-state=ready]")
    print(f"  full resolution {time.perf_counter() - begun:.2f} s")


def time_thresholds(page, address: str) -> None:
    shown = seconds(lambda: (page.goto(address), page.wait_for_selector(".tuning[data-state=ready]")))
    print(f"peaks of automatic picking: {shown:.2f} s, {page.locator('.says').inner_text()}")
    slider = page.get_by_label("Figure of merit, at least")
    changes = [slider.evaluate(CHANGE, str(200 + 40 * i)) for i in range(12)]
    print(f"  threshold {np.median(changes):.0f} ms, at worst {max(changes):.0f} ms")


if __name__ == "__main__":
    main()
