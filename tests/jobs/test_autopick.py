"""The autopick job on small simulated micrographs: what is written, skipped, refused and gone on with."""

import mrcfile
import numpy as np
import pandas as pd
import pytest

from boxwood.errors import InputError, JobError
from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.star import read_star, write_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

PIXEL = 4.0
RANGE = {"min_diameter": 80, "max_diameter": 100, "threshold_offset": 1.0}
COLUMNS = [
    "rlnCoordinateX",
    "rlnCoordinateY",
    "rlnAutopickFigureOfMerit",
    "rlnClassNumber",
    "rlnAnglePsi",
]
NAMES = [f"MotionCorr/job002/Movies/m{i}.mrc" for i in range(4)]
SHAPES = [(300, 300), (240, 320), (320, 240), (260, 261)]


def write_micrograph(path, shape, seed):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal(shape) * 0.3 + 5
    y, x = np.indices(shape)
    for cy, cx in [(80, 70), (150, 160), (90, 150), (170, 80)]:
        image -= (y - cy) ** 2 + (x - cx) ** 2 < 11**2
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(image.astype(np.float32))
        file.voxel_size = PIXEL


def write_list(names, name="micrographs.star", pixel="rlnMicrographPixelSize"):
    optics = pd.DataFrame({"rlnOpticsGroupName": ["one"], "rlnOpticsGroup": [1], pixel: [PIXEL]})
    table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    write_star(name, {"optics": optics, "micrographs": table})
    return name


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, (name, shape) in enumerate(zip(NAMES, SHAPES, strict=True)):
        write_micrograph(tmp_path / name, shape, i)
    write_list(NAMES)
    monkeypatch.setattr("boxwood.jobs.autopick.PICTURES", 1)  # drawing takes longer than picking
    return tmp_path


def autopick(continue_from=False, threads=2, output=None, **options):
    values = {"micrographs": "micrographs.star", **RANGE, **options}
    if continue_from:
        values = options
    return run_job(load_job("autopick"), values, threads=threads, output=output, continue_from=continue_from)


def test_files_of_a_job_in_a_project(project):
    result = autopick()
    job = project / "AutoPick/job001"
    assert (job / "RELION_JOB_EXIT_SUCCESS").exists()
    assert (job / "coords_suffix_autopick.star").read_text() == "micrographs.star\n"
    assert result.values == {"picks": 16, "micrographs": 4}
    assert result.bad == ()
    for i in range(4):
        table = read_coordinates(job / f"Movies/m{i}_autopick.star")
        assert list(table.columns) == COLUMNS
        assert len(table) == 4
        assert table["rlnClassNumber"].dtype.kind == "i"
        assert table["rlnAutopickFigureOfMerit"].is_monotonic_decreasing
    assert (job / "Movies/m0_autopick.png").read_bytes()[:4] == b"\x89PNG"
    assert (job / "autopick.png").exists()
    summary = read_star(job / "summary.star")[""]
    assert list(summary.columns) == ["rlnMicrographName", "rlnAutopickFigureOfMerit", "rlnGroupNrParticles"]
    assert summary["rlnMicrographName"].tolist() == NAMES
    assert summary["rlnGroupNrParticles"].tolist() == [4, 4, 4, 4]
    found = coordinate_files(job, root=project)
    assert list(found) == NAMES
    nodes = read_star(project / "default_pipeline.star")["pipeline_nodes"]
    assert "AutoPick/job001/coords_suffix_autopick.star" in nodes["rlnPipeLineNodeName"].tolist()


def test_job_star_has_relions_fields(project):
    autopick(upper_threshold=5, min_distance=100)
    fields = read_star(project / "AutoPick/job001/job.star")["joboptions_values"]
    values = dict(zip(fields["rlnJobOptionVariable"], fields["rlnJobOptionValue"].astype(str), strict=True))
    wanted = {
        "fn_input_autopick": "micrographs.star",
        "do_log": "Yes",
        "log_diam_min": "80",
        "log_diam_max": "100",
        "log_adjust_thr": "1",
        "log_upper_thr": "5",
        "log_maxres": "20",
        "log_invert": "No",
        "mindist_autopick": "100",
        "threshold_autopick": "0.05",
        "do_write_fom_maps": "No",
    }
    assert {name: values[name] for name in wanted} == wanted


