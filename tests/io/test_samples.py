"""Every file of two real projects and of all other samples, read as what it is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from real_data import DATA

from boxwood.errors import FileFormatError, InputError
from boxwood.io.class2d_model import read_model
from boxwood.io.class2d_optimiser import fine_sampling
from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_stack
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star
from boxwood.project.job_files import MARKERS, exit_status
from boxwood.project.job_form import JobForm
from boxwood.project.pipeline import STATUSES, Pipeline

FORMATS = DATA / "formats"
FILES = sorted(path.relative_to(FORMATS) for path in FORMATS.rglob("*") if path.is_file())
needs_data = pytest.mark.skipif(not FORMATS.is_dir(), reason=f"no real data at {FORMATS} (set BOXWOOD_DATA)")
IMAGES = {".mrc", ".mrcs", ".ccp4", ".map", ".tif", ".png", ".ctf"}
# What no program reads again: messages, notes, licences, and settings of other programs.
FOR_PEOPLE = {"note.txt", "run.out", "run.err", ".run.out.tail", ".run.err.tail", "LICENSE"}
OF_OTHERS = {".xml", ".npy", ".log", ".com", ".txt"}
REFUSED = {
    "NOTMRC_pytom_human_ribo_mask_Mirrored.mrc": "is not an MRC file",
    "not_an_mrc_emd_3197.png": "expected a grey image",
    "gray.c8.tif": "expected real numbers",
}


def is_image(path):
    name = path.name.removesuffix(".gz").removesuffix(".bz2")
    return Path(name).suffix in IMAGES


@needs_data
def test_no_file_is_forgotten():
    rest = [
        path
        for path in FILES
        if not is_image(path)
        and path.suffix not in {".star", ".box", ".job"} | OF_OTHERS
        and path.name not in FOR_PEOPLE | set(MARKERS.values())
    ]
    assert rest == [] and len(FILES) > 280


def every(fits):
    """Parametrise a test by all files that fit."""
    return pytest.mark.parametrize("path", [path for path in FILES if fits(path)], ids=str)


@needs_data
@every(is_image)
def test_images(path):
    if path.name in REFUSED:
        with pytest.raises(FileFormatError, match=REFUSED[path.name]):
            read_stack(FORMATS / path)
        return
    stack = read_stack(FORMATS / path)
    first = stack[0]
    assert first.shape == stack.shape[1:] and first.dtype == np.float32
    assert np.isfinite(first).all()


@needs_data
@every(lambda path: path.suffix == ".box")
def test_boxes(path):
    assert len(read_coordinates(FORMATS / path)) > 0


@needs_data
@every(lambda path: path.suffix == ".job")
def test_run_job(path):
    read_form(FORMATS / path)


@needs_data
@every(lambda path: path.name in MARKERS.values())
def test_ends_of_jobs(path):
    assert exit_status((FORMATS / path).parent) == "Succeeded"


def read_form(path):
    """Forms of the six kinds of jobs that are done here; those of others are refused by their kind."""
    try:
        form = JobForm.read(path)
    except InputError as error:
        assert "which boxwood does not run; run it in RELION" in str(error)
        return
    assert form.joboptions and form.number in (0, 3, 4, 5, 7, 8)


def read_pipeline(path):
    pipeline = Pipeline.read(path)
    assert pipeline.counter > 0
    for job in pipeline.jobs():
        assert job.status in STATUSES and job.name.endswith("/")
        assert pipeline.dependents([job.name])[0] == job.name


def read_averages(path):
    """A model; where its averages are not there, it is named."""
    try:
        model = read_model(path)
    except (FileFormatError, OSError) as error:
        assert ".mrcs" in str(error) or "rln" in str(error)
        return
    assert len(model.averages) == len(model.shares)


def columns(tables):
    return {label for table in tables.values() if isinstance(table, pd.DataFrame) for label in table}


@needs_data
@every(lambda path: path.suffix == ".star")
def test_star_files(path):
    """Each by all readers of what it holds."""
    path = FORMATS / path
    if path.name.startswith("coords_suffix_"):
        files = coordinate_files(path)
        assert files and all(len(read_coordinates(file)) for file in files.values())
        return
    tables = read_star(path)
    labels = columns(tables)
    if "pipeline_general" in tables:
        read_pipeline(path)
    if "joboptions_values" in tables:
        read_form(path)
    if "coordinate_files" in tables:
        coordinate_files(path)
    if "sampling_general" in tables and "rlnOffsetStep" in tables["sampling_general"]:
        assert all(value > 0 for value in fine_sampling(tables["sampling_general"], 1))
    if "model_classes" in tables:
        read_averages(path)
    if "rlnImageName" in labels:
        particles = ParticleSet.read(path)
        assert len(particles) and set(particles.table["rlnOpticsGroup"]) <= set(
            particles.optics["rlnOpticsGroup"]
        )
    if "rlnMicrographName" in labels and "coordinate_files" not in tables:
        assert len(MicrographSet.read(path))
    if {"rlnCoordinateX", "rlnCoordinateY"} <= labels:
        assert len(read_coordinates(path))
