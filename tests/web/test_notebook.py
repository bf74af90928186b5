"""Pictures in notebooks: the same picks, particles and averages as on the page."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import boxwood
from boxwood.errors import InputError
from boxwood.imaging.montage import thumbnail
from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.api import Project

AMBER = (255, 196, 64)


def first_tile(picture, side, label=False):
    top = 4 + 15 * label
    return picture.pixels[top : top + side, 4 : 4 + side]


def test_a_picture_is_shown_as_png_and_html(copy):
    picture = boxwood.show(copy / "Extract/job002")
    pixels = np.asarray(Image.open(io.BytesIO(picture._repr_png_())))
    np.testing.assert_array_equal(pixels, picture.pixels)
    count = len(ParticleSet.read(copy / "Extract/job002/particles.star"))
    assert f"<figcaption>{min(count, 60)} of {count} particles" in picture._repr_html_()
    saved = picture.save(copy / "a.png")
    assert saved.read_bytes() == picture._repr_png_()


def test_particles_in_the_order_of_a_column(copy):
    path = copy / "Class2D/job003/run_it003_data.star"
    particles = ParticleSet.read(path)
    merit = particles.table["rlnAutopickFigureOfMerit"].to_numpy()
    picture = boxwood.show(path, sort="rlnAutopickFigureOfMerit", reverse=True, count=4, side=64, columns=2)
    best = particles.images(copy).read(np.array([merit.argmax()]))[0]
    np.testing.assert_array_equal(first_tile(picture, 64), thumbnail(best, 64))
    assert picture.pixels.shape == (4 + 2 * 68, 4 + 2 * 68)
    of_class = boxwood.show(path, class_number=2, align=True, low_pass=30)
    count = (particles.table["rlnClassNumber"] == 2).sum()
    assert of_class.caption.endswith("class 2") and f"of {count} particles" in of_class.caption
    with pytest.raises(InputError, match="no such particles"):
        boxwood.show(path, class_number=7)
    with pytest.raises(InputError, match="classify it first"):
        boxwood.show(copy / "Extract/job002/particles.star", align=True)


def test_class_averages_with_the_largest_first(copy):
    picture = boxwood.show(copy / "Class2D/job003")
    share = read_star(copy / "Class2D/job003/run_it003_model.star")["model_classes"]["rlnClassDistribution"]
    averages = read_stack(copy / "Class2D/job003/run_it003_classes.mrcs")[:]
    largest = averages[share.to_numpy().argmax()]
    np.testing.assert_array_equal(first_tile(picture, 96, label=True), thumbnail(largest, 96, 4.0))
    turned = boxwood.show(copy / "Class2D/job003/run_it003_model.star", sort="share", reverse=True)
    np.testing.assert_array_equal(turned.pixels[19:115, 104:200], first_tile(picture, 96, label=True))
    with pytest.raises(InputError, match="sorted by share, resolution, score or number"):
        boxwood.show(copy / "Class2D/job003", sort="beauty")


def test_what_a_job_returns_is_shown(copy):
    result = Project(copy).select_classes(model="Class2D/job003/run_it003_model.star", classes=(2, 1))
    picture = boxwood.show(result)
    assert picture.caption.startswith("2 class averages")


def test_picks_stand_where_their_file_says(copy):
    job = copy / "AutoPick/job001"
    picture = boxwood.show(job, micrograph=1, low_pass=20)
    table = read_coordinates(job / "Micrographs/micrograph_002_autopick.star")
    assert picture.caption == f"{len(table)} picks on Micrographs/micrograph_002.mrc"
    rings = (picture.pixels == AMBER).all(axis=-1)
    radius = 180 / 3.54 / 2  # as wide as the job was told
    for x, y in zip(table["rlnCoordinateX"], table["rlnCoordinateY"], strict=True):
        right = round(x + radius)
        if 2 < right < 397 and 2 < y < 397:
            assert rings[round(y) - 2 : round(y) + 3, right - 2 : right + 3].any()
    same = boxwood.show(job, micrograph="Micrographs/micrograph_002.mrc", low_pass=20)
    np.testing.assert_array_equal(same.pixels, picture.pixels)
    with pytest.raises(InputError, match="picks of 3 micrographs, but not of 7"):
        boxwood.show(job, micrograph=7)


def test_arrays_and_stacks_are_shown(copy):
    stack = read_stack(copy / "Class2D/job003/run_it003_classes.mrcs")[:]
    from_file = boxwood.show(copy / "Class2D/job003/run_it003_classes.mrcs")
    np.testing.assert_array_equal(boxwood.show(stack).pixels, from_file.pixels)
    with pytest.raises(InputError, match="shape"):
        boxwood.show(np.zeros((3, 3)))


def test_what_cannot_be_shown_is_said(copy, tmp_path):
    with pytest.raises(InputError, match="there is no"):
        boxwood.show(copy / "nothing.star")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no picks, particles or class averages"):
        boxwood.show(tmp_path / "empty")


def test_notebooks_need_no_server():
    code = "import sys, boxwood; boxwood.show; assert not {'starlette', 'uvicorn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
