"""The 2D classification as a job: its files, its sentences, and going on as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import FileFormatError, InputError, JobAborted
from boxwood.io.class2d_data import read_assignments
from boxwood.io.class2d_model import read_model
from boxwood.io.class2d_posterior import read_posterior
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star, write_star
from boxwood.jobs.class2d.files import IterationFiles, newest, read_iteration
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

JOB = load_job("class2d")
COUNT, BOX, PIXEL = 90, 32, 7.0
SETTINGS = {
    "particles": "particles.star",
    "classes": 3,
    "iterations": 3,
    "mask_diameter": 180.0,
    "psi_step": 18.0,
    "offset_range": 2.0,
}
KINDS = ["data.star", "model.star", "sampling.star", "optimiser.star", "classes.mrcs", "state.npz"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_particles):
    """A project folder with a whole run of three iterations in `whole`."""
    folder = tmp_path_factory.mktemp("project")
    make_particles(folder, COUNT, BOX, PIXEL)
    return folder, run_job(JOB, SETTINGS, project=folder, output="whole", threads=2)


def iteration_of(optimiser):
    return IterationFiles.of(optimiser).iteration


def same_iteration(a, b, last=3):
    """Whether two folders hold the same iteration, bit for bit but for the name of the folder."""
    files = [IterationFiles(f"{folder}/run", last) for folder in (a, b)]
    one, two = (read_iteration(f)[0] for f in files)
    pd.testing.assert_frame_equal(*(ParticleSet.read(f.path("data.star")).table for f in files))
    np.testing.assert_array_equal(one.history, two.history)
    for part in ("model", "assignments"):
        for name, value in vars(getattr(one.result, part)).items():
            np.testing.assert_array_equal(value, getattr(getattr(two.result, part), name), err_msg=name)
    return True


def test_every_iteration_has_relions_files(finished):
    folder, result = finished
    names = {path.name for path in (folder / "whole").glob("run_it*")}
    expected = {f"run_it{i:03d}_{kind}" for i in range(4) for kind in KINDS} - {"run_it000_sampling.star"}
    assert names == expected
    assert result.values["iterations"] == 3 and not result.bad
    assert result.files["model"] == folder / "whole" / "run_it003_model.star"
    optimiser = read_star(folder / "whole" / "run_it002_optimiser.star")["optimiser_general"]
    assert optimiser["rlnModelStarFile"] == "whole/run_it002_model.star"
    pictures = {path.name for path in (folder / "whole").glob("*.png")}
    assert pictures == {"class_averages_it001.png", "class_averages_it003.png", "convergence.png"}


def test_particles_keep_their_columns_and_are_sorted(finished):
    folder, result = finished
    table = ParticleSet.read(folder / "whole" / "run_it003_data.star").table
    given = ParticleSet.read(folder / "particles.star").table
    assert table["rlnMicrographName"].is_monotonic_increasing
    again = table.sort_values("mine", ignore_index=True)[list(given)]
    pd.testing.assert_frame_equal(again, given)
    assert table["rlnClassNumber"].between(1, 3).all()
    counts = table["rlnMicrographName"].value_counts(sort=False)
    groups = read_star(folder / "whole" / "run_it003_model.star")["model_groups"]
    assert groups["rlnGroupNrParticles"].tolist() == counts.tolist()
    assert groups["rlnGroupName"].tolist() == ["m0.mrc", "m1.mrc", "m2.mrc"]
    pd.testing.assert_frame_equal(result.tables["particles"], table, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_going_on_is_the_same_as_not_having_stopped(finished, tmp_path, last):
    folder, _ = finished
    run_job(
        JOB,
        {},
        project=folder,
        output=tmp_path / "again",
        threads=1,
        continue_from=f"whole/run_it{last:03d}_optimiser.star",
    )
    assert same_iteration(folder / "whole", tmp_path / "again")


def test_mini_batches_write_some_iterations_and_go_on_exactly(finished, tmp_path):
    folder, _ = finished
    settings = {**SETTINGS, "algorithm": "vdam", "mini_batches": 5, "batch_size": 30, "write_every": 2}
    run_job(JOB, settings, project=folder, output=tmp_path / "whole", threads=2)
    written = sorted(path.name for path in (tmp_path / "whole").glob("run_it*_optimiser.star"))
    assert written == [f"run_it{i:03d}_optimiser.star" for i in (0, 2, 4, 5)]
    assert (
        read_iteration(IterationFiles(f"{tmp_path}/whole/run", 5))[0].result.assignments.class_index >= 0
    ).all()
    earlier = tmp_path / "whole" / "run_it002_optimiser.star"
    run_job(
        JOB, {"write_every": 2}, project=folder, output=tmp_path / "again", threads=1, continue_from=earlier
    )
    assert same_iteration(tmp_path / "whole", tmp_path / "again", 5)
    with pytest.raises(
        InputError, match="the last of 5 iterations; to go on, give a larger number with --mini"
    ):
        run_job(
            JOB,
            {},
            project=folder,
            output=tmp_path,
            continue_from=tmp_path / "again/run_it005_optimiser.star",
        )


def test_mini_batches_of_relion5_go_on_as_mini_batches(finished, tmp_path):
    """RELION 5 says in its optimiser that it goes by gradients, and in how many steps."""
    folder, _ = finished
    settings = {**SETTINGS, "algorithm": "vdam", "mini_batches": 6, "batch_size": 30, "write_every": 2}
    run_job(JOB, settings, project=folder, output=tmp_path / "a", threads=2)
    (tmp_path / "a/run_it002_state.npz").unlink()
    optimiser = tmp_path / "a/run_it002_optimiser.star"
    tables = read_star(optimiser)
    tables["optimiser_general"]["rlnDoGradientRefine"] = 1
    write_star(optimiser, tables, dialect="5")
    run_job(
        JOB, {"write_every": 2}, project=folder, output=tmp_path / "b", continue_from=optimiser, threads=2
    )
    state, _ = read_iteration(IterationFiles(f"{tmp_path}/b/run", 6))
    assert state.settings.parameters.algorithm == "vdam"
    assert state.settings.parameters.mini_batches == 6
    assert (state.result.assignments.class_index >= 0).all()


def test_without_the_state_it_goes_on_from_the_star_files(finished, tmp_path):
    folder, _ = finished
    for path in (folder / "whole").glob("run_it002_*[!z]"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "out"
    values = {"recipe": "balanced"}
    run_job(
        JOB,
        values,
        project=folder,
        output=out,
        continue_from=tmp_path / "run_it002_optimiser.star",
        threads=2,
    )
    ours, whole = (ParticleSet.read(f / "run_it003_data.star").table for f in (out, folder / "whole"))
    # Six digits decide few of the assignments.
    assert (ours["rlnClassNumber"] == whole["rlnClassNumber"]).mean() > 0.9
    one, two = (read_stack(f / "run_it003_classes.mrcs")[:] for f in (out, folder / "whole"))
    assert np.linalg.norm(one - two) < 0.1 * np.linalg.norm(two)


# A process that is killed in the middle of its second iteration.
KILLED = """
import json, os, signal, sys
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

