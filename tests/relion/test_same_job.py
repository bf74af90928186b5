"""The same jobs by both programs, in one project: their files compared field by field."""

import shutil
import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from boxwood.io.mrc import read_image
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.project.folder import ProjectFolder

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_pipeliner") is None, reason="RELION is not installed"),
]
OURS = {"AutoPick": "AutoPick/job001/", "Extract": "Extract/job002/", "Class2D": "Class2D/job003/"}
THEIRS = {"AutoPick": "AutoPick/job004/", "Extract": "Extract/job005/", "Class2D": "Class2D/job006/"}
# Our pictures and settings, RELION's plots; and what says when, and by whom.
OWN = {".boxwood.json", ".png", ".npz", ".eps", ".pdf", ".lst", ".spi", ".mrc"}
BOOKS = {"note.txt", "run.out", "run.err", "job_pipeline.star", "default_pipeline.star", "job.star"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Picked, extracted and classified twice, of square micrographs, around which there is no noise."""
    folder = tmp_path_factory.mktemp("same")
    ours = Project(folder, threads=2)
    ours.simulate(directory=".", micrographs=3, width=500, height=500, pixel_size=3.54, particles=20, snr=0.3)
    star = {"micrographs": "micrographs_ctf.star"}
    ours.autopick(**star, min_diameter=150, max_diameter=180, threshold_offset=1, write_fom_maps=True)
    ours.extract(**star, coordinates="AutoPick/job001", box_size=80, rescale=32, background_diameter=64)
    ours.class2d(
        particles="Extract/job002/particles.star",
        classes=2,
        iterations=2,
        mask_diameter=180,
        psi_step=12,
        offset_range=3,
        noise_groups="micrograph",
    )
    for kind, name in OURS.items():
        relion("relion_pipeliner", "--addJobFromStar", f"{name}job.star", cwd=folder)
        relion("relion_pipeliner", "--RunJobs", THEIRS[kind], "--sec_wait_after", "0", "--schedule", kind,
               cwd=folder)  # fmt: skip
    return folder


def relion(*words, cwd):
    return subprocess.run(words, cwd=cwd, check=True, capture_output=True, text=True, timeout=300).stdout


def files(folder, kind):
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not any(name.endswith(end) for end in OWN) and name not in BOOKS}


def both(project, kind, name):
    """One STAR file of both, where RELION's names its own job by our name."""
    ours, theirs = (read_star(project / jobs[kind] / name) for jobs in (OURS, THEIRS))
    for table in theirs.values():
        if isinstance(table, pd.DataFrame):
            for label in table:
                if table[label].dtype == object or str(table[label].dtype) == "str":
                    table[label] = table[label].str.replace(THEIRS[kind], OURS[kind])
    return ours, theirs


@pytest.mark.parametrize("kind", OURS)
def test_the_files_are_the_same(project, kind):
    missing = {"Class2D": {"run_unmasked_classes.mrcs"}}.get(kind, set())
    ours, theirs = (files(project / jobs[kind], kind) for jobs in (OURS, THEIRS))
    assert ours == theirs - missing and missing <= theirs
    books = BOOKS | {"RELION_JOB_EXIT_SUCCESS"}
    assert all((project / jobs[kind] / name).exists() for jobs in (OURS, THEIRS) for name in books)


@pytest.mark.parametrize("kind", OURS)
def test_job_star_and_notes_have_the_same_form(project, kind):
    ours, theirs = ((project / jobs[kind] / "job.star").read_bytes() for jobs in (OURS, THEIRS))
    assert ours == theirs
    notes = [(project / jobs[kind] / "note.txt").read_text().splitlines() for jobs in (OURS, THEIRS)]
    for note in notes:
        assert note[0] == "" and note[1].startswith(" ++++ Executing new job on ") and note[-1] == " ++++ "
        assert note[2] == " ++++ with the following command(s): "


@pytest.mark.parametrize("kind", OURS)
def test_the_books_of_the_job_are_the_same(project, kind):
    ours, theirs = both(project, kind, "job_pipeline.star")
    assert list(ours) == list(theirs)
    for name, table in theirs.items():
        assert list(ours[name]) == list(table)
    jobs = {job.name: job for job in ProjectFolder(project).pipeline().jobs()}
    mine, other = jobs[OURS[kind]], jobs[THEIRS[kind]]
    assert mine.status == other.status == "Succeeded" and mine.inputs == other.inputs
    outputs = {name.replace(THEIRS[kind], OURS[kind]) for name in other.outputs}
    assert outputs - {f"{OURS[kind]}logfile.pdf"} == set(mine.outputs)  # we draw pictures


def assert_same_numbers(ours, theirs):
    """Equal to the last digit that RELION prints of a float32."""
    assert list(ours) == list(theirs)
    for label in theirs:
        if theirs[label].dtype.kind == "f":
            np.testing.assert_allclose(ours[label], theirs[label], rtol=1e-6, atol=1.5e-6)
        else:
            assert ours[label].tolist() == theirs[label].tolist()


def test_picks(project):
    names = [f"Micrographs/micrograph_{i:03d}_autopick.star" for i in (1, 2, 3)]
    for name in [*names, "summary.star"]:
        ours, theirs = both(project, "AutoPick", name)
        assert list(ours) == list(theirs) == [""]
        assert len(theirs[""])
        assert_same_numbers(ours[""], theirs[""])
    suffix = "coords_suffix_autopick.star"
    texts = {(project / jobs["AutoPick"] / suffix).read_text() for jobs in (OURS, THEIRS)}
    assert texts == {"micrographs_ctf.star\n"}


@pytest.mark.parametrize("name", ["particles.star", "Micrographs/micrograph_002_extract.star"])
def test_particles(project, name):
    ours, theirs = both(project, "Extract", name)
    assert list(ours) == list(theirs)
    for table in theirs:
        assert_same_numbers(ours[table], theirs[table])


@pytest.mark.parametrize("kind", ["data", "model", "optimiser", "sampling"])
def test_tables_of_an_iteration(project, kind):
    ours, theirs = both(project, "Class2D", f"run_it002_{kind}.star")
    assert [name for name in ours if not name.startswith("boxwood_")] == list(theirs)
    for name, table in theirs.items():
        assert list(ours[name]) == list(table), name
        assert len(ours[name]) == len(table), name


def test_settings_of_an_iteration(project):
    """Every key of the optimiser and the grid that no estimate decides."""
    ours, theirs = both(project, "Class2D", "run_it002_optimiser.star")
    mine, other = ours["optimiser_general"], theirs["optimiser_general"]
    found = ("Best", "Accuracy", "Changes", "WithoutChanging", "WithoutResolution", "Seed", "Pooled")
    for key, value in other.items():
        if not any(word in key for word in found):
            same = str(value).replace(THEIRS["Class2D"], OURS["Class2D"])
            assert str(mine[key]) == same, key
    ours, theirs = both(project, "Class2D", "run_it002_sampling.star")
    for key, value in theirs["sampling_general"].items():
        if key != "rlnSamplingPerturbInstance":
            assert ours["sampling_general"][key] == pytest.approx(value), key
    ours, theirs = both(project, "Class2D", "run_it002_model.star")
    general = (
        "Dimensionality",
        "OriginalImageSize",
        "PaddingFactor",
        "Interpolat",
        "Nr",
        "Prior",
        "PixelSize",
    )
    for key, value in theirs["model_general"].items():
        if any(word in key for word in general):
            assert ours["model_general"][key] == value, key
    assert_same_numbers(
        ours["model_groups"].drop(columns="rlnGroupScaleCorrection"),
        theirs["model_groups"].drop(columns="rlnGroupScaleCorrection"),
    )
    for k in (1, 2):
        for label in ("rlnSpectralIndex", "rlnResolution", "rlnAngstromResolution"):
            mine, other = (tables[f"model_class_{k}"][label] for tables in (ours, theirs))
            np.testing.assert_allclose(mine, other, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "name"), [("Extract", "Micrographs/micrograph_001.mrcs"), ("Class2D", "run_it002_classes.mrcs")]
)
def test_headers_of_stacks(project, kind, name):
    ours, theirs = (
        mrcfile.open(project / jobs[kind] / name, permissive=True, header_only=True).header
        for jobs in (OURS, THEIRS)
    )
    # Ours follows the MRC2014 rules for stacks, where RELION 3.1 does not.
    broken = {"nversion", "label"} | ({"mz"} if kind == "Class2D" else set())
    measured = {"dmin", "dmax", "dmean", "rms"}
    for field in theirs.dtype.names:
        if field == "cella":
            assert ours[field].tolist()[:2] == theirs[field].tolist()[:2]
        elif field in measured and kind == "Extract":
            assert float(ours[field]) == pytest.approx(float(theirs[field]), rel=1e-5, abs=1e-6)
        elif field not in broken | measured:
            assert ours[field].tolist() == theirs[field].tolist(), field


