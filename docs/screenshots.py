"""Make the pictures of docs/browser.md and docs/tutorial.md, from a simulated project that is made first.

python docs/screenshots.py [--project DIR] [--all DIR] [--browser chromium] [NAME ...]

Without --project, `boxwood demo` makes one; a given one is the result of `boxwood demo`, and
a copy of it is shown. Pictures go to docs/images/, those of more than 300 kB with fewer colours. --all puts
every view at two sizes, light and dark, into a folder, to be looked at.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import boxwood
from boxwood.web.serve import start

HERE = Path(__file__).parent
MOST_BYTES = 300_000


def nothing(page: Page) -> None:
    """The view as it opens."""


def start_class2d(page: Page) -> None:
    """A classification under way, whose page is shown."""
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".state progress")
    page.get_by_text("iteration 2:").wait_for(timeout=120_000)


def laplacian(page: Page) -> None:
    """A form that is being filled in."""
    page.get_by_role("tab", name="Laplacian").click()
    page.get_by_label("Min diameter").fill("150")
    page.get_by_label("Max diameter").fill("120")
    page.wait_for_selector(".problem:has-text('less than')")


def tab(name: str) -> Callable[[Page], None]:
    """A form, opened at this tab."""
    return lambda page: page.get_by_role("tab", name=name, exact=True).click()


def mark_particles(page: Page) -> None:
    """Bad particles, at the end of the order of their figures of merit."""
    for place in (3, 17, 18):
        page.locator(f".tile[data-place='{place}']").click()


def open_class(page: Page) -> None:
    """One class with its particles."""
    page.get_by_role("option", name="class 3", exact=True).click()
    page.locator(".members .tile").first.wait_for()


def select_classes(page: Page) -> None:
    """The good ones, by score and one by hand."""
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Score at least").click()
    page.locator(".tile[data-place='1']").click()


def fitted(page: Page) -> None:
    """A micrograph with all its tiles."""
    page.wait_for_selector(".viewer[data-state=ready]")


def tried(page: Page) -> None:
    """Automatic picking that was tried on a few micrographs."""
    fitted(page)
    page.get_by_role("button", name="Try on the first").click()
    page.wait_for_selector(".tried[data-state=ready]")


def learned(page: Page) -> None:
    """Adaptive picking that has learned."""
    fitted(page)
    page.get_by_role("button", name="Learn", exact=True).click()
    page.wait_for_selector(".tuning[data-state=ready]", timeout=300_000)


@dataclass(frozen=True)
class Shot:
    """A view: name of the picture, address, and what is done there before it is taken."""

    name: str
    address: str
    prepare: Callable[[Page], None] = nothing


SHOTS = [
    Shot("jobs", "/"),
    Shot("form", "/new/autopick", laplacian),
    Shot("running", "/new/class2d?like=Class2D/job003&iterations=200", start_class2d),
    Shot("job", "/job/Class2D/job003"),
    Shot(
        "particles",
        "/particles/Extract/job002?sort=rlnAutopickFigureOfMerit&low_pass=40&tile=152",
        mark_particles,
    ),
    Shot("classes", "/classes/Class2D/job003?iteration=7", open_class),
    Shot("select", "/select/Class2D/job003?sort=share", select_classes),
    Shot("micrographs", "/micrographs/AutoPick/job001"),
    Shot("picking", "/pick/AutoPick/job001?name=Micrographs/micrograph_002.mrc", fitted),
    Shot(
        "form_manual_pick",
        "/new/manual-pick?micrographs=micrographs_ctf.star&diameter=100&scale=0.25",
        tab("Display"),
    ),
    Shot(
        "form_autopick",
        "/new/autopick?micrographs=micrographs_ctf.star&min_diameter=150&max_diameter=180",
        tab("Laplacian"),
    ),
    Shot(
        "form_extract",
        "/new/extract?micrographs=micrographs_ctf.star&coordinates=AutoPick/job001"
        "&box_size=256&rescale=64&background_diameter=200",
        tab("extract"),
    ),
    Shot(
        "form_class2d",
        "/new/class2d?particles=Extract/job002/particles.star&classes=50&mask_diameter=200",
        tab("Optimisation"),
    ),
    Shot(
        "tuning",
        "/pick/AutoPick/job001?name=Micrographs/micrograph_002.mrc&tune=1&threshold_offset=1",
        tried,
    ),
    Shot(
        "tuning_adaptive",
        "/pick/AutoPick/job001?name=Micrographs/micrograph_002.mrc&tune=1&method=adaptive&max_local_fdr=0.1",
        learned,
    ),
]
# Iterations whose averages stand below one another, as in the tutorial.
ITERATIONS, AVERAGES = (1, 3, 7, 25), 12
SIZES = ((1280, 720), (1920, 1080))


def averages(project: Path) -> dict[str, Image.Image]:
    """Class averages by `boxwood.show`: all in the end, and a few on the way."""
    job = project / "Class2D/job003"
    final = boxwood.show(job, columns=9, side=84).pixels
    rows = [
        boxwood.show(job / f"run_it{n:03d}_classes.mrcs", count=AVERAGES, columns=AVERAGES, side=72).pixels
        for n in ITERATIONS
    ]
    stacked = np.concatenate(rows)
    return {"demo_classes": Image.fromarray(final), "iterations": Image.fromarray(stacked)}


def show(page: Page, base: str, shot: Shot) -> None:
    page.goto(base + shot.address)
    page.wait_for_selector("main > :not(.waiting)")
    shot.prepare(page)
    page.wait_for_load_state("load")
    page.wait_for_timeout(1000)  # pictures


def write(picture: Image.Image, path: Path) -> None:
    """Write a picture, with as many colours as stay within `MOST_BYTES`."""
    picture = picture.convert("RGB")
    for colours in (256, 64, 32, 16):
        stream = BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
        if stream.tell() <= MOST_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())
    print(f"{path} {stream.tell() / 1e3:.0f} kB, {colours} colours")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these pictures")
    parser.add_argument("--project", type=Path)
    parser.add_argument("--all", type=Path, metavar="DIR")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    given = parser.parse_args()
    shots = [shot for shot in SHOTS if not given.names or shot.name in given.names]
    with tempfile.TemporaryDirectory() as name:
        project = Path(name) / "betagal"
        if given.project:
            shutil.copytree(given.project, project, symlinks=True)
        else:
            subprocess.run([sys.executable, "-m", "boxwood", "demo", str(project)], check=True)
        for name, picture in averages(project).items():
            if not given.all and (not given.names or name in given.names):
                write(picture, HERE / "images" / f"{name}.png")
        server, link = start(project)
        try:
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
                page = browser.new_page(locale="en-GB", reduced_motion="reduce")
                page.goto(link)
                page.wait_for_selector("main > :not(.waiting)")
                base = re.match(r"http://[^/]+", page.url)[0]
                for shot in shots:
                    for width, height in SIZES if given.all else SIZES[:1]:
                        page.set_viewport_size({"width": width, "height": height})
                        for scheme in ("light", "dark") if given.all else ("light",):
                            page.emulate_media(color_scheme=scheme)
                            show(page, base, shot)
                            if given.all:
                                given.all.mkdir(parents=True, exist_ok=True)
                                page.screenshot(path=given.all / f"{shot.name}-{width}-{scheme}.png")
                            else:
                                picture = Image.open(BytesIO(page.screenshot()))
                                write(picture, HERE / "images" / f"{shot.name}.png")
                            stop(page)
                browser.close()
        finally:
            server.terminate()
            server.wait()


def stop(page: Page) -> None:
    """Cancel the job that is shown, if it runs."""
    cancel = page.get_by_role("button", name="Cancel")
    if cancel.count() and cancel.is_visible():
        cancel.click()
        page.get_by_text("aborted").wait_for()


if __name__ == "__main__":
    main()
