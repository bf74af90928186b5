"""The adaptive method of the autopick job: its files, its model used again, and what it refuses to pick."""

from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from boxwood.errors import FileFormatError, InputError
from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import write_stack
from boxwood.io.star import write_star
from boxwood.jobs.adaptive_align import align
from boxwood.jobs.adaptive_picking import learned_from, spread
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.jobs.context import JobContext
from boxwood.jobs.picking_model import read_model, write_model
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.picking.adaptive import AdaptiveModel, Calibration, Component

PIXEL = 4.0
PLACES = [(x, y) for y in range(40, 400, 60) for x in range(40, 400, 60)]


def write_micrograph(path, seed, particles=True):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((400, 420)) + 7
    y, x = np.indices(image.shape)
    for cx, cy in PLACES if particles else ():
        dx, dy = rng.uniform(-12, 12, 2)
        image -= (y - cy - dy) ** 2 + (x - cx - dx) ** 2 < 10**2
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(image.astype(np.float32))
        file.voxel_size = PIXEL


def write_list(names, name="micrographs.star"):
    optics = pd.DataFrame(
        {"rlnOpticsGroupName": ["one"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL]}
    )
    write_star(
        name,
        {"optics": optics, "micrographs": pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})},
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxwood.jobs.autopick.PICTURES", 1)
    return tmp_path


def autopick(output=None, continue_from=False, **options):
    values = (
        options if continue_from else {"micrographs": "micrographs.star", "method": "adaptive", **options}
    )
    return run_job(load_job("autopick"), values, threads=2, output=output, continue_from=continue_from)


def test_a_job_and_its_model_for_new_micrographs(project):
    for i in range(3):
        write_micrograph(project / f"m{i}.mrc", i)
    write_micrograph(project / "new.mrc", 9)
    (project / "bad.mrc").write_bytes(b"no micrograph")
    write_list(["bad.mrc", "m0.mrc", "m1.mrc", "m2.mrc"])
    result = autopick(min_diameter=70, max_diameter=90, learn_from=3)
    assert [name for name, _ in result.bad] == ["bad.mrc"]
    assert abs(result.values["picks"] - 3 * len(PLACES)) <= 5
    job = project / "AutoPick/job001"
    table = read_coordinates(job / "m1_autopick.star")
    assert "boxwoodLocalFdr" in table
    assert table["boxwoodLocalFdr"].between(0, 0.5).all()
    assert table["rlnAutopickFigureOfMerit"].is_monotonic_decreasing

    write_list(["new.mrc"])
    again = autopick(model="AutoPick/job001/picking_model.star")
    assert abs(again.values["picks"] - len(PLACES)) <= 3
    assert (project / "AutoPick/job002/picking_model.star").read_text() == (
        job / "picking_model.star"
    ).read_text()

    # More micrographs of a running session: what is picked stays, the model is not learned again.
    before = (job / "m1_autopick.star").stat().st_mtime_ns
    write_list(["m0.mrc", "m1.mrc", "new.mrc"])
    more = autopick(continue_from="AutoPick/job001")
    assert (job / "m1_autopick.star").stat().st_mtime_ns == before
    assert len(read_coordinates(job / "new_autopick.star")) == again.values["picks"]
    assert more.values["micrographs"] == 3


def test_noise_gives_a_warning_and_no_picks(project):
    for i in range(2):
        write_micrograph(project / f"m{i}.mrc", i, particles=False)
    write_list(["m0.mrc", "m1.mrc"])
    result = autopick(output="empty", min_diameter=70, max_diameter=90)
    assert result.values["picks"] == 0
    assert len(read_coordinates(project / "empty/m0_autopick.star")) == 0


class Listener:
    """Keeps what a job says."""

    def __init__(self):
        self.heard = []

    def event(self, kind, **data):
        self.heard.append(str(data.get("text")))


