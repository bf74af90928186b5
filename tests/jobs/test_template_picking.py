"""Picking with templates: files, maps that are read again, forms, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import FileFormatError, InputError, JobError
from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.star import write_star
from boxwood.jobs.api import Project
from boxwood.jobs.autopick_options import AutopickOptions
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


@pytest.fixture
def own(picked, folder, tmp_path):
    """A copy of the project for one test alone, and its job."""
    project = Path(shutil.copytree(folder, tmp_path / "project", symlinks=True))
    return project, picked.output.relative_to(folder)


def tables(job):
    return [read_coordinates(path) for path in sorted(job.rglob("micrograph_*_autopick.star"))]


def test_references_mean_templates(picked, folder):
    """Particles are found, and RELION's columns written in its order."""
    from boxwood.io.star import read_star

    found = tables(picked.output)
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


def whitened(folder, micrographs="micrographs_ctf.star", **more):
    given = {name: GIVEN[name] for name in ("references", "angular_sampling")}
    return Project(folder, threads=2).autopick(micrographs=micrographs, **given, **more)


@pytest.fixture(scope="module")
def found(folder):
    return whitened(folder)


def agreed(folder, result):
    """Hits within 12 px, and the median distance of them, px."""
    from boxwood.io.star import read_star

    truth = read_star(folder / "truth.star")["particles"]
    at, total, errors = ["rlnCoordinateX", "rlnCoordinateY"], Agreement(), []
    for i, table in enumerate(tables(result.output), 1):
        here = truth[truth["rlnMicrographName"].str.contains(f"micrograph_{i:03d}")]
        total += agreement(table[at].to_numpy(), here[at].to_numpy(), 12.0)
        x, y = (table[label].to_numpy()[:, None] - here[label].to_numpy() for label in at)
        errors.append(np.hypot(x, y).min(axis=1))
    near = np.concatenate(errors)
    return total, float(np.median(near[near <= 12]))


def test_the_matched_filter_finds_them_too(folder, found):
    """With a calibrated score, whose column says how many are background, and between the grid's pixels."""
    for table in tables(found.output):
        assert list(table) == [*LABELS, "boxwoodLocalFdr"]
        assert (table["boxwoodLocalFdr"] <= 0.5).all()
        assert table["rlnAutopickFigureOfMerit"].is_monotonic_decreasing
    total, error = agreed(folder, found)
    assert total.recall > 0.9 and total.precision > 0.9
    assert error < 4  # of references in other views, at steps of 30 degrees


def test_what_was_learned_is_used_again(folder, found, monkeypatch):
    """For other micrographs, and for those that a job is continued with, without learning anew."""
    from boxwood.io.particles import MicrographSet
    from boxwood.picking import templates

    first = MicrographSet.read(folder / "micrographs_ctf.star")
    first.table = first.table.iloc[:1]
    first.write(folder / "first.star")
    started = whitened(folder, "first.star")

    def fails(*args, **more):
        raise AssertionError("learned again")

    monkeypatch.setattr(templates, "learn_matched", fails)
    before = (started.output / "picking_model.star").read_bytes()
    job = started.output.relative_to(folder)
    Project(folder, threads=2).autopick(continue_from=job, micrographs="micrographs_ctf.star")
    assert len(tables(started.output)) == 2 and all(len(table) for table in tables(started.output))
    assert (started.output / "picking_model.star").read_bytes() == before
    again = whitened(folder, model=found.output / "picking_model.star")
    for table, other in zip(tables(again.output), tables(found.output), strict=True):
        np.testing.assert_allclose(table[LABELS], other[LABELS], rtol=1e-5)
    with pytest.raises(InputError, match=r"Lowpass 20 \(now 30\)"):
        whitened(folder, model=found.output / "picking_model.star", lowpass=30)


def test_picks_are_centred_on_their_class_averages(folder, found):
    """Where the references are few, and their angles coarse, centres are nearer afterwards."""
    aligned = whitened(folder, model=found.output / "picking_model.star", align=True)
    total, error = agreed(folder, aligned)
    assert sum(map(len, tables(aligned.output))) == sum(map(len, tables(found.output)))
    assert list(tables(aligned.output)[0]) == [*LABELS, "boxwoodLocalFdr"]
    assert total.recall > 0.9 and error < 0.8 * agreed(folder, found)[1]


def test_another_file_is_no_model(folder):
    with pytest.raises(FileFormatError, match="not a model of template picking"):
        whitened(folder, model=folder / "truth.star")


def test_small_dense_micrographs_are_learned_from(tmp_path):
    """The micrographs' lowest frequencies went with the background, and are not sought there."""
    Project(tmp_path, threads=2).simulate(
        directory=".", micrographs=2, width=420, height=360, pixel_size=PIXEL, particles=12, snr=0.3
    )
    views = np.array([[20, 80, 0], [75, 40, 10], [40, 15, 0]], float)
    write_stack(tmp_path / "r.mrcs", beta_galactosidase().project(rotation_matrices(views), 64, PIXEL), PIXEL)
    result = Project(tmp_path, threads=2).autopick(
        micrographs="micrographs_ctf.star", references="r.mrcs", angular_sampling=10
    )
    total, _ = agreed(tmp_path, result)
    assert total.recall > 0.9 and total.precision > 0.9


