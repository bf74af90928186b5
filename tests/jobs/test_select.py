"""The select jobs on small made-up files: what is written, and which sentence refuses what."""

import mrcfile
import numpy as np
import pandas as pd
import pytest

from boxwood.errors import InputError
from boxwood.io.selection import read_selection, write_selection
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.project.form_fields import filled_form

OPTICS = pd.DataFrame(
    {
        "rlnOpticsGroupName": ["opticsGroup1"],
        "rlnOpticsGroup": [1],
        "rlnMicrographOriginalPixelSize": [0.885],
        "rlnVoltage": [200.0],
        "rlnSphericalAberration": [1.4],
        "rlnAmplitudeContrast": [0.1],
    }
)
BOX = 32


@pytest.fixture
def micrographs(tmp_path):
    table = pd.DataFrame(
        {
            "rlnMicrographName": [f"MotionCorr/job002/m{n}.mrc" for n in range(1, 8)],
            "rlnOpticsGroup": 1,
            "rlnCtfMaxResolution": [3.0, 8.0, 4.0, 5.0, 6.0, 7.0, 9.0],
            "myOwnColumn": [f"note {n}" for n in range(7)],
        }
    )
    path = tmp_path / "micrographs_ctf.star"
    write_star(path, {"optics": OPTICS.assign(rlnMicrographPixelSize=0.885), "micrographs": table})
    return path


