"""Picking with templates: files, maps that are read again, forms, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import InputError, JobError
from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.star import write_star
from boxwood.jobs.api import Project
from boxwood.jobs.from_form import job_of
from boxwood.picking.agreement import Agreement, agreement
from boxwood.project.job_form import JobForm
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.rotations import rotation_matrices

PIXEL = 3.54
LABELS = ["rlnCoordinateX", "rlnCoordinateY", "rlnClassNumber", "rlnAutopickFigureOfMerit", "rlnAnglePsi"]
GIVEN = {
    "micrographs": "micrographs_ctf.star",
    "references": "class_averages.star",
    "score": "relion",
    "mask_diameter": 190,
    "angular_sampling": 30,
    "picking_threshold": 0.8,
    "max_stddev_noise": -1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("templates")
    Project(folder, threads=2).simulate(
        directory=".", micrographs=2, width=640, height=560, pixel_size=PIXEL, particles=22, snr=0.5
    )
    views = np.array([[20, 80, 0], [75, 40, 10], [40, 15, 0], [120, 60, 0]], float)
    images = beta_galactosidase().project(rotation_matrices(views), 64, PIXEL)
    write_stack(folder / "references.mrcs", 0.5 / images.std() * images, PIXEL)
    names = [f"{i:06d}@references.mrcs" for i in range(1, 5)]
    write_star(folder / "class_averages.star", {"": pd.DataFrame({"rlnReferenceImage": names})})
    return folder


@pytest.fixture(scope="module")
def picked(folder):
    return Project(folder, threads=2).autopick(**GIVEN, write_fom_maps=True)


def tables(result):
    return [read_coordinates(path) for path in sorted(result.output.rglob("micrograph_*_autopick.star"))]


def test_references_mean_templates(picked, folder):
    """Particles are found, and RELION's columns written in its order."""
    from boxwood.io.star import read_star

    found = tables(picked)
    truth = read_star(folder / "truth.star")["particles"]
    total = 0
    for i, table in enumerate(found, 1):
        assert list(table) == LABELS
        assert set(table["rlnClassNumber"]) <= {1, 2, 3, 4}
        assert table["rlnAnglePsi"].mod(30).eq(0).all()
        here = truth[truth["rlnMicrographName"].str.contains(f"micrograph_{i:03d}")]
        at = ["rlnCoordinateX", "rlnCoordinateY"]
        total += agreement(table[at].to_numpy(), here[at].to_numpy(), 12.0).matched
    assert total >= 30


def test_the_matched_filter_finds_them_too(folder):
    """With a calibrated score, whose column says how many are background."""
    from boxwood.io.star import read_star

    given = {name: GIVEN[name] for name in ("micrographs", "references", "angular_sampling")}
    result = Project(folder, threads=2).autopick(**given)
    truth = read_star(folder / "truth.star")["particles"]
    at, total = ["rlnCoordinateX", "rlnCoordinateY"], Agreement()
    for i, table in enumerate(tables(result), 1):
        assert list(table) == [*LABELS, "boxwoodLocalFdr"]
        assert (table["boxwoodLocalFdr"] <= 0.5).all()
        assert table["rlnAutopickFigureOfMerit"].is_monotonic_decreasing
        here = truth[truth["rlnMicrographName"].str.contains(f"micrograph_{i:03d}")]
        total += agreement(table[at].to_numpy(), here[at].to_numpy(), 12.0)
    assert total.recall > 0.8 and total.precision > 0.8


def test_maps_are_read_again(picked, folder):
    """Another threshold, in an instant, without the micrographs being filtered."""
    first = tables(picked)
    maps = sorted(picked.output.rglob("*_bestCCF.mrcs"))
    assert len(maps) == 2 and read_stack(maps[0]).shape[0] == 4
    before = [path.stat().st_mtime_ns for path in maps]
    again = Project(folder, threads=2).autopick(
        continue_from=picked.output.relative_to(folder), read_fom_maps=True, picking_threshold=1.5
    )
    second = tables(again)
    assert sum(map(len, second)) < sum(map(len, first))
    assert all((table["rlnAutopickFigureOfMerit"] >= 1.5).all() for table in second)
    assert [path.stat().st_mtime_ns for path in maps] == before


def test_the_form_goes_to_relion_and_back(picked):
    form = JobForm.read(picked.output / "job.star")
    told = {
        "do_log": "No",
        "fn_refs_autopick": "class_averages.star",
        "particle_diameter": "190",
        "psi_sampling_autopick": "30",
        "threshold_autopick": "1.5",
        "maxstddevnoise_autopick": "-1",
        "lowpass": "20",
        "mindist_autopick": "100",
        "do_invert_refs": "Yes",
        "do_ctf_autopick": "Yes",
    }
    assert {name: form.joboptions[name] for name in told} == told
    (picked.output / ".boxwood.json").unlink()  # as if RELION had written it
    values = job_of(form).values
    options = job_of(form).job.options.make(values)
    assert options.method == "template" and options.score == "relion" and options.max_stddev_noise == -1
    assert options.angular_sampling == 30 and options.mask_diameter == 190


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "template", "references": None}, "references are not given"),
        ({"method": "adaptive", "diameter": "auto"}, "not adaptive"),
        ({"align": True}, "adaptive"),
        ({"score": "whitened", "write_fom_maps": True}, "maps of templates are those of RELION"),
    ],
)
def test_refused(folder, changed, words):
    with pytest.raises(InputError, match=words):
        Project(folder).autopick(**{**GIVEN, **changed})


def test_a_mask_without_corners_is_refused(folder, tmp_path):
    with pytest.raises((InputError, JobError), match="mask_diameter"):
        Project(folder).autopick(**{**GIVEN, "mask_diameter": 400}, output=tmp_path)


def test_no_ctf(folder, tmp_path):
    from boxwood.io.particles import MicrographSet

    micrographs = MicrographSet.read(folder / "micrographs_ctf.star")
    micrographs.table = micrographs.table.drop(columns=["rlnDefocusU", "rlnDefocusV"])
    micrographs.write(folder / "without.star")
    given = {**GIVEN, "micrographs": "without.star"}
    with pytest.raises(InputError, match="no CTF parameters"):
        Project(folder).autopick(**given, output=tmp_path / "a")
    result = Project(folder, threads=2).autopick(
        **{**given, "references_ctf_corrected": False}, output=tmp_path / "b"
    )
    assert result.values["micrographs"] == 2
