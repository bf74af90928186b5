"""One project from micrographs to picks with templates, the two programs in turn, job by job."""

import shutil
import subprocess
import time

import numpy as np
import pytest

from boxwood.cli.command import main
from boxwood.io.coordinates import read_coordinates
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job, schedule_job
from boxwood.picking.agreement import Agreement, agreement
from boxwood.project.folder import ProjectFolder
from boxwood.project.form_fields import form_fields
from boxwood.project.job_form import JobForm, JobType, write_job_star

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_pipeliner") is None, reason="RELION is not installed"),
]
MICROGRAPHS, PIXEL = "micrographs_ctf.star", 3.54
CLASSES = {"classes": 2, "mask_diameter": 190, "psi_step": 10, "offset_range": 4}


def relion(*words, cwd):
    subprocess.run(
        ["relion_pipeliner", *words], cwd=cwd, check=True, capture_output=True, text=True, timeout=400
    )


def last(folder):
    return ProjectFolder(folder).pipeline().jobs()[-1].name


def run_in_relion(folder, name, output):
    """Let RELION's pipeliner run a job with RELION's programs, and wait for this file of it."""
    words = ("--RunJobs", name, "--schedule", name.replace("/", "_"), "--sec_wait_after", "0")
    relion(*words, cwd=folder)
    deadline = time.monotonic() + 300
    while not (folder / name / output).exists() and time.monotonic() < deadline:
        time.sleep(0.1)  # its second command ends after its job
    said = (folder / name / "run.err").read_text()
    assert (folder / name / output).exists(), said
    assert "ignore" not in said  # no column was strange to it
    return name


def scheduled(folder, job, **values):
    return schedule_job(load_job(job), values, project=folder)


def filled(folder, number, kind, **fields):
    """Add a job of RELION's to its books, as its window would."""
    text = ";".join(f"{form_fields(number)[name].label} == {value}" for name, value in fields.items())
    relion("--addJob", kind, "--addJobOptions", text, cwd=folder)
    return last(folder)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The project, and the names of its jobs by what they did."""
    folder = tmp_path_factory.mktemp("chain")
    ours, did, star = Project(folder, threads=2), {}, {"micrographs": MICROGRAPHS}
    ours.simulate(
        directory=".", micrographs=4, width=640, height=640, pixel_size=PIXEL, particles=30, snr=0.3
    )
    diameters = {"min_diameter": 150, "max_diameter": 180, "threshold_offset": 1}
    name = did["picked"] = scheduled(folder, "autopick", **star, **diameters)
    run_in_relion(folder, name, "coords_suffix_autopick.star")

    ours.extract(**star, coordinates=did["picked"], box_size=72, rescale=48, background_diameter=58)
    did["extracted"] = last(folder)

    particles = did["extracted"] + "particles.star"
    did["classified"] = scheduled(folder, "class2d", particles=particles, iterations=5, **CLASSES)
    # RELION's seed is the time, unless it is told one; of two classes some seeds make one that picks little.
    form = JobForm.read(folder / did["classified"])
    fields = {**form.joboptions, "other_args": "--random_seed 2"}
    write_job_star(folder / did["classified"] / "job.star", JobType("Class2D", 8, ""), fields, relion="1",
                   continuing=False)  # fmt: skip
    run_in_relion(folder, did["classified"], "run_it005_optimiser.star")

    ours.class2d(continue_from=did["classified"], iterations=10)

    # RELION's window: continue from our last iteration.
    fields = {**fields, "fn_cont": did["classified"] + "run_it010_optimiser.star", "nr_iter": "14"}
    write_job_star(folder / did["classified"] / "job.star", JobType("Class2D", 8, ""), fields, relion="1",
                   continuing=True)  # fmt: skip
    run_in_relion(folder, did["classified"], "run_ct10_it014_optimiser.star")

    ours.class2d(continue_from=did["classified"], iterations=16)
    ours.select_classes(model=did["classified"] + "run_it016_model.star", auto=True, recenter=True)
    did["selected"] = last(folder)

    templates = did["selected"] + "class_averages.star"
    did["picked again"] = filled(
        folder, 4, "AutoPick", fn_input_autopick=MICROGRAPHS, fn_refs_autopick=templates,
        threshold_autopick="1.2", mindist_autopick="100",
    )  # fmt: skip
    run_in_relion(folder, did["picked again"], "coords_suffix_autopick.star")

    ours.extract(**star, coordinates=did["picked again"], box_size=72, rescale=48, background_diameter=58)
    did["extracted again"] = last(folder)
    ours.manual_pick(**star, coordinates=did["picked again"])
    did["by hand"] = last(folder)
    coordinates = did["by hand"] + "coords_suffix_manualpick.star"
    did["extracted by hand"] = filled(
        folder, 5, "Extract", star_mics=MICROGRAPHS, coords_suffix=coordinates, extract_size="72",
        do_rescale="Yes", rescale="48", bg_diameter="58",
    )  # fmt: skip
    run_in_relion(folder, did["extracted by hand"], "particles.star")
    return folder, did


def test_every_job_ended_well_and_hangs_together(chain, monkeypatch, capsys):
    folder, did = chain
    jobs = {job.name: job for job in ProjectFolder(folder).pipeline().jobs()}
    assert set(jobs) == set(did.values())
    assert {job.status for job in jobs.values()} == {"Succeeded"}
    made = {node: job.name for job in jobs.values() for node in job.outputs}
    before = {name: {made.get(node) for node in job.inputs} - {None} for name, job in jobs.items()}
    wanted = {
        "picked": set(),
        "extracted": {"picked"},
        "classified": {"extracted"},
        "selected": {"classified"},
        "picked again": {"selected"},
        "extracted again": {"picked again"},
        "by hand": set(),
        "extracted by hand": {"by hand"},
    }
    assert {what: {k for k in did if did[k] in before[name] - {name}} for what, name in did.items()} == wanted
    monkeypatch.chdir(folder)
    assert main(["project"]) == 0
    assert capsys.readouterr().out.count("Succeeded") == len(did)
    assert not list(folder.glob(".relion_lock")) and not list(folder.glob("RUNNING_PIPELINER*"))


def test_each_program_went_on_where_the_other_had_stopped(chain):
    """Iterations 1 to 5 and 11 to 14 are RELION's, the others ours; classes got no worse on the way."""
    folder, did = chain
    files = {int(p.name.split("_it")[1][:3]): p for p in (folder / did["classified"]).glob("run*_model.star")}
    models = [read_star(files[i])["model_general"] for i in range(1, 17)]
    heads = [
        files[i].with_name(files[i].name.replace("model", "optimiser")).read_text() for i in range(1, 17)
    ]
    assert [text.startswith("# RELION optimiser; version 3.1") for text in heads] == (
        [True] * 5 + [False] * 5 + [True] * 4 + [False] * 2
    )
    assert models[-1]["rlnCurrentResolution"] <= models[4]["rlnCurrentResolution"]
    assert models[-1]["rlnAveragePmax"] > models[4]["rlnAveragePmax"]


