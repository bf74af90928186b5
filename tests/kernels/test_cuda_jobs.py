"""Picking and extraction of several micrographs on devices: the files are those of the CPU."""

import pickle
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from boxwood.execution import executor, worker
from boxwood.io.coordinates import read_coordinates
from boxwood.io.star import read_star, write_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.rerun import rerun_job
from boxwood.jobs.runner import run_job
from boxwood.project.job_files import Kept

PIXEL = 4.0
NAMES = [f"m{i}.mrc" for i in range(4)]
SHAPES = [(120, 120), (100, 140), (140, 100), (121, 130)]
# Of values and of standard deviations of images: many times what float32 rounds in transforms of this size.
ROUNDING = 1e-4


@pytest.fixture(autouse=True)
def micrographs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxwood.jobs.autopick.PICTURES", 0)
    for name, shape in zip(NAMES, SHAPES, strict=True):
        rng = np.random.default_rng(len(name) + shape[0])
        image = rng.standard_normal(shape) * 0.3 + 5
        y, x = np.indices(shape)
        for cy, cx in rng.integers(15, 85, (4, 2)):
            image -= (y - cy) ** 2 + (x - cx) ** 2 < 7**2
        with mrcfile.new(name) as file:
            file.set_data(image.astype(np.float32))
            file.voxel_size = PIXEL
    optics = {"rlnOpticsGroupName": ["one"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL]}
    table = pd.DataFrame({"rlnMicrographName": NAMES, "rlnOpticsGroup": 1})
    write_star("micrographs.star", {"optics": pd.DataFrame(optics), "micrographs": table})


class Heard:
    """Keeps what a job says."""

    def __init__(self):
        self.lines, self.warnings = [], []

    def event(self, kind, **data):
        if kind == "warning":
            self.warnings.append(data["text"])
        if kind == "log":
            self.lines.append(data["text"])


def autopick(backend, reporter=None):
    options = {"min_diameter": 50, "max_diameter": 64, "threshold_offset": 1.0, "max_resolution": 16.0}
    run_job(
        load_job("autopick"),
        {"micrographs": "micrographs.star", "backend": backend, **options},
        output=f"pick-{backend}",
        threads=2,
        reporter=reporter,
    )
    return [read_coordinates(f"pick-{backend}/m{i}_autopick.star") for i in range(4)]


def extract(backend):
    options = {"box_size": 24, "rescale": 16, "recentre_subpixel": True}
    run_job(
        load_job("extract"),
        {"micrographs": "micrographs.star", "coordinates": "pick-cpu", "backend": backend, **options},
        output=f"extract-{backend}",
        threads=2,
    )
    table = read_star(f"extract-{backend}/particles.star")["particles"]
    return table, [mrcfile.read(f"extract-{backend}/m{i}.mrcs") for i in range(4)]


def in_workers(monkeypatch):
    """Have every piece of a job done by what another process gets."""
    here = executor.map_ordered
    monkeypatch.setattr(
        executor, "map_ordered", lambda function, *more: here(pickle.loads(pickle.dumps(function)), *more)
    )


def assert_same_picks(got, want):
    for one, other in zip(got, want, strict=True):
        assert len(other) > 0
        pd.testing.assert_frame_equal(one, other, rtol=ROUNDING)


def test_devices_take_turns_at_micrographs(devices, monkeypatch):
    devices.need("cuda:0,2")
    used = []
    maps = devices.module.log_pick_maps
    monkeypatch.setattr(devices.module, "log_pick_maps", lambda *a: used.append(a[-1]) or maps(*a))
    assert_same_picks(autopick("cuda:0,2"), autopick("cpu"))
    assert set(used) == {0, 2}


def test_extracted_particles_are_those_of_the_cpu(devices):
    devices.need("cuda:0,1,2")
    autopick("cpu")
    (table, images), (want_table, want_images) = extract("cuda:0,1,2"), extract("cpu")
    names = table.pop("rlnImageName"), want_table.pop("rlnImageName")
    assert len(set(names[0])) == len(set(names[1])) == len(table)
    pd.testing.assert_frame_equal(table, want_table)
    for one, other in zip(images, want_images, strict=True):
        assert np.abs(one - other).max() < ROUNDING * other.std()


def test_runs_record_where_they_ran_and_are_repeated_there(devices):
    devices.need("cuda:0,2")
    heard = Heard()
    autopick("cuda:0,2", heard)
    (run,) = Kept.read(Path("pick-cuda:0,2")).runs
    assert run["backends"] == ["cuda:0,2"]
    assert "kernels run on cuda:0,2" in heard.lines
    assert rerun_job("pick-cuda:0,2", output="again", reporter=heard).differences == {}
    assert Kept.read(Path("again")).runs[-1]["backends"] == ["cuda:0,2"] and heard.warnings == []
    devices.set(devices=1)
    rerun_job("pick-cuda:0,2", output="elsewhere", reporter=heard)
    assert heard.warnings[0].startswith(
        "the job was made on cuda:0,2, and here backend 'cuda:0,2': there is no"
    )
    assert Kept.read(Path("elsewhere")).runs[-1]["backends"][0] in ("cpu", "cuda:0")


def test_a_device_that_disappears_loses_no_micrograph(devices):
    devices.set(lost_device=1, operations_to_loss=60)
    heard = Heard()
    picked = autopick("cuda:1", heard)
    assert [text.split("; ")[1] for text in heard.warnings] == [
        "going on without device 1, on the backend cpu"
    ]
    assert_same_picks(picked, autopick("cpu"))
    assert Kept.read(Path("pick-cuda:1")).runs[-1]["backends"] == ["cuda:1", "cpu"]
    devices.set(reset=1, devices=3)
    rerun_job("pick-cuda:1", output="again", reporter=heard)
    assert "the job went from cuda:1 to cpu, as devices failed; the last bits may differ" in heard.warnings


def test_a_device_that_disappears_in_a_worker_loses_no_micrograph(devices, monkeypatch):
    want = autopick("cpu")
    in_workers(monkeypatch)
    devices.set(operations_to_loss=60)
    assert_same_picks(autopick("cuda:1"), want)
    (text,) = worker._process.told
    assert text.endswith("going on without device 0, on the backend cpu")
    worker._process.told.clear()
    devices.set(reset=1, devices=3)
    (table, _), (want, _) = extract("cuda:2"), extract("cpu")
    pd.testing.assert_frame_equal(table.drop(columns="rlnImageName"), want.drop(columns="rlnImageName"))
    assert worker._process.told == []
