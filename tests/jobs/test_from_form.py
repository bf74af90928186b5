"""Jobs from RELION's forms: every option there and back, real job files, and `boxwood run-job`."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_autopick import project, write_list  # noqa: F401 (the fixture)

from boxwood.cli.command import main
from boxwood.errors import FileFormatError, InputError
from boxwood.io.coordinates import read_coordinates
from boxwood.io.star import read_star
from boxwood.jobs.from_form import job_of
from boxwood.jobs.registry import load_job
from boxwood.options.joboptions import joboptions, values_of
from boxwood.project.job_form import JobForm, JobType, write_job_star, write_run_job

JOBS = [
    "import",
    "autopick",
    "extract",
    "class2d",
    "select-micrographs",
    "select-particles",
    "select-classes",
]
PICK = ["autopick", "--micrographs", "micrographs.star", "--min-diameter", "80", "--max-diameter", "100"]


def rewrite(root, joboptions, continuing=False):
    """Change the form of the picking job by hand."""
    kind = JobType("AutoPick", 4, "")
    write_job_star(root / "AutoPick/job001/job.star", kind, joboptions, relion="1", continuing=continuing)


def texts(draw, declared):
    """A text for one option, as a form has it; None to leave it out."""
    if declared.choices:
        return draw(st.sampled_from(declared.choices))
    if declared.kind.scalar is bool:
        return draw(st.booleans())
    if declared.kind.scalar in (int, float):
        low = declared.at_least if declared.at_least is not None else declared.above or 0
        high = declared.at_most if declared.at_most is not None else low + 300
        numbers = st.integers(int(np.floor(low)) + 1, max(int(low) + 1, int(high)))
        one = numbers if declared.kind.scalar is int else numbers.map(lambda n: min(n - 0.25, high))
        count = declared.kind.count
        return draw(one) if count is None else tuple(draw(one) for _ in range(count or 2))
    words = st.from_regex(r"[A-Za-z][A-Za-z0-9_/]{0,20}", fullmatch=True)
    if declared.name == "where":
        return f"-1.5 <= rlnDefocusU <= {draw(st.integers(0, 99))}"
    return draw(words) if declared.kind.count is None else (draw(words),)


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("generation", [3, 5])
@given(data=st.data())
def test_options_survive_relions_form(name, generation, data):
    """What the form says, read and written again, is what the form says."""
    options = load_job(name).options
    values = {}
    for declared in options.declared():
        if not declared.refused and (declared.required or data.draw(st.booleans())):
            values[declared.name] = texts(data.draw, declared)
    try:
        made = options.make(values)
    except InputError:
        return  # a combination that is not allowed
    form = joboptions(made, generation)
    kept = values_of(options, form)
    again = options.make({**made.as_dict(), **kept})
    assert joboptions(again, generation) == form
    held = {declared.name for declared in options.declared() if declared.name in kept}
    assert {name: getattr(again, name) for name in held} == {name: getattr(made, name) for name in held}


@pytest.mark.parametrize(
    ("path", "job", "values"),
    [
        ("relion31_project/AutoPick/job006", "autopick",
         {"min_diameter": "150", "max_diameter": "180", "upper_threshold": "5", "max_resolution": "20"}),
        ("relion31_project/Extract/job007", "extract", {"box_size": "256", "rescale": "64"}),
        ("relion31_project/Class2D/job008", "class2d", {"classes": "50", "iterations": "25"}),
        ("relion5_jobs/tests/jobs_spa/Import/job003", "import", {"files": ["ref.mrc"]}),
        ("relion31_project/Select/job005", "select-micrographs",
         {"micrographs": "ManualPick/job004/coords_suffix_manualpick.star"}),
        ("relion31_project/ManualPick/job004", "manual-pick", {}),
        ("relion5_project/Extract/job009", "extract", {"box_size": "256", "rescale": "64"}),
        ("relion5_project/.gui_autopickjob.star", "autopick", {"min_diameter": "150", "max_diameter": "180"}),
        ("relion5_project/Class2D/job010", "class2d", {"classes": "50", "algorithm": "em"}),
    ],
)  # fmt: skip
def test_real_forms(shared_data, path, job, values):
    found = job_of(JobForm.read(shared_data / "formats" / path))
    assert found.job.name == job
    assert {name: found.values.get(name) for name in values} == values
    if job == "select-micrographs":  # by hand in RELION: boxwood must be told what to select
        found.values["first"] = 10
    made = found.job.options.make(found.values)
    assert joboptions(made)  # all of it is accepted


def test_movies_are_not_imported(shared_data):
    with pytest.raises(InputError, match="asks for movies"):
        job_of(JobForm.read(shared_data / "formats/relion31_project/Import/job001"))


@pytest.mark.parametrize(
    "job", ["Import/job001", "ManualPick/job004", "Class2D/job008", "Select/job005", "AutoPick/job006"]
)
def test_the_old_file_says_the_same(shared_data, tmp_path, job):
    """run.job, which knows fields by their labels, holds the fields of job.star (some only in part)."""
    folder = shared_data / "formats/relion31_project" / job
    old, new = JobForm.read(folder / "run.job"), JobForm.read(folder / "job.star")
    assert old.number == new.number and old.continuing == new.continuing
    assert len(old.joboptions) > 15
    # The RELION 3.1 of the time wrote spaces so.
    same = {name: new.joboptions.get(name, "").replace("__", " ") for name in old.joboptions}
    assert same == old.joboptions
    write_run_job(tmp_path / "run.job", old.number, old.joboptions, continuing=False)
    assert (tmp_path / "run.job").read_text() == (folder / "run.job").read_text()


def test_a_job_is_run_again_from_its_form(project):  # noqa: F811
    """Also with what RELION's form has no field for: neighbour_percent."""
    assert main([*PICK, "--neighbour-percent", "60", "--threads", "1"]) == 0
    assert main(["run-job", "AutoPick/job001/job.star", "--alias", "again"]) == 0
    for path in sorted((project / "AutoPick/job001/Movies").glob("*.star")):
        same = project / "AutoPick/again/Movies" / path.name
        assert read_coordinates(path).equals(read_coordinates(same))
    note = (project / "AutoPick/job002/note.txt").read_text()
    assert "--neighbour-percent 60" in note


