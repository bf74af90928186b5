"""Data that make no sense: the rest is used, or one sentence says what is wrong."""

import numpy as np
import pytest
from small import BOXES, CLASSES, PICK, STAR

from boxwood.errors import FileFormatError, InputError, JobError
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.star import read_star, write_star
from boxwood.io.star_parse import _MOST_COLUMNS
from boxwood.jobs.api import Project

MICROGRAPHS = [f"Micrographs/micrograph_00{i}.mrc" for i in (1, 2, 3)]
PARTICLES = "Extract/job002/particles.star"


class Listener:
    def __init__(self):
        self.warnings = []

    def event(self, kind, **data):
        if kind == "warning":
            self.warnings.append(data["text"])


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def project(copy, listener):
    return Project(copy, threads=2, reporter=listener)


def edit(path, new, change):
    """Write a STAR file after a change of its tables."""
    tables = read_star(path)
    change(tables)
    write_star(path.with_name(new), tables)


@pytest.mark.parametrize("columns", [_MOST_COLUMNS + 1, 1_000_000])
def test_a_table_of_a_million_columns_is_refused(project, copy, columns):
    labels = "\n".join(f"_rlnColumn{i} #{i + 1}" for i in range(columns))
    (copy / "wide.star").write_text(f"data_particles\n\nloop_\n{labels}\n{'0 ' * columns}\n")
    with pytest.raises(FileFormatError, match=r"wide.star line 10004, table .* more than 10000 columns"):
        project.class2d(particles="wide.star", **CLASSES)


def test_a_row_of_a_million_values_is_refused(project, copy):
    (copy / "wide.star").write_text(f"data_particles\n\nloop_\n_rlnImageName #1\n{'0 ' * 1_000_000}\n")
    with pytest.raises(FileFormatError, match=r"line 5, .* 1000000 columns, the header has 1"):
        project.class2d(particles="wide.star", **CLASSES)


def test_micrographs_that_are_no_numbers(project, copy, listener):
    """Picking leaves them out; extraction leaves out their particles, and fails if there are no others."""

    def spoil(names):
        for name in names:
            write_stack(copy / name, np.full((400, 400), np.nan, np.float32), 3.54)

    spoil(MICROGRAPHS[1:2])
    assert [name for name, _ in project.autopick(**PICK).bad] == MICROGRAPHS[1:2]
    table = project.extract(**BOXES).tables["particles"]
    assert set(table["rlnMicrographName"]) == {MICROGRAPHS[0], MICROGRAPHS[2]}
    assert any("15 particles have pixels that are no numbers" in text for text in listener.warnings)
    spoil(MICROGRAPHS)
    with pytest.raises(JobError, match=r"none of the 3 micrographs could be used; .* pixels are not finite"):
        project.autopick(**PICK)
    with pytest.raises(JobError, match="no particle was extracted from 3 micrographs"):
        project.extract(**BOXES)


def with_pixels(label, size):
    def change(tables):
        tables["optics"][label] = size

    return change


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf])
def test_pixel_sizes_that_are_none_are_refused(project, copy, size):
    edit(copy / "micrographs_ctf.star", "m.star", with_pixels("rlnMicrographPixelSize", size))
    edit(copy / PARTICLES, "p.star", with_pixels("rlnImagePixelSize", size))
    said = r"has a _rln\w+PixelSize in data_optics that is no positive number"
    for job, options in (("autopick", PICK), ("extract", BOXES)):
        with pytest.raises(InputError, match=said):
            project.job(job, **options | {"micrographs": "m.star"})
    with pytest.raises(InputError, match=said):
        project.class2d(particles="Extract/job002/p.star", **CLASSES)


@pytest.mark.parametrize("factor", [0.1, 2, 1e-6])
def test_pixel_sizes_that_are_not_those_of_the_images_are_told(project, copy, listener, factor):

    def told():
        return sum("Å by its header and" in text for text in listener.warnings)

    edit(copy / "micrographs_ctf.star", "m.star", with_pixels("rlnMicrographPixelSize", 3.54 * factor))
    project.extract(**BOXES | {"micrographs": "m.star"})
    assert told() == 1
    edit(copy / PARTICLES, "p.star", with_pixels("rlnImagePixelSize", 7.08 * factor))
    project.class2d(particles="Extract/job002/p.star", **CLASSES | {"mask_diameter": 150 * factor})
    assert told() == 2


def first(count):
    def keep(tables):
        tables["particles"] = tables["particles"].iloc[:count]

    return keep


def test_no_particles_are_refused(project, copy):
    lines = (copy / PARTICLES).read_text().splitlines()
    (copy / "p.star").write_text("\n".join(line for line in lines if "@" not in line) + "\n")
    refusals = {
        "class2d": ({"particles": "p.star", **CLASSES}, "p.star has no particles; give a file that has some"),
        "extract": ({"reextract": "p.star", "box_size": 64, **STAR}, "none of the particles in p.star"),
        "select-particles": ({"particles": "p.star", "split": 2}, "0 rows cannot be split"),
        "export": ({"directory": "out", "to": "text", "particles": "p.star"}, "there are no coordinates"),
    }
    for job, (options, said) in refusals.items():
        with pytest.raises(InputError, match=said):
            project.job(job, **options)


def test_one_particle(project, copy):
    """Whatever can be done with it is."""
    edit(copy / PARTICLES, "p.star", first(1))
    one = {"particles": "Extract/job002/p.star"}
    assert project.extract(reextract=one["particles"], box_size=64, **STAR).values["particles"] == 1
    assert project.export(directory="out", to="text", **one).files
    with pytest.raises(InputError, match="1 usable particles are too few for 2 classes"):
        project.class2d(**one, **CLASSES)
    result = project.class2d(**one, **CLASSES | {"classes": 1})
    assert result.tables["particles"]["rlnClassNumber"].tolist() == [1]
    assert np.isfinite(read_stack(copy / "Class2D/job006/run_it003_classes.mrcs")[:]).all()


def test_one_micrograph_among_ten_thousand_bad(copy):
    """Missing, empty, garbage and cut off."""
    (copy / "Many").mkdir()
    names = [f"Many/m{i}.mrc" for i in range(10_000)]
    kinds = [b"", b"garbage" * 200, (copy / MICROGRAPHS[0]).read_bytes()[:5000]]
    for i, name in enumerate(names):
        if i % 4 < 3:
            (copy / name).write_bytes(kinds[i % 4])
    names[7_000] = MICROGRAPHS[0]

    def list_them(tables):
        rows = tables["micrographs"].iloc[[0] * len(names)]
        tables["micrographs"] = rows.assign(rlnMicrographName=names)

    edit(copy / "micrographs_ctf.star", "many.star", list_them)
    result = Project(copy, threads=2).autopick(**PICK | {"micrographs": "many.star"})
    assert result.values == {"picks": 19, "micrographs": 1} and len(result.bad) == 9_999
    *each, last = (copy / "AutoPick/job004/run.err").read_text().splitlines()
    assert len(each) == 9_999
    assert "9999 inputs left out: Many/m0.mrc" in last and last.endswith("and 9979 more, named above")