def test_fom_maps_are_read_by_relion(project):
    """And are the maps that RELION writes."""
    name = "Micrographs/micrograph_001_autopick_bestLoG"
    ours, theirs = f"{OURS['AutoPick']}{name}.mrc", f"{THEIRS['AutoPick']}{name}.spi"
    relion("relion_image_handler", "--i", theirs, "--o", "theirs.mrc", "--angpix", "1", cwd=project)
    relion("relion_image_handler", "--i", ours, "--o", "ours.mrc", "--multiply_constant", "2", cwd=project)
    mine, again, other = (read_image(project / path).data for path in (ours, "ours.mrc", "theirs.mrc"))
    np.testing.assert_array_equal(again, 2 * mine)
    # Both are float32 sums over the spectrum: some units in the last place of the largest value.
    assert np.abs(mine - other).max() <= 1e-5 * np.abs(other).max()


def test_relion_prints_and_handles_our_tables(project):
    for name, table in (
        (f"{OURS['AutoPick']}Micrographs/micrograph_001_autopick.star", "data_"),
        (f"{OURS['Extract']}particles.star", "data_particles"),
        (f"{OURS['Class2D']}run_it002_data.star", "data_particles"),
        (f"{OURS['Class2D']}run_it002_model.star", "data_model_classes"),
    ):
        printed = relion("relion_star_printtable", name, table, cwd=project)
        rows = read_star(project / name)[table.removeprefix("data_")]
        assert len(printed.splitlines()) == len(rows)
    for name in (f"{OURS['Extract']}particles.star", f"{OURS['Class2D']}run_it002_data.star"):
        words = ("--i", name, "--o", "again.star", "--select", "rlnDefocusU")
        relion("relion_star_handler", *words, cwd=project)
        again, rows = read_star(project / "again.star")["particles"], read_star(project / name)["particles"]
        pd.testing.assert_frame_equal(again, rows)
    assert Path(project / "again.star").read_text().count("# version 30001") == 2