def test_why_nothing_is_picked(project):
    """Nothing was found to learn from, or what was found is not convincing."""
    rng = np.random.default_rng(3)
    for i in range(2):
        write_micrograph(project / f"m{i}.mrc", i, particles=False)
    write_list(["m0.mrc", "m1.mrc"])
    doubtful = AdaptiveModel(84.0, 20.0, 80.0, False, rng.random(16), 5.0, 2.0, 1.0)
    for learned, words in ((None, "nothing like a particle was found"), (doubtful, "is not convincing")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("boxwood.jobs.adaptive_picking.learn", lambda *_, learned=learned: learned)
            listener = Listener()
            values = {"micrographs": "micrographs.star", "method": "adaptive", "diameter": "auto"}
            result = run_job(load_job("autopick"), values, threads=2, reporter=listener)
        assert result.values["picks"] == 0
        assert sum("no picks, because" in text and words in text for text in listener.heard) == 2


def test_model_files_round_trip(project):
    rng = np.random.default_rng(0)
    model = AdaptiveModel(
        150.0,
        20.0,
        140.0,
        True,
        rng.random(16),
        5.0,
        2.0,
        1.0,
        (Component(2, rng.random(11), 3.5), Component(5, rng.random(11), 1.5)),
        rng.random(2),
        Calibration(np.linspace(-3, 20, 9), np.linspace(1, 0, 9)),
        80.0,
        True,
    )
    write_model("model.star", model)
    same = read_model("model.star")
    for name in (
        "diameter_angstrom",
        "mean",
        "variance",
        "noise",
        "highest",
        "white_particles",
        "convincing",
    ):
        assert getattr(same, name) == getattr(model, name)
    # To the last bit: a job that is continued picks as the one that learned.
    assert (same.profile == model.profile).all()
    assert [c.order for c in same.components] == [2, 5]
    assert (same.components[1].profile == model.components[1].profile).all()
    assert (same.energies == model.energies).all()
    assert (same.calibration.scores == model.calibration.scores).all()
    assert (same.calibration.rates == model.calibration.rates).all()
    write_list(["m0.mrc"], "other.star")
    with pytest.raises(FileFormatError, match="is not a model of adaptive picking"):
        read_model("other.star")


def test_damaged_micrographs_are_not_learned_from(project):
    images = {name: np.random.default_rng(0).poisson(0.3, (130, 140)).astype(np.float32) for name in "abcd"}
    images["a"][40:] = 0
    images["b"][3, 4] = np.nan
    for name, image in images.items():
        write_stack(f"{name}.mrc", image[None], PIXEL)
    options = AutopickOptions(micrographs="m.star", method="adaptive", diameter="auto", learn_from=3)
    assert list(learned_from(options, list("abcd"), lambda name: Path(f"{name}.mrc"), int)) == ["c", "d"]


def test_names_are_spread_and_none_is_lost():
    names = [f"{i}" for i in range(10)]
    assert spread(names, 3)[:3] == ["0", "3", "6"]
    assert sorted(spread(names, 3)) == names
    assert spread(names[:2], 6) == names[:2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "max_diameter are not given; say between which diameters the particles are, or diameter auto"),
        ({"min_diameter": 50}, "max_diameter is not given"),
        ({"method": "log"}, "min_diameter and max_diameter are not given"),
        ({"method": "log", "diameter": "auto"}, "min_diameter and max_diameter are not given"),
        ({"diameter": "large"}, "diameter is 'large'; it must be auto or a number"),
        ({"diameter": "auto", "write_fom_maps": True}, "the method adaptive keeps no maps"),
        ({"diameter": "90", "min_diameter": 50, "max_diameter": 60}, "instead of min_diameter and max_diam"),
    ],
)
def test_options_are_refused(project, options, words):
    write_list(["m0.mrc"])
    with pytest.raises(InputError, match=words):
        autopick(**options)


def test_aligned_picks_lie_nearer_to_the_centres(project):
    """Off-centre boxes are moved back by the averages of their class."""
    names = ["m0.mrc", "m1.mrc"]
    for i, name in enumerate(names):
        write_micrograph(project / name, i)
    files = {name: project / name for name in names}
    rng = np.random.default_rng(0)
    truth, tables = {}, {}
    for i, name in enumerate(names):
        noise = np.random.default_rng(i)
        noise.standard_normal((400, 420))
        truth[name] = np.array(PLACES) + [noise.uniform(-12, 12, 2) for _ in PLACES]
        off = truth[name] + rng.normal(0, 2.0, truth[name].shape)
        tables[name] = pd.DataFrame({"rlnCoordinateX": off[:, 0], "rlnCoordinateY": off[:, 1], "kept": 1})
        tables[name]["rlnAutopickFigureOfMerit"] = np.arange(len(off), 0, -1.0)
    model = AdaptiveModel(84.0, 20.0, 80.0, False, np.ones(16), 5.0, 2.0, 1.0)
    moved = align(tables, files, dict.fromkeys(names, PIXEL), model, 63.0, JobContext(project))
    for name in names:
        before, after = (
            np.hypot(*(t[name][["rlnCoordinateX", "rlnCoordinateY"]].to_numpy() - truth[name]).T)
            for t in (tables, moved)
        )
        assert np.median(after) < 0.6 * np.median(before)
        assert list(moved[name]["kept"]) == [1] * len(PLACES)
