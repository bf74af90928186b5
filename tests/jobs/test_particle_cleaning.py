"""Clean simulated and real particles of a 2D classification."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from real_data import DATA

from boxwood.errors import InputError
from boxwood.imaging.fourier import shift
from boxwood.imaging.regrid import regridded
from boxwood.io.particles import ParticleSet
from boxwood.io.stacks import write_stack
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.simulate import simulate_particles

PIXEL, BOX, MASK = 4.0, 48, 170
REAL, EMPTY, TWICE = 150, 50, 6
BGAL = DATA / "bgal10204"


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """A project of particles of three views, empty picks, and some particles picked twice, classified."""
    folder = tmp_path_factory.mktemp("cleaning")
    made = simulate_particles(REAL, BOX, PIXEL, classes=3, snr=0.4, max_offset_px=2, seed=5)
    empty = simulate_particles(EMPTY, BOX, PIXEL, snr=1e-6, seed=6)
    again = np.round(shift(made.images[:TWICE], np.full((TWICE, 2), [2.0, -1.0])), 6)
    images = np.concatenate([made.images, empty.images, again])
    rows = np.concatenate([made.ctf_rows, empty.ctf_rows, made.ctf_rows[:TWICE]])
    n = len(images)
    # Particles lie on a lattice 200 px apart, in two micrographs.
    order = np.append(np.arange(REAL + EMPTY), np.arange(TWICE))
    x, y = 200.0 * (order // 2 % 12), 200.0 * (order // 24)
    x[REAL + EMPTY :] -= 2
    y[REAL + EMPTY :] += 1
    write_stack(folder / "particles.mrcs", images, PIXEL)
    write(folder, x, y, order, rows, n)
    result = Project(folder).class2d(
        particles=folder / "particles.star",
        classes=5,
        iterations=8,
        mask_diameter=MASK,
        output=folder / "run",
    )
    return folder, result


def write(folder, x, y, order, rows, n):
    names = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift")
    table = pd.DataFrame(
        {
            "rlnImageName": [f"{i + 1:06d}@{folder}/particles.mrcs" for i in range(n)],
            "rlnMicrographName": [f"micrograph{i % 2}.mrc" for i in order],
            "rlnCoordinateX": x,
            "rlnCoordinateY": y,
            **{name: rows[:, i] for i, name in enumerate(names)},
            "rlnOpticsGroup": 1,
        }
    )
    optics = {
        "rlnOpticsGroupName": "opticsGroup1", "rlnOpticsGroup": 1, "rlnMicrographPixelSize": PIXEL,
        "rlnVoltage": rows[0, 4], "rlnSphericalAberration": rows[0, 5], "rlnAmplitudeContrast": rows[0, 6],
        "rlnImagePixelSize": PIXEL, "rlnImageSize": BOX, "rlnImageDimensionality": 2,
    }  # fmt: skip
    ParticleSet(pd.DataFrame([optics]), table).write(folder / "particles.star")


def row_of(table):
    """Number in the stack, from 0, of every row."""
    return table["rlnImageName"].str.split("@").str[0].astype(int).to_numpy() - 1


def test_particles_stay_empty_picks_go_and_nothing_stays_twice(classified, tmp_path):
    folder, run = classified
    result = Project(folder).select_particles(particles=run.files["data"], auto=True, output=tmp_path)
    kept = row_of(read_star(tmp_path / "particles.star")["particles"])
    assert np.isin(np.arange(REAL), kept).mean() > 0.9
    assert np.isin(np.arange(REAL, REAL + EMPTY), kept).mean() < 0.2
    first, second = np.arange(TWICE), np.arange(REAL + EMPTY, REAL + EMPTY + TWICE)
    assert not (np.isin(first, kept) & np.isin(second, kept)).any()
    removed = row_of(read_star(tmp_path / "particles_removed.star")["particles"])
    assert sorted([*kept, *removed]) == list(range(REAL + EMPTY + TWICE))
    told = read_star(tmp_path / "particle_scores.star")["boxwood_scores"]
    stays = told["rlnSelected"].to_numpy(bool)
    assert set(row_of(told[stays])) == set(kept) and set(told.loc[stays, "bwReason"]) == {"none"}
    assert ((told["bwScore"] >= 0.5) | ~stays).all()
    assert told.loc[stays, "bwNearest"].min() < 0.25 * MASK  # to the worse pick of a pair
    assert (told["bwReason"] == "picked twice").sum() == result.values["removed: picked twice"] >= TWICE - 2
    assert sum(v for name, v in result.values.items() if name.startswith("removed: ")) == len(removed)


def test_the_better_of_two_stays_and_a_distance_of_nothing_keeps_both(classified, tmp_path):
    folder, run = classified
    table = (
        Project(folder)
        .select_particles(particles=run.files["data"], auto=True, output=tmp_path)
        .tables["particle_scores"]
    )
    order = np.argsort(row_of(read_star(run.files["data"])["particles"]))
    score, why = table["score"].to_numpy()[order], table["removed"].to_numpy()[order]
    for one, two in zip(range(TWICE), range(REAL + EMPTY, REAL + EMPTY + TWICE), strict=True):
        if "picked twice" in (why[one], why[two]):
            better, worse = (one, two) if why[two] == "picked twice" else (two, one)
            assert score[better] >= score[worse]
    all_of_them = Project(folder).select_particles(
        particles=run.files["data"], auto=True, distance=0, min_score=0, output=tmp_path / "all"
    )
    same = (all_of_them.tables["particle_scores"]["nearest"] == 0).sum() // 2
    assert all_of_them.values["particles"] == REAL + EMPTY + TWICE - same and same <= TWICE // 2


def test_the_pixel_size_of_micrographs_can_be_given(classified, tmp_path):
    """In pixels a hundred times as large, nothing was picked twice."""
    folder, run = classified
    found = Project(folder).select_particles(
        particles=run.files["data"], auto=True, micrograph_pixel_size=100 * PIXEL, output=tmp_path
    )
    assert "removed: picked twice" not in found.values


def test_unreadable_images_are_named_and_go(classified, tmp_path):
    folder, _ = classified
    for path in (folder / "run").glob("run_it008_*"):
        shutil.copy(path, tmp_path)
    data = ParticleSet.read(tmp_path / "run_it008_data.star")
    names = data.table["rlnImageName"].tolist()
    names[3] = "000001@nowhere.mrcs"
    replace(data, table=data.table.assign(rlnImageName=names)).write(tmp_path / "run_it008_data.star")
    result = Project(folder).select_particles(
        particles=tmp_path / "run_it008_data.star", auto=True, output=tmp_path / "out"
    )
    assert any("nowhere.mrcs" in name for name, _ in result.bad)
    assert result.tables["particle_scores"]["removed"].iloc[3] == "not classified, or not readable"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"particles": "particles.star"}, "is not the run_itNNN_data.star"),
        ({"min_score": 1.0}, "No particle of the 206 is left by --auto"),
        ({"split": 2}, "--auto and --split were given"),
    ],
)
def test_refusals(classified, tmp_path, options, words):
    folder, run = classified
    given = {"particles": run.files["data"], "auto": True, **options}
    with pytest.raises(InputError, match=words):
        Project(folder).select_particles(**given, output=tmp_path)


def test_particles_of_two_pixel_sizes_are_judged_together(classified, tmp_path):
    """A third of the images is taken to pixels of 3 instead of 4 Angstrom, and has the scores it had."""
    folder, run = classified
    for path in (folder / "run").glob("run_it008_*"):
        shutil.copy(path, tmp_path)
    data = ParticleSet.read(run.files["data"])
    rows = np.arange(0, len(data), 3)
    fine = regridded(data.images().read(rows), PIXEL, 64, 3.0)
    write_stack(tmp_path / "fine.mrcs", fine, 3.0)
    table = data.table.copy()
    table.loc[rows, "rlnImageName"] = [f"{i + 1:06d}@{tmp_path}/fine.mrcs" for i in range(len(rows))]
    table.loc[rows, "rlnOpticsGroup"] = 2
    second = data.optics.assign(
        rlnOpticsGroup=2, rlnOpticsGroupName="fine", rlnImagePixelSize=3.0, rlnImageSize=64
    )
    optics = pd.concat([data.optics, second], ignore_index=True)
    ParticleSet(optics, table).write(tmp_path / "run_it008_data.star")
    before, after = (
        Project(folder)
        .select_particles(particles=path, auto=True, output=tmp_path / f"out{i}")
        .tables["particle_scores"]
        for i, path in enumerate((run.files["data"], tmp_path / "run_it008_data.star"))
    )
    for name in ("evidence", "likeness"):
        np.testing.assert_allclose(after[name], before[name], atol=0.02)
    # On the way to and fro images lose the frequencies at Nyquist's, a 24th of the noise that `faint` sees.
    np.testing.assert_allclose(after["score"], before["score"], atol=0.08)
    assert np.abs(after["score"] - before["score"]).median() < 0.01


def alike(a, b):
    """(n,) correlation of rows (n, box)."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a.astype(float), b.astype(float)))
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


@pytest.mark.data
@pytest.mark.skipif(not BGAL.is_dir(), reason=f"the real data is not in {BGAL}")
def test_boxes_beyond_a_real_micrograph_go(tmp_path):
    """Of RELION's classification: pixels beyond a micrograph repeat its edge, so that rows are alike."""
    data = BGAL / "relion5_class2d" / "run_it025_data.star"
    result = Project(BGAL).select_particles(particles=data, auto=True, output=tmp_path)
    assert 2000 < result.values["particles"] < 2300
    table = ParticleSet.read(data)
    kept = (result.tables["particle_scores"]["removed"] == "").to_numpy()
    images = table.images().read(np.arange(len(table)))
    turned = images.swapaxes(1, 2)
    sides = [alike(im[:, a], im[:, b]) for im in (images, turned) for a, b in ((1, 4), (-2, -5))]
    outside = np.max(sides, axis=0) > 0.8
    assert outside.sum() > 20 and kept[outside].mean() < 0.2 and kept[~outside].mean() > 0.9