def test_what_was_changed_in_the_form_counts(project):  # noqa: F811
    assert main([*PICK, "--neighbour-percent", "60", "--upper-threshold", "9"]) == 0
    form = JobForm.read("AutoPick/job001")
    fields = {**form.joboptions, "log_diam_max": "120", "log_upper_thr": "999"}
    rewrite(project, fields)
    values = job_of(JobForm.read("AutoPick/job001")).values
    made = load_job("autopick").options.make(values)
    assert made.max_diameter == 120 and made.upper_threshold is None and made.neighbour_percent == 60


def test_options_on_the_command_line_have_the_last_word(project, capsys):  # noqa: F811
    assert main(PICK) == 0
    assert main(["run-job", "AutoPick/job001", "--max-diameter", "110"]) == 0
    assert JobForm.read("AutoPick/job002").joboptions["log_diam_max"] == "110"
    assert main(["run-job", "--help"]) == 0
    assert "job.star" in capsys.readouterr().out


def test_a_job_goes_on_where_the_form_says_so(project):  # noqa: F811
    assert main(PICK) == 0
    form = JobForm.read("AutoPick/job001")
    write_list(["MotionCorr/job002/Movies/m0.mrc"], "less.star")
    rewrite(project, form.joboptions, continuing=True)
    assert main(["run-job", "AutoPick/job001/job.star"]) == 0
    assert not (project / "AutoPick/job002").exists()
    assert (project / "AutoPick/job001/note.txt").read_text().count("++++ Executing") == 2
    assert read_star("AutoPick/job001/job.star")["job"]["rlnJobIsContinue"] == 1


def test_a_form_outside_of_a_project_is_for_this_one(project, tmp_path):  # noqa: F811
    assert main(PICK) == 0
    templates = tmp_path / "templates"
    templates.mkdir()
    shutil.copy("AutoPick/job001/job.star", templates / "mine.star")
    assert main(["run-job", str(templates / "mine.star")]) == 0
    assert (project / "AutoPick/job002/job.star").exists()
    assert [path.name for path in templates.iterdir()] == ["mine.star"]


def test_a_project_elsewhere(project, tmp_path, monkeypatch, capsys):  # noqa: F811
    assert main(PICK) == 0
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["run-job", str(project / "AutoPick/job001/job.star")]) == 0
    assert (project / "AutoPick/job002/RELION_JOB_EXIT_SUCCESS").exists()
    shutil.copy(project / "AutoPick/job001/job.star", project / ".gui_autopickjob.star")
    assert main(["run-job", str(project / ".gui_autopickjob.star")]) == 0
    assert (project / "AutoPick/job003/RELION_JOB_EXIT_SUCCESS").exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("do_ref3d", "Yes", "asks for do_ref3d, which `boxwood autopick` does not do"),
        ("do_log", "No", "do_log is No"),
        ("do_pick_helical_segments", "Yes", "do_pick_helical_segments"),
        ("log_diam_min", "$$diameter", "a variable of RELION's scheduler"),
        ("log_diam_min", "wide", "min_diameter is 'wide'; it must be a number"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(project, capsys, field, value, said):  # noqa: F811
    assert main(PICK) == 0
    fields = {**JobForm.read("AutoPick/job001").joboptions, field: value}
    rewrite(project, fields)
    capsys.readouterr()
    assert main(["run-job", "AutoPick/job001"]) == 2
    assert said in capsys.readouterr().err
    assert not (project / "AutoPick/job002").exists()


def test_what_is_of_no_use_is_named(project, capsys):  # noqa: F811
    assert main(PICK) == 0
    fields = {**JobForm.read("AutoPick/job001").joboptions, "lowpass": "33", "other_args": "--fast"}
    rewrite(project, fields)
    assert main(["run-job", "AutoPick/job001"]) == 0
    assert "not used: lowpass 33, other_args --fast" in capsys.readouterr().out


def test_files_that_are_no_form(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        JobForm.read(tmp_path / "job.star")
    with pytest.raises(InputError, match="nothing to run"):
        JobForm.read(tmp_path)
    (tmp_path / "job.star").write_text("\ndata_x\n\n_rlnY 1\n")
    with pytest.raises(FileFormatError, match="no tables data_job"):
        JobForm.read(tmp_path)
    (tmp_path / "run.job").write_text("hello\n")
    with pytest.raises(FileFormatError, match="job_type"):
        JobForm.read(tmp_path / "run.job")
    (tmp_path / "run.job").write_text("job_type == 9\n")
    with pytest.raises(InputError, match="boxwood does not run"):
        JobForm.read(tmp_path / "run.job")
