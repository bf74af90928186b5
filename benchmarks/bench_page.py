"""Time what the page waits for: micrographs, tiles, sheets, a long list of jobs, forms; a tile is checked.

python benchmarks/bench_page.py [--shapes 4096x4096 8192x11520] [--particles 100000] [--jobs 1000]
                                [--browser chromium]

Seconds by the clock, of requests over HTTP to a server in a process of its own; "first" is the first request
for a micrograph (whose file the system has just written, so that the disk plays no part), the others are
medians of 20. With a browser, also from opening the list of jobs to its last line, and from a number typed
into a form to the command line.
"""

import argparse
import io
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image

from boxwood.io.mrc import StackWriter, read_image, write_stack
from boxwood.project.folder import ProjectFolder
from boxwood.web import images
from boxwood.web.serve import start

REPEATS = 20
BOX_PX = 64


def make_project(folder: Path, shapes: list[tuple[int, int]], particles: int, jobs: int) -> None:
    """Micrographs of noise, a stack of noise, and books with many jobs."""
    rng = np.random.default_rng(1)
    for number, shape in enumerate(shapes):
        write_stack(folder / f"m{number}.mrc", rng.standard_normal((1, *shape), dtype=np.float32), 0.885)
    with StackWriter(folder / "particles.mrcs", 3.54) as stack:
        for start in range(0, particles, 1000):
            stack.append(
                rng.standard_normal((min(1000, particles - start), BOX_PX, BOX_PX), dtype=np.float32)
            )
    with ProjectFolder(folder).edit() as pipeline:
        for number in range(1, jobs + 1):
            name = f"Extract/job{number:03d}/"
            (folder / name).mkdir(parents=True)
            (folder / name / "job.star").touch()
            pipeline.add_process(name, 5, "relion.extract", "Succeeded")
            pipeline.add_output(name, f"{name}particles.star", "particles")
        pipeline.counter = jobs + 1


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def median(work: Callable[[], Any]) -> float:
    return statistics.median(seconds(work) for _ in range(REPEATS))


def check(client: httpx2.Client, folder: Path) -> None:
    """Stop if a tile is not what the file says."""
    answer = client.get("/image/tile?name=m0.mrc&level=1&column=1&row=1&format=png")
    got = np.asarray(Image.open(io.BytesIO(answer.content)))
    level = images.make_pyramid(read_image(folder / "m0.mrc").data).levels[1]
    size = images.TILE_PX
    np.testing.assert_array_equal(got, level.pixels[size : 2 * size, size : 2 * size])


def by_requests(client: httpx2.Client, shapes: list[tuple[int, int]], particles: int, jobs: int) -> None:
    def ask(address: str) -> httpx2.Response:
        answer = client.get(address)
        answer.raise_for_status()
        return answer

    for number, (ny, nx) in enumerate(shapes):
        name = f"m{number}.mrc"
        first = seconds(lambda name=name: ask(f"/image/micrograph?name={name}&size=1200"))
        again = median(lambda name=name: ask(f"/image/micrograph?name={name}&size=1200"))
        tile = median(lambda name=name: ask(f"/image/tile?name={name}&column=1&row=1"))
        print(f"{ny} x {nx}: first view {first:.3f} s, again {again:.3f} s, a tile {1e3 * tile:.1f} ms")
    rng = np.random.default_rng(2)
    rows = [",".join(map(str, rng.integers(particles, size=100))) for _ in range(REPEATS)]
    sheet = statistics.median(
        seconds(lambda row=row: ask(f"/image/stack?name=particles.mrcs&side=64&images={row}")) for row in rows
    )
    print(f"100 of {particles} particles anywhere in a stack: {1e3 * sheet:.1f} ms")
    print(f"a list of {jobs} jobs: {1e3 * median(lambda: ask('/api/project')):.1f} ms")
    form = {
        "values": {"particles": "particles.star", "mask_diameter": "1"},
        "alias": "",
        "continue": "",
        "threads": 0,
    }
    print(f"a form checked: {1e3 * median(lambda: client.post('/api/form/class2d/check', json=form)):.1f} ms")


def by_browser(program: str, link: str, jobs: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(link)
        page.wait_for_selector(".card")
        address = page.url.split("?")[0]
        shown = seconds(
            lambda: (
                page.goto(address),
                page.wait_for_selector(f".card:nth-child({jobs})", state="attached"),
            )
        )
        print(f"browser, {jobs} jobs listed: {shown:.3f} s")
        page.goto(f"{address}new/autopick?micrographs=m0.mrc&max_diameter=180")
        page.get_by_role("tab", name="Laplacian").click()
        field = page.get_by_label("Min diameter")

        numbers = iter(range(100, 180))

        def type_one() -> None:
            field.fill(str(number := next(numbers)))
            page.wait_for_selector(f".command:has-text('{number}.0')")

        print(f"browser, from a number typed to the command line: {median(type_one):.3f} s")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs="+", default=["4096x4096", "8192x11520"], metavar="ROWSxCOLUMNS")
    parser.add_argument("--particles", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    given = parser.parse_args()
    shapes = [(int(ny), int(nx)) for ny, nx in (shape.split("x") for shape in given.shapes)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        make_project(folder, shapes, given.particles, given.jobs)
        server, link = start(folder)
        try:
            address = link.split("?")[0]
            with httpx2.Client(
                base_url=address, headers={"origin": address.rstrip("/")}, timeout=60
            ) as client:
                client.get(link)
                another = client.post("/api/link").json()["token"]
                by_requests(client, shapes, given.particles, given.jobs)
                check(client, folder)
            if given.browser:
                by_browser(given.browser, f"{address}?token={another}", given.jobs)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
