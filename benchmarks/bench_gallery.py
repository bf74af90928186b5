"""Time galleries: particles in the order of a column, classes, and how evenly a browser scrolls them.

python benchmarks/bench_gallery.py [--particles 100000] [--classes 500] [--box 64] [--browser chromium]

Seconds by the clock. "first" is the first request of a server that has just started; the others are medians
of 20, of sheets of 128 particles that lie anywhere in a hundred stacks. In the browser: from the address to
all pictures in sight, from a jump to a place far away to the pictures there, from a new contrast to the
frame that shows it, and the time between frames (60 Hz is 16.7 ms) while the gallery is scrolled. A sheet is
checked against the file.
"""

import argparse
import io
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pandas as pd
from bench_page import REPEATS, median, seconds, start
from PIL import Image

from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import write_star
from boxwood.project.folder import ProjectFolder
from boxwood.web import images

STACKS = 100
EXTRACT, CLASS2D = "Extract/job001/", "Class2D/job002/"
PIXEL_ANGSTROM = 3.54

# While the gallery moves by 37 pixels a frame: the times between frames, in ms.
SCROLL = """async (frames) => {
  const gallery = document.querySelector(".gallery");
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let n = 0; n < frames; n++) {
    gallery.scrollTop += 37;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""
# Whether every tile in sight has been painted.
PAINTED = """() => {
  const rows = [...document.querySelectorAll(".view > .body > .gallery .row")];
  return rows.length > 0 && rows.every((row) => {
    const canvas = row.querySelector("canvas");
    const middle = Math.floor(canvas.height / 2);
    const pixels = canvas.getContext("2d").getImageData(0, middle, canvas.width, 1).data;
    return [...row.querySelectorAll(".tile:not([hidden])")].every((tile) => {
      const x = Math.round((tile.offsetLeft + tile.offsetWidth / 2) * devicePixelRatio);
      return pixels[4 * x + 3] > 0;
    });
  });
}"""
CONTRAST = """async () => {
  const slider = document.querySelector("input[name=sigma]");
  const begun = performance.now();
  slider.value = Number(slider.value) === 2 ? 4 : 2;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise(requestAnimationFrame);
  await new Promise((done) => setTimeout(done));
  return performance.now() - begun;
}"""


def make_project(folder: Path, count: int, classes: int, box: int) -> None:
    """Noise in stacks, particles of it that have been classified, and averages of noise."""
    rng = np.random.default_rng(1)
    per_stack = -(-count // STACKS)
    (folder / EXTRACT).mkdir(parents=True)
    (folder / CLASS2D).mkdir(parents=True)
    for number in range(STACKS):
        pixels = rng.standard_normal((per_stack, box, box), dtype=np.float32)
        write_stack(folder / f"{EXTRACT}m{number:03d}.mrcs", pixels, PIXEL_ANGSTROM)
    row = np.arange(count)
    table = pd.DataFrame(
        {
            "rlnCoordinateX": rng.uniform(0, 3700, count),
            "rlnCoordinateY": rng.uniform(0, 3800, count),
            "rlnAutopickFigureOfMerit": rng.uniform(0, 1, count),
            "rlnImageName": [f"{r % per_stack + 1:06d}@{EXTRACT}m{r // per_stack:03d}.mrcs" for r in row],
            "rlnMicrographName": [f"Micrographs/m{r // per_stack:03d}.mrc" for r in row],
            "rlnOpticsGroup": 1,
            "rlnClassNumber": 1 + rng.integers(classes, size=count),
            "rlnAnglePsi": rng.uniform(-180, 180, count),
            "rlnOriginXAngst": rng.normal(0, 5, count),
            "rlnOriginYAngst": rng.normal(0, 5, count),
        }
    )
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnImagePixelSize": [PIXEL_ANGSTROM],
            "rlnImageSize": [box],
            "rlnImageDimensionality": [2],
        }
    )
    particles = ParticleSet(optics, table)
    particles.write(folder / f"{EXTRACT}particles.star")
    particles.write(folder / f"{CLASS2D}run_it025_data.star")
    averages = rng.standard_normal((classes, box, box), dtype=np.float32)
    write_stack(folder / f"{CLASS2D}run_it025_classes.mrcs", averages, PIXEL_ANGSTROM)
    general: dict[str, Any] = {"rlnPixelSize": PIXEL_ANGSTROM, "rlnNrClasses": classes}
    model = pd.DataFrame(
        {
            "rlnReferenceImage": [f"{k + 1:06d}@{CLASS2D}run_it025_classes.mrcs" for k in range(classes)],
            "rlnClassDistribution": rng.dirichlet(np.ones(classes)),
            "rlnEstimatedResolution": rng.uniform(10, 40, classes),
        }
    )
    tables = {"model_general": general, "model_classes": model}
    write_star(folder / f"{CLASS2D}run_it025_model.star", tables)
    with ProjectFolder(folder).edit() as pipeline:
        pipeline.add_process(EXTRACT, 5, "relion.extract", "Succeeded")
        pipeline.add_process(CLASS2D, 8, "relion.class2d.em", "Succeeded")
        pipeline.counter = 3


def by_requests(client: httpx2.Client, folder: Path, count: int, classes: int) -> None:
    def ask(address: str, **query: Any) -> httpx2.Response:
        answer = client.get(address, params=query)
        answer.raise_for_status()
        return answer

    name = f"{CLASS2D}run_it025_data.star"
    merit = {"name": name, "sort": "rlnAutopickFigureOfMerit"}
    print(f"{count} particles: first {seconds(lambda: ask('/api/particles', name=name)):.3f} s,", end=" ")
    print(f"again {1e3 * median(lambda: ask('/api/particles', name=name)):.1f} ms", end=", ")
    print(f"in the order of a column {1e3 * median(lambda: ask('/api/particles/order', **merit)):.0f} ms")
    rows = ask("/api/particles/order", **merit).json()["rows"]
    for what, more in (("", {}), (", aligned", {"align": 1}), (", low-pass", {"low_pass": 20})):
        taken = []
        for number in range(REPEATS):
            some = ",".join(map(str, rows[128 * number : 128 * number + 128]))
            query = {"name": name, "images": some, "side": 64, "columns": 8, **more}
            taken.append(seconds(lambda query=query: ask("/image/particles", **query)))
        print(f"a sheet of 128{what}: {1e3 * statistics.median(taken):.1f} ms")
    classes_of = f"/api/classes/iteration/{CLASS2D.rstrip('/')}"
    print(f"{classes} classes with their scores: first {seconds(lambda: ask(classes_of)):.3f} s,", end=" ")
    print(f"again {1e3 * median(lambda: ask(classes_of)):.1f} ms")
    query = {"name": f"{CLASS2D}run_it025_classes.mrcs", "count": 128, "side": 64, "columns": 8}
    print(f"a sheet of 128 averages: {1e3 * median(lambda: ask('/image/stack', **query)):.1f} ms")
    sheet = ask("/image/particles", name=name, images=f"0,{count - 1}", side=64, columns=2, format="png")
    stacks = [read_stack(folder / f"{EXTRACT}m{number:03d}.mrcs") for number in (0, STACKS - 1)]
    ends = np.stack([stacks[0][0], stacks[1][(count - 1) % -(-count // STACKS)]])
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(sheet.content))), images.sheet(ends, 64, 2)
    )


def by_browser(program: str, link: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(link)
        page.wait_for_selector(".card")
        base = page.url.split("?")[0].rstrip("/")
        for what, address in (
            ("particles", f"/particles/{EXTRACT.rstrip('/')}?tile=64"),
            ("classes", f"/select/{CLASS2D.rstrip('/')}?tile=96"),
        ):

            def painted() -> None:
                page.wait_for_function(PAINTED)

            def opened(address: str = address) -> None:
                page.goto(base + address)
                painted()

            shown = seconds(opened)
            tiles = page.locator(".view > .body > .gallery .tile:not([hidden])").count()
            before = main_thread(session)
            times = np.array(page.evaluate(SCROLL, 300))
            busy = 1e3 * (main_thread(session) - before) / len(times)
            jumps = []
            for place in np.linspace(0.9, 0.1, 9):
                page.locator(".gallery").evaluate(
                    "(g, part) => { g.scrollTop = part * g.scrollHeight; }", place
                )
                jumps.append(seconds(painted))
            contrast = statistics.median(page.evaluate(CONTRAST) for _ in range(REPEATS))
            print(f"browser, {what}: {tiles} pictures in sight after {shown:.2f} s, after a jump", end=" ")
            print(f"{statistics.median(jumps):.3f} s, contrast {contrast:.0f} ms, frames", end=" ")
            print(f"{np.median(times):.1f} ms, 95 % within {np.percentile(times, 95):.1f} ms", end=", ")
            print(f"longest {times.max():.0f} ms, CPU time of the page's thread {busy:.1f} ms a frame")
        browser.close()


def main_thread(session: Any) -> float:
    """CPU time of the page's main thread, in seconds: it is the same however busy the computer is."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--particles", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=500)
    parser.add_argument("--box", type=int, default=64)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        make_project(folder, given.particles, given.classes, given.box)
        server, link = start(folder)
        try:
            address = link.split("?")[0]
            headers = {"origin": address.rstrip("/")}
            with httpx2.Client(base_url=address, headers=headers, timeout=60) as client:
                client.get(link)
                another = client.post("/api/link").json()["token"]
                by_requests(client, folder, given.particles, given.classes)
            if given.browser:
                by_browser(given.browser, f"{address}?token={another}")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
