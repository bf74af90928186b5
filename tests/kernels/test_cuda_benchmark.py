"""The benchmark of the GPU runs, on a problem that an emulated device can do, and times every stage."""

import subprocess
import sys

import bench_cuda
import gpu

from boxwood.backends import cuda


def test_every_stage_is_timed(cuda_emulation, cuda_emulated, monkeypatch, capsys):
    monkeypatch.setattr(cuda, "load_module", lambda: cuda_emulated)
    monkeypatch.setattr(bench_cuda, "load_module", lambda: cuda_emulated)
    monkeypatch.setattr(bench_cuda, "OFFSET_RANGE", 2.0)
    sizes = {"images": 4, "classes": 3, "rings": 6, "cpu-images": 4, "ceiling-mib": 1, "ceiling-n": 16}
    sizes |= {"side": 60, "box": 24, "particles": 3}
    monkeypatch.setattr(sys, "argv", ["bench_cuda", *(f"--{name}={value}" for name, value in sizes.items())])
    bench_cuda.main()
    text = capsys.readouterr().out
    assert (
        text.count("images sent: all results agree") == text.count("images in store: all results agree") == 6
    )
    assert text.count("us an image in store") == 6
    for stage in ("weigh", "shift_and_transform", "multiply", "search", "choose", "count"):
        assert text.count(f"| {stage} |") == 6, stage
    for stage in (
        "shift_and_transform, listed",
        "list",
        "evaluate",
        "posterior_harmonics",
        "group_sums",
        "numerator",
        "rings",
    ):
        assert text.count(f"| {stage} |") == 6, stage
    for stage in (
        "transform of rows",
        "apply_filters",
        "keep_best",
        "find_candidates",
        "ctf",
        "cut",
        "rescale",
        "normalise",
        "interpolation",
    ):
        assert f"| {stage} |" in text, stage
    assert "agrees with the CPU" in text and text.count("us on") == 6 + 6
    assert cuda_emulated.stage_times() == {}, "nothing is timed unless asked for"


def test_all_that_a_gpu_is_asked_for_is_run_one_after_the_other(monkeypatch, capsys):
    ran = []

    def run(command, env, **_):
        ran.append(command)
        assert (env.get("BOXWOOD_TEST_KEEP_MEMORY") == "0") == ("--tool" in command)
        return subprocess.CompletedProcess(command, "--tool" in command)

    monkeypatch.setattr(gpu.subprocess, "run", run)
    monkeypatch.setattr(gpu.shutil, "which", lambda name, path: f"/opt/{name}")
    monkeypatch.setattr(sys, "argv", ["gpu", "--images", "64"])
    assert gpu.main() == 4
    assert [command[0] for command in ran[:2]] == ["cmake", "cmake"]
    assert [command[2] for command in ran if command[0] == "/opt/compute-sanitizer"] == list(gpu.TOOLS)
    assert ran[-1][1:] == ["benchmarks/bench_cuda.py", "--images", "64"]
    monkeypatch.setattr(sys, "argv", ["gpu", "--without", "build", "benchmark", "sanitizer"])
    assert gpu.main() == 0
    assert ran[-1][1:] == gpu.TESTS


def test_the_tests_for_a_gpu_need_no_emulation():
    command = [sys.executable, *gpu.TESTS, "--setup-plan"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=gpu.ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_expectation.py::" in done.stdout
    assert "backend['device']" in done.stdout
    assert "builder" not in done.stdout and "cuda_emulated" not in done.stdout


def test_work_of_the_product_is_counted():
    """A complex multiply-add, 8 operations, for each coefficient, class and offset."""
    case = bench_cuda.problem(1, 100, 31, two_pass=False)
    _, operations = bench_cuda.least_work(case)["multiply"]
    assert operations == 8 * case["references"].size * len(case["phases"])
