"""Select classes from a real 2D classification of RELION, as its users would."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from real_data import DATA

from boxwood.errors import InputError
from boxwood.imaging.centring import centre_of_mass
from boxwood.io.mrc import read_stack
from boxwood.io.star import read_star
from boxwood.jobs.context import JobContext
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

CLASS2D = DATA / "bgal10204" / "relion5_class2d"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not CLASS2D.is_dir(), reason=f"the real data is not in {DATA}"),
]
GOOD = (24, 25, 27, 17, 32, 3)  # correlate best with projections of the known map (above 0.86)
JUNK = (11, 18, 35, 20, 16, 5, 31, 14)  # empty, or below 0.46
MODEL = CLASS2D / "run_it025_model.star"


def select(output, **options):
    return run_job(load_job("select-classes"), {"model": MODEL, **options}, output=output)


def test_chosen_classes(tmp_path):
    result = select(tmp_path, classes=(24, 4, 28))
    data = read_star(CLASS2D / "run_it025_data.star")["particles"]
    expected = data[data["rlnClassNumber"].isin([4, 24, 28])]
    particles = read_star(tmp_path / "particles.star")
    assert list(particles) == ["optics", "particles"]
    assert list(particles["particles"]["rlnImageName"]) == list(expected["rlnImageName"])
    averages = read_star(tmp_path / "class_averages.star")
    assert list(averages) == ["", "boxwood_scores"]
    assert list(averages[""]["rlnClassNumber"]) == [4, 24, 28]
    model = read_star(MODEL)["model_classes"]
    np.testing.assert_allclose(
        averages[""]["rlnClassDistribution"], model["rlnClassDistribution"].iloc[[3, 23, 27]], atol=5e-7
    )
    selected = read_star(tmp_path / "backup_selection.star")[""]["rlnSelected"]
    assert len(selected) == 50 and list(np.flatnonzero(selected) + 1) == [4, 24, 28]
    assert not (tmp_path / "class_averages.mrcs").exists()
    assert (tmp_path / "class_selection.png").stat().st_size > 10_000
    assert result.values == {"classes": 3, "particles": len(expected)}


def test_unmoved_names_find_the_averages(tmp_path):
    """The model names images in a folder that is not here: the stack beside it is named instead."""
    table = select(tmp_path, classes=(4,)).tables["class_averages"]
    number, _, stack = table["rlnReferenceImage"][0].partition("@")
    assert Path(stack).is_file() and int(number) == 4


def test_recentred_templates(tmp_path):
    table = select(tmp_path, classes=(12, 32), recenter=True).tables["class_averages"]
    assert list(table["rlnReferenceImage"]) == [
        f"{n:06d}@{tmp_path.as_posix()}/class_averages.mrcs" for n in (1, 2)
    ]
    templates = np.asarray(read_stack(tmp_path / "class_averages.mrcs"))
    averages = np.asarray(read_stack(CLASS2D / "run_it025_classes.mrcs"))[[11, 31]]
    before, after = centre_of_mass(averages), centre_of_mass(templates)
    # Interpolation turns some pixels next to zero positive or negative, so the new centre is not exactly 0.
    assert (np.hypot(*after.T) < 0.2 * np.hypot(*before.T) + 0.02).all()


def test_auto_prefers_views_to_junk(tmp_path):
    found = select(tmp_path, auto=True).tables["scores"]
    scores = found["score"]
    assert scores[list(GOOD)].min() > 0.8 and scores[list(JUNK)].max() < 0.2
    tables = read_star(tmp_path / "class_averages.star")
    chosen, judged = set(tables[""]["rlnClassNumber"]), tables["boxwood_scores"]
    assert set(GOOD) <= chosen and not set(JUNK) & chosen
    assert set(judged.loc[judged["bwClassScore"] >= 0.5, "rlnClassNumber"]) == chosen
    assert "rlnClassScore" not in tables[""]  # RELION 3.1 complains of it
    told = read_star(tmp_path / "class_scores.star")["boxwood_scores"]
    assert told["rlnClassScore"].is_monotonic_decreasing and told["rlnClassNumber"][0] in GOOD
    assert set(told.loc[told["rlnSelected"] == 1, "rlnClassNumber"]) == chosen
    assert told["bwReasons"].tolist() == found["reasons"][told["rlnClassNumber"]].tolist()


def test_only_the_best_and_no_fewer_than_wanted(tmp_path):
    scores = select(tmp_path / "all", auto=True).tables["scores"]["score"].sort_values(ascending=False)
    result = select(tmp_path, auto=True, min_score=float(scores.iloc[0]))
    assert list(result.tables["class_averages"]["rlnClassNumber"]) == [scores.index[0]]
    result = select(tmp_path / "three", auto=True, min_score=1.0, min_classes=3)
    assert set(result.tables["class_averages"]["rlnClassNumber"]) == set(scores.index[:3])
    result = select(tmp_path / "many", auto=True, min_score=1.0, min_particles=1000)
    assert 1000 <= result.values["particles"] < 1000 + 2374 / 5


def test_relion_5_gets_the_scores_of_its_class_ranker(tmp_path):
    job = load_job("select-classes")
    context = JobContext(tmp_path.as_posix(), dialect="5")
    result = job.run(job.options.make({"model": MODEL, "auto": True}), context)
    table = read_star(tmp_path / "class_averages.star")[""]
    expected = result.tables["scores"]["score"][table["rlnClassNumber"]]
    np.testing.assert_allclose(table["rlnClassScore"], expected, atol=1e-6)
    np.testing.assert_allclose(table["rlnPredictedClassScore"], expected, atol=1e-6)


def test_regroup(tmp_path):
    table = select(tmp_path, classes=tuple(range(1, 51)), regroup=5).tables["particles"]
    assert "rlnGroupNumber" not in table.columns
    sizes = table["rlnGroupName"].value_counts()
    assert sorted(sizes.index) == [f"group_{n}" for n in range(1, 6)]
    # ten micrographs of 215 to 259 particles in pairs
    assert sizes.min() > 400 and sizes.sum() == 2374


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--classes, --auto"),
        ({"classes": (1, 2), "auto": True}, "were given"),
        ({"classes": (51,)}, "no class 51; the classes are numbered 1 to 50"),
        ({"classes": (11,)}, "have no particles"),
        ({"auto": True, "min_score": 1.1}, "min_score is 1.1"),
        ({"auto": True, "min_score": 1.0}, "No class has a score of 1 or more"),
        ({"classes": (24,), "regroup": 100}, "fewer than 10 per group"),
        ({"model": CLASS2D / "run_it003_model.star", "classes": (1,)}, "run_it003_data.star is missing"),
        ({"model": CLASS2D / "run_it025_data.star", "classes": (1,)}, "is not named like"),
    ],
)
def test_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        select(tmp_path / "out", **options)
    assert not list(tmp_path.glob("out/*.star"))


def test_optimiser_is_accepted(tmp_path):
    result = select(tmp_path, model=CLASS2D / "run_it025_optimiser.star", classes=(1,))
    assert result.values["classes"] == 1


def test_without_optimiser_the_box_is_the_mask(tmp_path):
    for kind in ("model.star", "data.star", "classes.mrcs"):
        shutil.copy(CLASS2D / f"run_it025_{kind}", tmp_path)
    result = select(tmp_path / "out", model=tmp_path / "run_it025_model.star", classes=(1,))
    wide = result.tables["scores"]
    narrow = select(tmp_path / "narrow", classes=(1,)).tables["scores"]
    assert not np.allclose(wide["border"], narrow["border"], equal_nan=True)