def test_a_hopeless_model_is_a_warning(folder, found):
    """What has no score that is a particle's more often than the noise's picks nothing, and says so."""
    from boxwood.io.star import read_star

    tables = read_star(found.output / "picking_model.star")
    tables["model_calibration"]["boxwoodLocalFdr"] = 1.0
    write_star(folder / "hopeless.star", tables)
    result = whitened(folder, model="hopeless.star")
    assert result.values["picks"] == 0
    said = (result.output / "run.err").read_text()
    assert "references, CTF and pixel sizes" in said


def test_maps_are_read_again(own):
    """Another threshold, in an instant, without the micrographs being filtered."""
    project, job = own
    first = tables(project / job)
    maps = sorted((project / job).rglob("*_bestCCF.mrcs"))
    assert len(maps) == 2 and read_stack(maps[0]).shape[0] == 4
    before = [path.stat().st_mtime_ns for path in maps]
    Project(project, threads=2).autopick(continue_from=job, read_fom_maps=True, picking_threshold=1.5)
    second = tables(project / job)
    assert sum(map(len, second)) < sum(map(len, first))
    assert all((table["rlnAutopickFigureOfMerit"] >= 1.5).all() for table in second)
    assert [path.stat().st_mtime_ns for path in maps] == before


def test_the_form_goes_to_relion_and_back(own):
    project, job = own
    form = JobForm.read(project / job / "job.star")
    told = {
        "do_log": "No",
        "fn_refs_autopick": "class_averages.star",
        "particle_diameter": "190",
        "psi_sampling_autopick": "30",
        "threshold_autopick": "0.8",
        "maxstddevnoise_autopick": "-1",
        "lowpass": "20",
        "mindist_autopick": "100",
        "do_invert_refs": "Yes",
        "do_ctf_autopick": "Yes",
    }
    assert {name: form.joboptions[name] for name in told} == told
    (project / job / ".boxwood.json").unlink()  # as if RELION had written it
    read = job_of(form)
    assert not read.unused
    options = read.job.options.make(read.values)
    assert options.method == "template" and options.score == "relion" and options.max_stddev_noise == -1
    assert options.angular_sampling == 30 and options.mask_diameter == 190


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "template", "references": None}, "references are not given"),
        ({"method": "adaptive", "diameter": "auto"}, "not adaptive"),
        ({"align": True}, "adaptive"),
        ({"model": "picking_model.star"}, "adaptive"),
        ({"score": "whitened", "write_fom_maps": True}, "maps of templates are those of RELION"),
    ],
)
def test_refused(folder, changed, words):
    with pytest.raises(InputError, match=words):
        Project(folder).autopick(**{**GIVEN, **changed})


def test_what_only_one_score_has_a_use_for_is_idle_with_the_other():
    changed = {
        "highpass": 200.0,
        "ctf_intact_first_peak": True,
        "picking_threshold": 0.5,
        "max_stddev_noise": 1.0,
        "min_avg_noise": -1.0,
    }
    with_relion = AutopickOptions.make({**GIVEN, **changed, "score": "relion"})
    assert with_relion.idle(changed) == []
    whitened = AutopickOptions.make({**GIVEN, **changed, "score": "whitened", "doubtful": True})
    assert {o.name for o in whitened.idle([*changed, "doubtful"])} == {*changed, "doubtful"}


def test_what_only_learning_has_a_use_for_is_idle_where_nothing_is_learned():
    changed = {"max_local_fdr": 0.1, "learn_from": 3}
    log = {"micrographs": "m.star", "min_diameter": 90, "max_diameter": 110}
    for given, idle in (
        ({**GIVEN, "score": "relion"}, {*changed, "threshold_offset"}),
        ({**GIVEN, "score": "whitened"}, {"threshold_offset"}),
        ({**log, "method": "adaptive", "doubtful": True}, {"threshold_offset"}),
        ({**log, "method": "log"}, set(changed)),
    ):
        options = AutopickOptions.make({**given, **changed, "threshold_offset": 1.0})
        assert {o.name for o in options.idle([*changed, "threshold_offset", "doubtful"])} == idle


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


def test_a_micrograph_without_ctf_is_left_out_and_not_learned_from(folder, tmp_path):
    from boxwood.io.particles import MicrographSet

    micrographs = MicrographSet.read(folder / "micrographs_ctf.star")
    first = micrographs.table["rlnMicrographName"].iloc[0]
    micrographs.table.loc[0, "rlnDefocusU"] = np.nan
    micrographs.write(folder / "partly.star")
    result = whitened(folder, "partly.star", output=tmp_path / "some")
    assert [name for name, _ in result.bad] == [first] and result.values["picks"] > 10
    micrographs.table["rlnDefocusU"] = np.nan
    micrographs.write(folder / "none.star")
    with pytest.raises(InputError, match=r"no micrograph of .*none\.star has a CTF"):
        whitened(folder, "none.star", output=tmp_path / "none")