class KillAt:
    def event(self, kind, **data):
        if kind == "progress" and "iteration 2 of 3" in data["text"]:
            os.kill(os.getpid(), signal.SIGKILL)

run_job(load_job("class2d"), json.loads(sys.argv[1]), output=sys.argv[2], threads=1, reporter=KillAt())
"""


def test_a_killed_run_goes_on(finished, tmp_path):
    folder, _ = finished
    out = tmp_path / "killed"
    words = [sys.executable, "-m", "boxwood", "class2d", "--output", str(out), "--threads", "1"]
    for name, value in SETTINGS.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    killed = subprocess.run([sys.executable, "-c", KILLED, json.dumps(SETTINGS), out], cwd=folder)
    assert killed.returncode == -signal.SIGKILL
    whole = iteration_of(newest(out))
    assert whole in (0, 1)  # files of an iteration are written while the next is computed
    after = subprocess.run([*words, "--continue"], cwd=folder, capture_output=True, text=True)
    assert after.returncode == 0, after.stderr
    assert f"going on after iteration {whole}" in after.stdout
    assert same_iteration(folder / "whole", out)


class AbortAt:
    """Makes the abort file when the progress reaches an iteration."""

    def __init__(self, folder, text):
        self.folder, self.text = folder, text

    def event(self, kind, **data):
        if kind == "progress" and self.text in data["text"]:
            (self.folder / "RELION_JOB_ABORT_NOW").touch()


def test_an_abort_file_stops_between_batches(finished, tmp_path):
    folder, _ = finished
    out = tmp_path / "aborted"
    with pytest.raises(JobAborted, match="--continue"):
        run_job(
            JOB, SETTINGS, project=folder, output=out, reporter=AbortAt(out, "iteration 2 of 3"), threads=2
        )
    whole = iteration_of(newest(out))
    assert whole in (0, 1)  # files of an iteration are written while the next is computed
    run_job(JOB, SETTINGS, project=folder, output=out, continue_from=True, threads=2)
    assert same_iteration(folder / "whole", out)


def test_known_poses_are_kept_and_going_on_stays_exact(finished, tmp_path):
    folder, _ = finished
    values = {**SETTINGS, "particles": "whole/run_it003_data.star", "align": False, "iterations": 2}
    run_job(JOB, values, project=folder, output=tmp_path / "a", threads=2)
    given, after = (
        ParticleSet.read(f).table
        for f in (folder / "whole/run_it003_data.star", tmp_path / "a/run_it002_data.star")
    )
    for name in ("rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"):
        pd.testing.assert_series_equal(after[name], given[name], atol=1e-4)
    start = tmp_path / "a/run_it001_optimiser.star"
    run_job(JOB, {}, project=folder, output=tmp_path / "b", continue_from=start, threads=2)
    assert same_iteration(tmp_path / "a", tmp_path / "b", last=2)


def test_the_posterior_is_that_of_the_last_iteration(finished, tmp_path):
    folder, _ = finished
    values = {**SETTINGS, "iterations": 2, "save_posterior": 3}
    result = run_job(JOB, values, project=folder, output=tmp_path, threads=2)
    assert [path.name for path in tmp_path.glob("*posterior*")] == ["run_it002_posterior.npz"]
    saved = read_posterior(result.files["posterior"])
    best = read_assignments(ParticleSet.read(tmp_path / "run_it002_data.star").table)
    np.testing.assert_array_equal(saved.class_number[:, 0], best.class_number)
    np.testing.assert_allclose(saved.psi_deg[:, 0], best.psi_deg, atol=1e-3)
    np.testing.assert_allclose(saved.origin_angstrom[:, 0], best.origin_angstrom, atol=1e-4)
    np.testing.assert_allclose(saved.weight[:, 0], best.largest_probability, atol=1e-6)
    (tmp_path / "none.npz").write_bytes(b"PK")
    with pytest.raises(FileFormatError, match=r"none\.npz cannot be read"):
        read_posterior(tmp_path / "none.npz")


def test_measures_are_in_the_files(finished):
    folder, _ = finished
    state, _ = read_iteration(IterationFiles(str(folder / "whole/run"), 3))
    measures = state.result.measures
    model = read_star(folder / "whole/run_it003_model.star")
    classes, frc = model["boxwood_classes"], model["boxwood_frc"]
    np.testing.assert_allclose(classes["bwEffectiveSampleSize"], measures.effective_size, rtol=1e-5)
    entropy = np.nan_to_num(measures.assignment_entropy, nan=-1)  # an empty class has none
    np.testing.assert_allclose(classes["bwAssignmentEntropy"], entropy, atol=1e-6)
    np.testing.assert_allclose(frc["bwHalfSetFrc"].to_numpy().reshape(3, -1), measures.frc, atol=1e-5)
    table = model["model_classes"]
    rotation, shift = (np.nan_to_num(x, nan=999) for x in (measures.rotation_deg, measures.shift_px * PIXEL))
    np.testing.assert_allclose(table["rlnAccuracyRotations"], rotation, rtol=1e-5)
    np.testing.assert_allclose(table["rlnAccuracyTranslationsAngst"], shift, rtol=1e-5)
    optimiser = read_star(folder / "whole/run_it003_optimiser.star")
    assert optimiser["optimiser_general"]["rlnOverallAccuracyRotations"] < 999
    history = optimiser["boxwood_convergence"]
    assert history["rlnCurrentIteration"].tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(history["bwLogLikelihood"], state.history[:, 1], rtol=1e-6)
    assert "boxwood_classes" not in read_star(folder / "whole/run_it000_model.star")


def test_random_subsets_are_the_halves(finished, tmp_path):
    folder, _ = finished
    particles = ParticleSet.read(folder / "particles.star")
    values = {**SETTINGS, "particles": tmp_path / "halves.star", "iterations": 1}
    frc = []
    for subset in (np.arange(COUNT) % 2 + 1, np.arange(COUNT) // (COUNT // 2) + 1, np.ones(COUNT, int)):
        replace(particles, table=particles.table.assign(rlnRandomSubset=subset)).write(
            tmp_path / "halves.star"
        )
        run_job(JOB, values, project=folder, output=tmp_path / "out", threads=2)
        state, data = read_iteration(IterationFiles(str(tmp_path / "out/run"), 1))
        frc.append(state.result.measures.frc)
        wanted = data.particles.table["rlnRandomSubset"].to_numpy() - 1
        assert data.half_sets is None if wanted.max() == 0 else (data.half_sets == wanted).all()
    assert not np.allclose(frc[0], frc[1])


def test_a_converged_run_goes_on_only_if_told(finished, tmp_path):
    folder, _ = finished
    values = {**SETTINGS, "iterations": 99, "recipe": "plain", "until_converged": True}
    result = run_job(JOB, values, project=folder, output=tmp_path, threads=2)
    last = result.values["iterations"]
    general = read_star(result.files["optimiser"])["optimiser_general"]
    assert last < 99 and general["rlnHasConverged"] == 1
    assert (tmp_path / f"class_averages_it{last:03d}.png").is_file()
    start = result.files["optimiser"]
    with pytest.raises(InputError, match="has converged; to go on all the same, give --no-until-converged"):
        run_job(JOB, {}, project=folder, output=tmp_path, continue_from=start, threads=2)
    values = {"until_converged": False, "iterations": last + 1}
    run_job(JOB, values, project=folder, output=tmp_path, continue_from=start, threads=2)
    assert iteration_of(newest(tmp_path)) == last + 1


def test_later_iterations_make_way_when_an_earlier_one_is_continued(finished, tmp_path):
    folder, _ = finished
    out = tmp_path / "whole"
    shutil.copytree(folder / "whole", out)
    recorder = Recorder()
    start, values = out / "run_it001_optimiser.star", {"iterations": 2}
    run_job(JOB, values, project=folder, output=out, continue_from=start, threads=2, reporter=recorder)
    assert f"iterations 2 to 3 of {out}/ are removed" in recorder.text
    assert iteration_of(newest(out)) == 2 and not list(out.glob("run_it003_*"))
    assert same_iteration(folder / "whole", out, last=2)


class Recorder:
    """Remembers what is logged."""

    text = ""

    def event(self, kind, **data):
        self.text += str(data.get("text", "")) + "\n"


@pytest.mark.parametrize("where", [100, "middle of the largest array", -30])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_state_is_named(finished, tmp_path, where, damage):
    folder, _ = finished
    shutil.copytree(folder / "whole", tmp_path / "whole")
    path = tmp_path / "whole/run_it002_state.npz"
    whole = bytearray(path.read_bytes())
    largest = max(zipfile.ZipFile(path).infolist(), key=lambda member: member.file_size)
    # A flipped bit in the names and dates between arrays would be no damage.
    place = where % len(whole) if isinstance(where, int) else largest.header_offset + largest.file_size // 2
    whole[place] ^= 1
    path.write_bytes(whole if damage == "flip" else whole[:place])
    with pytest.raises(FileFormatError, match=r"run_it002_state\.npz cannot be read .*; remove it to go on"):
        read_iteration(IterationFiles(str(tmp_path / "whole/run"), 2))


def test_an_iteration_that_is_half_there_names_the_one_before(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder / "whole", tmp_path / "cut")
    last = tmp_path / "cut/run_it003_optimiser.star"
    text = last.read_text()
    last.write_text(text[: text.index("_data.star")])
    with pytest.raises(FileFormatError, match=r"cannot go on from .*run_it003.*--continue .*run_it002_opt"):
        run_job(JOB, {"iterations": 4}, project=folder, output=tmp_path / "cut", continue_from=True)


def test_a_job_of_a_project_is_continued_by_its_name(finished):
    folder, _ = finished
    result = run_job(JOB, {**SETTINGS, "iterations": 1}, project=folder, threads=2)
    job = result.output.relative_to(folder)
    assert job.as_posix().startswith("Class2D/job")
    values = {"iterations": 2}
    run_job(JOB, values, project=folder, continue_from=job.as_posix(), threads=2)
    assert iteration_of(newest(folder / job)) == 2
    nodes = read_star(folder / "default_pipeline.star")["pipeline_nodes"]
    numbers = dict(zip(nodes["rlnPipeLineNodeName"], nodes["rlnPipeLineNodeType"], strict=True))
    assert numbers[f"{job}/run_it002_model.star"] == 8 and numbers[f"{job}/run_it002_data.star"] == 3
    fields = read_star(folder / job / "job.star")["joboptions_values"]
    fields = dict(zip(fields["rlnJobOptionVariable"], fields["rlnJobOptionValue"], strict=True))
    assert (
        fields["nr_iter"] == "2" and fields["particle_diameter"] == "180" and fields["highres_limit"] == "-1"
    )


def test_iterations_that_are_replaced_go_to_the_trash(finished):
    """Also those that RELION 3.1 made when it continued the job, and calls run_ct1_it002."""
    folder, _ = finished
    result = run_job(JOB, {**SETTINGS, "iterations": 2}, project=folder, threads=2)
    job = result.output.relative_to(folder)
    for path in result.output.glob("run_it002_*.star"):
        text = path.read_text().replace("run_it002", "run_ct1_it002")
        path.with_name(path.name.replace("run_it002", "run_ct1_it002")).write_text(text)
    assert newest(result.output).name == "run_ct1_it002_optimiser.star"
    recorder, start = Recorder(), f"{job}/run_it001_optimiser.star"
    run_job(JOB, {"iterations": 3}, project=folder, continue_from=start, threads=2, reporter=recorder)
    assert f"iterations 2 to 2 of {job}/ are in Trash/, to be made anew" in recorder.text
    assert newest(result.output).name == "run_it003_optimiser.star"
    trash = {path.name for path in (folder / "Trash" / job).iterdir()}
    assert trash >= {
        f"run{ct}_it002_{kind}.star" for ct in ("", "_ct1") for kind in ("data", "model", "optimiser")
    }
    fields = read_star(folder / job / "job.star")["joboptions_values"].set_index("rlnJobOptionVariable")
    assert fields.loc["fn_cont", "rlnJobOptionValue"] == start


@pytest.mark.data
def test_going_on_from_relion5_keeps_its_poses(shared_data, tmp_path):
    """The convention of angles and offsets: one iteration more with RELION 5's own averages and particles."""
    folder = shared_data / "bgal10204"
    run_job(
        JOB,
        {"iterations": 26, "recipe": "plain"},
        project=folder,
        output=tmp_path,
        continue_from="relion5_class2d/run_it025_optimiser.star",
        threads=2,
    )
    they = read_assignments(ParticleSet.read(folder / "relion5_class2d/run_it025_data.star").table)
    us = read_assignments(ParticleSet.read(tmp_path / "run_it026_data.star").table)
    same = us.class_number == they.class_number
    assert same.mean() > 0.85
    sure = same & (us.largest_probability > 0.5) & (they.largest_probability > 0.5)
    assert sure.sum() > 400
    turn = np.abs((us.psi_deg - they.psi_deg + 180) % 360 - 180)[sure]
    shift = np.abs(us.origin_angstrom - they.origin_angstrom).max(axis=1)[sure]
    # Each program turns and shifts its grid of 6 degrees and 3.54 A by up to half a step.
    assert (turn <= 6).mean() > 0.97 and (shift <= 1.5 * 3.54).mean() > 0.97
    theirs, ours = (
        read_model(p).noise
        for p in (folder / "relion5_class2d/run_it025_model.star", tmp_path / "run_it026_model.star")
    )
    # RELION's soft mask goes beyond the box's edge, ours ends there: 0.92 of its area.
    np.testing.assert_allclose(ours[0, 3:31], 0.92 * theirs[0, 3:31], rtol=0.1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"particles": None}, "please give particles"),
        ({"mask_diameter": None}, "please give mask_diameter"),
        ({"classes": 91}, "90 usable particles are too few for 91 classes"),
        ({"ctf_phase_flipped": True, "ctf": False}, "ctf_phase_flipped means nothing without"),
        ({"fast_subsets": True}, "fast_subsets needs at least 20 iterations"),
        ({"until_converged": True}, "could end this run after iteration 5 at the earliest, and it has 3"),
        ({"fast_subsets": True, "algorithm": "vdam"}, "fast_subsets is for algorithm em"),
        ({"grad": True}, "asked for with --algorithm vdam"),
        ({"helix": True}, "helical segments"),
        ({"psi_step": 40}, "up to 36 degree"),
    ],
)
def test_refusals(finished, tmp_path, change, sentence):
    folder, _ = finished
    with pytest.raises(InputError, match=sentence):
        run_job(JOB, {**SETTINGS, **change}, project=folder, output=tmp_path)