def test_picks_with_our_templates_are_particles(chain):
    folder, did = chain
    truth = read_star(folder / "truth.star")["particles"]
    found = {"picked": Agreement(), "picked again": Agreement()}
    for micrograph, particles in truth.groupby("rlnMicrographName"):
        for what in found:
            name = f"{folder / did[what]}/{micrograph.removesuffix('.mrc')}_autopick.star"
            xy = ["rlnCoordinateX", "rlnCoordinateY"]
            positions = read_coordinates(name)[xy].to_numpy(), particles[xy].to_numpy()
            found[what] += agreement(*positions, distance=40 / PIXEL)
    again = found["picked again"]
    # Templates know more than a diameter.
    assert again.recall > 0.8 and again.precision > found["picked"].precision


def test_relion_selects_from_our_classes_and_we_go_on(chain, tmp_path):
    """Particles of a class, which its star_handler selects; averages it selects in a window only."""
    folder, did = chain
    data = did["classified"] + "run_it016_data.star"
    words = (
        "--i",
        data,
        "--o",
        tmp_path / "one.star",
        "--select",
        "rlnClassNumber",
        "--minval",
        1,
        "--maxval",
        1,
    )
    subprocess.run(["relion_star_handler", *map(str, words)], cwd=folder, check=True, capture_output=True)
    every, some = (read_star(path)["particles"] for path in (folder / data, tmp_path / "one.star"))
    wanted = every.loc[every["rlnClassNumber"] == 1, "rlnImageName"]
    assert some["rlnImageName"].tolist() == wanted.tolist() and 10 < len(some) < len(every)
    values = {**CLASSES, "particles": tmp_path / "one.star", "iterations": 2}
    result = run_job(load_job("class2d"), values, project=folder, output=tmp_path / "again", threads=2)
    assert not result.bad and len(result.tables["particles"]) == len(some)


def test_both_extractions_are_the_same(chain):
    """Ours of RELION's picks, RELION's of the same picks brought in as if by hand."""
    folder, did = chain
    ours, theirs = (read_star(folder / did[what] / "particles.star") for what in
                    ("extracted again", "extracted by hand"))  # fmt: skip
    assert list(ours["particles"]) == list(theirs["particles"])
    assert len(ours["particles"]) == len(theirs["particles"]) > 50
    for label in ("rlnCoordinateX", "rlnCoordinateY", "rlnDefocusU", "rlnAnglePsi"):
        np.testing.assert_array_equal(ours["particles"][label], theirs["particles"][label])


def test_relion_reads_names_of_any_letters(tmp_path):
    """Blanks and letters of other languages in names of micrographs and folders, and thus of stacks."""
    ours = Project(tmp_path, threads=2)
    ours.simulate(directory=".", micrographs=2, width=300, height=300, pixel_size=PIXEL, particles=8, snr=0.3)
    (tmp_path / "Micrographs").rename(tmp_path / "Grid 1 – Ω")
    (tmp_path / "Grid 1 – Ω/micrograph_001.mrc").rename(tmp_path / "Grid 1 – Ω/микрограф 1.mrc")
    text = (tmp_path / MICROGRAPHS).read_text()
    text = text.replace("Micrographs/micrograph_001.mrc", '"Grid 1 – Ω/микрограф 1.mrc"')
    text = text.replace("Micrographs/micrograph_002.mrc", '"Grid 1 – Ω/micrograph_002.mrc"')
    (tmp_path / MICROGRAPHS).write_text(text)
    star = {"micrographs": MICROGRAPHS}
    ours.autopick(**star, min_diameter=150, max_diameter=180, threshold_offset=1)
    ours.extract(**star, coordinates="AutoPick/job001", box_size=64, rescale=32)
    ours.class2d(particles="Extract/job002/particles.star", iterations=1, **CLASSES | {"classes": 1})
    words = ("--continue", "Class2D/job003/run_it001_optimiser.star", "--o", "Class2D/run", "--iter", "2")
    subprocess.run(["relion_refine", *words, "--j", "1"], cwd=tmp_path, check=True, capture_output=True)
    theirs = read_star(tmp_path / "Class2D/run_it002_data.star")["particles"]
    written = read_star(tmp_path / "Class2D/job003/run_it001_data.star")["particles"]
    assert theirs["rlnImageName"].tolist() == written["rlnImageName"].tolist()
    assert theirs["rlnImageName"].str.contains("Grid 1 – Ω/микрограф 1.mrcs").any()