@pytest.fixture
def particles(tmp_path, monkeypatch):
    """Sixty particles of two micrographs; number 8 is too bright, number 21 too noisy."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (60, BOX, BOX)).astype(np.float32)
    images[7] += 2
    images[20] *= 3
    with mrcfile.new(tmp_path / "p.mrcs") as file:
        file.set_data(images)
        file.voxel_size = 3.54
    table = pd.DataFrame(
        {
            "rlnCoordinateX": rng.uniform(0, 3000, 60),
            "rlnCoordinateY": rng.uniform(0, 3000, 60),
            "rlnAutopickFigureOfMerit": rng.uniform(0, 1, 60),
            "rlnImageName": [f"{n:06d}@p.mrcs" for n in range(1, 61)],
            "rlnMicrographName": [f"m{1 + n // 30}.mrc" for n in range(60)],
            "rlnOpticsGroup": 1,
        }
    )
    optics = OPTICS.assign(rlnImagePixelSize=3.54, rlnImageSize=BOX, rlnImageDimensionality=2)
    write_star(tmp_path / "particles.star", {"optics": optics, "particles": table})
    return tmp_path / "particles.star"


def select(kind, output, **options):
    return run_job(load_job(f"select-{kind}"), options, output=output)


def names(path):
    return [name[-6:-4] for name in read_star(path)["micrographs"]["rlnMicrographName"]]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"first": 5}, ["m1", "m2", "m3", "m4", "m5"]),
        ({"first": 50}, ["m1", "m2", "m3", "m4", "m5", "m6", "m7"]),
        ({"names": ("m6", "m2.mrc", "MotionCorr/job002/m3.mrc")}, ["m2", "m3", "m6"]),
        ({"where": "rlnCtfMaxResolution < 6"}, ["m1", "m3", "m4"]),
    ],
)
def test_micrographs_selected(tmp_path, micrographs, options, kept):
    result = select("micrographs", tmp_path / "out", micrographs=micrographs, **options)
    assert names(result.files["micrographs"]) == kept
    written = read_star(result.files["micrographs"])
    assert list(written) == ["optics", "micrographs"]
    assert written["micrographs"]["myOwnColumn"].iloc[-1].startswith("note ")


def test_micrographs_at_random(tmp_path, micrographs):
    runs = [
        names(
            select("micrographs", tmp_path / f"r{n}", micrographs=micrographs, random=3, seed=seed).files[
                "micrographs"
            ]
        )
        for n, seed in enumerate([1, 1, 2])
    ]
    assert runs[0] == runs[1] != runs[2]
    assert all(run == sorted(run) and len(set(run)) == 3 for run in runs)


def test_micrographs_split(tmp_path, micrographs):
    result = select("micrographs", tmp_path / "out", micrographs=micrographs, split=3)
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".star") == [
        f"micrographs_split{n}.star" for n in (1, 2, 3)
    ]
    assert [names(path) for path in result.files.values()] == [["m1", "m2", "m3"], ["m4", "m5"], ["m6", "m7"]]


def test_micrographs_of_picked_coordinates(tmp_path, micrographs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suffix = tmp_path / "coords_suffix_manualpick.star"
    suffix.write_text("micrographs_ctf.star\n")
    result = select("micrographs", tmp_path / "out", micrographs=suffix, first=5)
    assert result.values["micrographs"] == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing was given; give one of --first, --names, --where, --random, --split"),
        ({"first": 2, "where": "rlnOpticsGroup == 1"}, "--first and --where were given"),
        ({"where": "rlnCtfMaxResolution < 0"}, "No micrograph of the 7"),
        ({"where": "rlnCtfMaxRes < 0"}, "did you mean rlnCtfMaxResolution"),
        ({"names": ("m9",)}, "no micrograph 'm9'"),
        ({"split": 8}, "cannot be split into 8 parts"),
        ({"random": 8}, "8 of 7 rows"),
    ],
)
def test_micrographs_refused(tmp_path, micrographs, options, words):
    with pytest.raises(InputError, match=words):
        select("micrographs", tmp_path / "out", micrographs=micrographs, **options)
    assert not list(tmp_path.glob("out/*.star"))


def test_particles_where(tmp_path, particles):
    result = select(
        "particles", tmp_path / "out", particles=particles, where="rlnAutopickFigureOfMerit > 0.5"
    )
    table = read_star(result.files["particles"])["particles"]
    every = read_star(particles)["particles"]
    pd.testing.assert_frame_equal(table, every[every.rlnAutopickFigureOfMerit > 0.5].reset_index(drop=True))


def test_particles_of_unusual_statistics_are_dropped(tmp_path, particles):
    result = select("particles", tmp_path / "out", particles=particles, discard_sigma=4)
    kept = {int(name[:6]) for name in result.tables["particles"]["rlnImageName"]}
    assert set(range(1, 61)) - kept == {8, 21}


def test_particles_split_at_random_is_a_partition(tmp_path, particles):
    result = select("particles", tmp_path / "out", particles=particles, split=7, random_order=True)
    parts = [list(table["rlnImageName"]) for table in result.tables.values()]
    assert all(part == sorted(part) for part in parts) and {len(part) for part in parts} == {8, 9}
    every = list(read_star(particles)["particles"]["rlnImageName"])
    assert sorted(name for part in parts for name in part) == every
    assert parts[0] != every[:9]


def test_particles_duplicates_are_removed(tmp_path, particles):
    tables = read_star(particles)
    twice = tables["particles"].iloc[[3, 40]].assign(rlnOriginXAngst=20.0, rlnOriginYAngst=0.0)
    twice["rlnCoordinateX"] += 30.0  # 26.55 A further, of which the origin takes 20 away
    both = pd.concat([tables["particles"].assign(rlnOriginXAngst=0.0, rlnOriginYAngst=0.0), twice])
    write_star(particles, {"optics": tables["optics"], "particles": both})
    result = select("particles", tmp_path / "out", particles=particles, remove_duplicates=6.6)
    assert [name[:6] for name in result.tables["removed"]["rlnImageName"]] == ["000004", "000041"]
    assert result.values == {"particles": 60, "removed": 2}
    nothing = select("particles", tmp_path / "no", particles=particles, remove_duplicates=6.5)
    assert nothing.values["removed"] == 0


def test_particles_marked_by_hand_are_left_out(tmp_path, particles):
    selected = np.arange(60) % 7 != 3
    write_selection("marks.star", selected)
    result = select("particles", tmp_path / "out", particles=particles, selection="marks.star")
    every = read_star(particles)["particles"]
    pd.testing.assert_frame_equal(result.tables["particles"], every[selected].reset_index(drop=True))
    np.testing.assert_array_equal(read_selection(result.files["backup_selection"], 60), selected)
    write_selection("marks.star", selected[1:])
    with pytest.raises(InputError, match="a selection of 59 rows, but there are 60"):
        select("particles", tmp_path / "out", particles=particles, selection="marks.star")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing was given"),
        ({"where": "rlnCoordinateX < 0"}, "No particle of the 60"),
        ({"discard_sigma": 0}, "discard_sigma is 0"),
        ({"split": 61}, "61 parts"),
    ],
)
def test_particles_refused(tmp_path, particles, options, words):
    with pytest.raises(InputError, match=words):
        select("particles", tmp_path / "out", particles=particles, **options)


def test_job_files_have_every_field_of_relions_form(micrographs, tmp_path):
    project = Project(tmp_path)
    project.select_micrographs(micrographs="micrographs_ctf.star", split=3)
    table = read_star(tmp_path / "Select" / "job001" / "job.star")["joboptions_values"]
    fields = dict(zip(table["rlnJobOptionVariable"], table["rlnJobOptionValue"], strict=True))
    blank = filled_form(7, "1", {})
    assert set(blank) == set(fields)
    assert {name: value for name, value in fields.items() if blank[name] != value} == {
        "fn_mic": "micrographs_ctf.star",
        "do_recenter": "No",
        "do_split": "Yes",
        "nr_split": "3",
        "split_size": "-1",
    }