def test_refusals_of_what_is_continued(finished, tmp_path):
    folder, _ = finished
    last = "whole/run_it003_optimiser.star"
    with pytest.raises(InputError, match="is the last of 3 iterations"):
        run_job(JOB, {}, project=folder, output=tmp_path, continue_from=last)
    with pytest.raises(InputError, match="has 3 classes and cannot go on with 5"):
        run_job(JOB, {"classes": 5}, project=folder, output=tmp_path, continue_from=last)
    with pytest.raises(InputError, match="was begun with noise_groups optics"):
        values = {"iterations": 4, "noise_groups": "micrograph"}
        run_job(JOB, values, project=folder, output=tmp_path, continue_from=last)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty/ has no iteration yet to go on from; give the particles"):
        run_job(JOB, {}, project=folder, output=tmp_path / "empty", continue_from=True)
    with pytest.raises(InputError, match="is no file of an iteration"):
        run_job(JOB, {}, project=folder, output=tmp_path, continue_from="particles.star")
    with pytest.raises(FileFormatError, match=r"run_it009_optimiser\.star is missing"):
        read_iteration(IterationFiles(str(folder / "whole/run"), 9))


@pytest.mark.parametrize("dialect", ["3.1", "5"])
@pytest.mark.parametrize("noise_groups", ["optics", "micrograph"])
def test_noise_goes_through_both_dialects(finished, tmp_path, noise_groups, dialect):
    """Spectra come back as they were where the dialect has room for them, else as averages."""
    from boxwood.jobs.class2d.relion import model_of, saved_assignments, saved_model

    folder, _ = finished
    with_cwd = os.getcwd()
    os.chdir(folder)
    try:
        state, data = read_iteration(IterationFiles("whole/run", 3))
    finally:
        os.chdir(with_cwd)
    group = data.scale_group if noise_groups == "micrograph" else data.optics_group
    data = replace(data, noise_group=group)
    rings = state.result.model.sigma2.shape[1]
    sigma2 = np.random.default_rng(0).uniform(1, 2, (int(group.max()) + 1, rings))
    model = replace(state.result.model, sigma2=sigma2)
    result = replace(state.result, model=model)
    saved = saved_model(result, data, 2.0, dialect)
    assert len(saved.noise) == (3 if dialect == "3.1" else 1)
    assigned = saved_assignments(result.assignments, model.norm, BOX, data)
    again = model_of(saved, assigned, data)
    if noise_groups == "micrograph" and dialect == "5":
        sigma2 = np.tile(np.average(sigma2, axis=0, weights=data.counts), (3, 1))
    np.testing.assert_allclose(again.sigma2, sigma2, rtol=8 * np.finfo(float).eps)
    for name in ("ssnr", "tau2", "norm", "scale", "shares", "sigma_offset_px"):
        np.testing.assert_allclose(
            getattr(again, name), getattr(model, name), rtol=8 * np.finfo(float).eps, err_msg=name
        )