def test_picks_do_not_depend_on_the_list_or_on_threads(project):
    autopick(output="one", threads=1)
    write_list(NAMES[::-1], "backwards.star")
    autopick(output="two", threads=3, micrographs="backwards.star")
    for i in range(4):
        files = [project / f"{folder}/Movies/m{i}_autopick.star" for folder in ("one", "two")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_bad_micrograph_is_named_and_left_out(project):
    (project / NAMES[1]).write_bytes((project / NAMES[1]).read_bytes()[:5000])
    with mrcfile.open(project / NAMES[2], "r+") as file:
        file.data[5, 5] = np.nan
    result = autopick()
    assert [name for name, _ in result.bad] == NAMES[1:3]
    assert "1 of the micrograph's 76800 pixels are not finite" in result.bad[1][1]
    assert result.values == {"picks": 8, "micrographs": 2}
    assert not (project / "AutoPick/job001/Movies/m1_autopick.star").exists()


def test_nothing_usable_fails(project):
    write_list(["no/such.mrc"])
    with pytest.raises(JobError, match="none of the 1 micrographs could be used"):
        autopick()


def test_no_picks_leave_an_empty_file(project):
    result = autopick(threshold_offset=1000)
    assert result.values["picks"] == 0
    assert (project / "AutoPick/job001/Movies/m0_autopick.star").read_bytes() == b""
    assert "no picks, because no peak lies between" in (project / "AutoPick/job001/run.out").read_text()
    summary = read_star(project / "AutoPick/job001/summary.star")[""]
    assert summary["rlnGroupNrParticles"].tolist() == [0, 0, 0, 0]


def test_maps_are_kept_and_used_again(project, monkeypatch):
    autopick(write_fom_maps=True)
    job = project / "AutoPick/job001/Movies"
    first = {path.name: path.read_bytes() for path in job.glob("*.star")}
    with mrcfile.open(job / "m0_autopick_bestLoG.mrc") as file:
        assert file.voxel_size.x == pytest.approx(PIXEL * 300 / file.data.shape[0], rel=1e-6)
    drawn = (job / "m0_autopick.png").read_bytes()
    monkeypatch.setattr("boxwood.picking.pick_log", None)  # nothing is filtered again
    again = autopick("AutoPick/job001", read_fom_maps=True)
    assert again.values == {"picks": 16, "micrographs": 4}
    assert {path.name: path.read_bytes() for path in job.glob("*.star")} == first
    fewer = autopick("AutoPick/job001", read_fom_maps=True, write_fom_maps=False, min_distance=500)
    assert 4 <= fewer.values["picks"] < 16
    none = autopick("AutoPick/job001", read_fom_maps=True, write_fom_maps=False, threshold_offset=100)
    assert none.values["picks"] == 0
    assert (job / "m0_autopick.png").read_bytes() != drawn
    with pytest.raises(JobError, match="were not made for diameters 70 to 100"):
        autopick("AutoPick/job001", read_fom_maps=True, write_fom_maps=False, min_diameter=70)
    with pytest.raises(JobError, match="finest detail asked for needs"):
        autopick("AutoPick/job001", read_fom_maps=True, write_fom_maps=False, max_resolution=40)


def test_missing_maps_are_named(project):
    with pytest.raises(JobError, match=r"m0_autopick_bestLoG\.mrc is not there; run with write_fom_maps"):
        autopick(read_fom_maps=True)


def test_going_on_refuses_what_would_give_other_picks(project):
    autopick()
    for name, value in (("threshold_offset", 2), ("min_diameter", 70), ("skip_side", 100)):
        with pytest.raises(InputError, match=f"the job to continue was begun with {name} "):
            autopick("AutoPick/job001", **{name: value})
    assert (project / "AutoPick/job001/RELION_JOB_EXIT_SUCCESS").exists()


def test_going_on_skips_what_is_done(project):
    autopick()
    job = project / "AutoPick/job001/Movies"
    (job / "m1_autopick.star").unlink()
    (project / NAMES[0]).unlink()  # would be needed if it were picked again
    result = autopick("AutoPick/job001")
    assert result.values == {"picks": 16, "micrographs": 4}
    assert result.bad == ()


def test_relion_5_gets_a_list(project):
    from boxwood.jobs.autopick import JOB, run
    from boxwood.jobs.autopick_options import AutopickOptions
    from boxwood.jobs.context import JobContext

    context = JobContext("AutoPick/job001", dialect="5")
    options = AutopickOptions(micrographs="micrographs.star", **RANGE)
    result = run(options, context)
    context.close()
    assert result.files["coordinates"].name == "autopick.star"
    assert JOB.outputs(options, "5") == {"autopick.star": "coordinates_list"}
    found = coordinate_files(result.files["coordinates"], root=project)
    assert list(found) == NAMES


def test_pixel_size_is_asked_for_where_the_file_lacks_it(project):
    write_list(NAMES, pixel="rlnVoltage")
    with pytest.raises(InputError, match="rlnMicrographPixelSize"):
        autopick()
    assert autopick(pixel_size=PIXEL).values["picks"] == 16


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"min_diameter": 120}, "max_diameter is 100 Å, less than min_diameter, which is 120 Å"),
        ({"reference_3d": "map.mrc"}, "reference_3d cannot be set: maps are not projected"),
        ({"method": "template"}, "references are not given"),
        ({"helix": True}, "helix cannot be set: helical segments"),
        ({"min_distance": -3}, "min_distance is -3"),
    ],
)
def test_refusals(options, text, project):
    with pytest.raises(InputError, match=text):
        autopick(**options)
    assert not (project / "AutoPick").exists()
