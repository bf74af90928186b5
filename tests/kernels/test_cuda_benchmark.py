"""The benchmark of the GPU runs, on a problem that an emulated device can do, and times every stage."""

import importlib.util
import sys
from pathlib import Path

from boxwood.backends import cuda

spec = importlib.util.spec_from_file_location(
    "bench_cuda", Path(__file__).parents[2] / "benchmarks/bench_cuda.py"
)
bench_cuda = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench_cuda)


def test_every_stage_is_timed(cuda_emulation, cuda_emulated, monkeypatch, capsys):
    monkeypatch.setattr(cuda, "load_module", lambda: cuda_emulated)
    monkeypatch.setattr(bench_cuda, "load_module", lambda: cuda_emulated)
    monkeypatch.setattr(bench_cuda, "OFFSET_RANGE", 2.0)
    sizes = {"images": 4, "classes": 3, "rings": 6, "cpu-images": 4, "ceiling-mib": 1, "ceiling-n": 16}
    monkeypatch.setattr(sys, "argv", ["bench_cuda", *(f"--{name}={value}" for name, value in sizes.items())])
    bench_cuda.main()
    text = capsys.readouterr().out
    assert text.count("class posterior agrees") == 4
    for stage in ("to the device", "weigh", "shift_and_transform", "multiply", "search", "choose", "count"):
        assert text.count(f"| {stage} |") == 4, stage
    for stage in ("list", "evaluate", "normalise", "posterior_harmonics", "group_sums", "numerator", "rings"):
        assert text.count(f"| {stage} |") == 4, stage
    assert cuda_emulated.stage_times() == {}, "nothing is timed unless asked for"


def test_work_of_the_product_is_counted():
    """A complex multiply-add, 8 operations, for each coefficient, class and offset."""
    case = bench_cuda.problem(1, 100, 31, two_pass=False)
    _, operations = bench_cuda.least_work(case)["multiply"]
    assert operations == 8 * case["references"].size * len(case["phases"])
