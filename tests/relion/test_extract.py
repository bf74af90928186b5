"""The same particles and tables as the real relion_preprocess 3.1."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.io.coordinates import write_coordinates, write_coords_suffix
from boxwood.io.mrc import read_image, read_stack, write_stack
from boxwood.io.star import read_star, write_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(
        shutil.which("relion_preprocess") is None, reason="no relion_preprocess: apt-get install relion"
    ),
]
PIXEL = 0.885
NAMES = [f"MotionCorr/job002/Movies/m{i}.mrc" for i in range(2)]
CTF = {
    "rlnCtfImage": "m.ctf:mrc",
    "rlnCtfMaxResolution": 5.0,
    "rlnCtfFigureOfMerit": 0.1,
    "rlnDefocusU": 15000.0,
    "rlnDefocusV": 14500.0,
    "rlnDefocusAngle": 30.0,
    "rlnBeamTiltX": 0.1,
    "rlnBeamTiltY": 0.2,
}


def write_micrographs(names, ctf):
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["one", "unused"],
            "rlnOpticsGroup": [1, 2],
            "rlnMicrographOriginalPixelSize": PIXEL,
            "rlnVoltage": 200.0,
            "rlnSphericalAberration": 1.4,
            "rlnAmplitudeContrast": 0.1,
            "rlnMicrographPixelSize": PIXEL,
        }
    )
    table = pd.DataFrame({"rlnMicrographName": names, **ctf, "rlnOpticsGroup": 1})
    write_star("micrographs.star", {"optics": optics, "micrographs": table})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two micrographs far from grey level 0, with particles everywhere, also across the edges."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, shape in zip(NAMES, [(420, 500), (500, 420)], strict=True):
        y, x = np.indices(shape)
        image = 1000 + 20 * rng.standard_normal(shape) + 0.05 * x - 0.03 * y
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_stack(name, image.astype(np.float32), PIXEL)
        n = 40
        table = pd.DataFrame(
            {
                "rlnCoordinateX": rng.uniform(-20, shape[1] + 20, n),
                "rlnCoordinateY": rng.uniform(-20, shape[0] + 20, n),
                "rlnAutopickFigureOfMerit": rng.uniform(0.1, 1, n),
                "rlnClassNumber": 0,
                "rlnAnglePsi": 0.0,
            }
        )
        path = Path("AutoPick/job006/Movies") / f"{Path(name).stem}_autopick.star"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_coordinates(path, table)
    write_coords_suffix("AutoPick/job006", "autopick", "micrographs.star")
    write_micrographs(NAMES, CTF)
    return tmp_path


def relion(folder, *arguments, refined=None):
    Path(folder).mkdir(parents=True)
    source = ["--coord_dir", "AutoPick/job006/", "--coord_suffix", "_autopick.star"]
    source = source if refined is None else ["--reextract_data_star", refined]
    output = ["--part_star", f"{folder}particles.star", "--part_dir", folder]
    command = ["relion_preprocess", "--i", "micrographs.star", *source, *output, "--extract", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def ours(folder, **options):
    if "reextract" not in options:
        options["coordinates"] = "AutoPick/job006"
    values = {"micrographs": "micrographs.star", "invert_contrast": False, **options}
    run_job(load_job("extract"), values, output=folder, threads=2)


def same_tables(theirs, mine):
    """The files are the same to the byte, but for the name of the folder."""
    assert theirs != mine
    for path in sorted(Path(theirs).rglob("*.star")):
        text = path.read_text().replace(theirs, mine)
        assert text == (Path(mine) / path.relative_to(theirs)).read_text()


def same_images(theirs, mine, tolerance=1e-5):
    stacks = sorted(Path(theirs).rglob("*.mrcs"))
    assert len(stacks) == len(NAMES)
    for path in stacks:
        want, got = read_stack(path), read_stack(Path(mine) / path.relative_to(theirs))
        assert want.shape == got.shape
        assert np.abs(want[:] - got[:]).max() <= tolerance


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (
            ["--extract_size", "128", "--scale", "32", "--norm", "--bg_radius", "12", "--invert_contrast"],
            {"box_size": 128, "rescale": 32, "background_diameter": 100, "invert_contrast": True},
        ),
        (
            [
                "--extract_size",
                "100",
                "--norm",
                "--bg_radius",
                "37",
                "--white_dust",
                "-1",
                "--black_dust",
                "-1",
            ],
            {"box_size": 100},
        ),
        (
            ["--extract_size", "62", "--scale", "94", "--norm", "--bg_radius", "35"],
            {"box_size": 62, "rescale": 94},
        ),
        (
            ["--extract_size", "100", "--norm", "--bg_radius", "30", "--no_ramp", "--window", "70"],
            {"box_size": 100, "background_diameter": 60, "ramp": False, "window": 70},
        ),
        (
            ["--extract_size", "90", "--scale", "43", "--norm", "--bg_radius", "16"],
            {"box_size": 90, "rescale": 43},
        ),
        (
            ["--extract_size", "98", "--scale", "66", "--norm", "--bg_radius", "24", "--phase_flip"],
            {"box_size": 98, "rescale": 66, "phase_flip": True},
        ),
    ],
    ids=["tutorial", "plain", "larger", "window", "odd", "phase-flip"],
)
def test_particles_and_tables(project, flags, options):
    relion("Extract/job007/", *flags)
    ours("Extract/job999/", **options)
    same_tables("Extract/job007/", "Extract/job999/")
    same_images("Extract/job007/", "Extract/job999/")


def test_without_normalisation(project):
    relion("Extract/job007/", "--extract_size", "128", "--scale", "60")
    ours("Extract/job999/", box_size=128, rescale=60, normalise=False)
    # both are float32: half a unit in the last place of grey level 1000 and the noise, each
    same_images("Extract/job007/", "Extract/job999/", tolerance=2 * 2**-13)


def test_premultiplied_by_the_ctf(project):
    flags = ["--extract_size", "100", "--norm", "--bg_radius", "37", "--premultiply_ctf"]
    relion("Extract/job007/", *flags, "--premultiply_extract_size", "160", "--ctf_intact_first_peak")
    ours("Extract/job999/", box_size=100, premultiply_ctf=True, ctf_intact_first_peak=True, ctf_box_size=160)
    same_tables("Extract/job007/", "Extract/job999/")
    # our CTF is float32: at Nyquist its phase is about 110 half turns, and ten roundings of that are 2e-4
    same_images("Extract/job007/", "Extract/job999/", tolerance=2e-4)


def test_micrographs_without_a_ctf(project):
    write_micrographs(NAMES, {})
    relion("Extract/job007/", "--extract_size", "64", "--norm", "--bg_radius", "24")
    ours("Extract/job999/", box_size=64)
    same_tables("Extract/job007/", "Extract/job999/")


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ([], {}),
        (["--reset_offsets"], {"reset_offsets": True}),
        (["--recenter"], {"recenter": (0, 0, 0)}),
        (
            ["--recenter", "--recenter_x", "3", "--recenter_y", "2", "--recenter_z", "-4"],
            {"recenter": (3, 2, -4)},
        ),
        (
            ["--recenter", "--recenter_x", "9", "--ref_angpix", "1.5"],
            {"recenter": (9, 0, 0), "reference_pixel_size": 1.5},
        ),
        (["--keep_ctfs_micrographs"], {"keep_micrograph_ctf": True}),
    ],
    ids=["plain", "reset", "recenter", "recenter-xyz", "recenter-angpix", "micrograph-ctf"],
)
def test_refined_particles_again(project, flags, options):
    relion("Extract/job007/", "--extract_size", "128", "--scale", "32", "--norm", "--bg_radius", "12")
    tables = read_star("Extract/job007/particles.star")
    refined, rng = tables["particles"], np.random.default_rng(1)
    inside = refined["rlnCoordinateX"].between(30, 390) & refined["rlnCoordinateY"].between(30, 390)
    refined = refined[inside].sample(frac=1, random_state=1).reset_index(drop=True)
    n = len(refined)
    refined = refined.assign(
        rlnAngleRot=rng.uniform(-180, 180, n),
        rlnAngleTilt=rng.uniform(0, 180, n),
        rlnAnglePsi=rng.uniform(-180, 180, n),
        rlnOriginXAngst=rng.normal(0, 8, n),
        rlnOriginYAngst=rng.normal(0, 8, n),
        rlnDefocusU=rng.uniform(9000, 20000, n),
    )
    write_star("refined.star", tables | {"particles": refined})
    size = ["--extract_size", "80", "--norm", "--bg_radius", "30"]
    relion("Extract/job010/", *size, *flags, refined="refined.star")
    ours("Extract/job999/", box_size=80, reextract="refined.star", **options)
    same_tables("Extract/job010/", "Extract/job999/")
    same_images("Extract/job010/", "Extract/job999/")


def test_dust_is_replaced_where_relion_replaces_it(project):
    """Other noise of the same mean and deviation; pixels that are not dust are equal but for the scale."""
    for name in NAMES:
        image = read_image(name).data
        image[::7, ::11] += 500
        write_stack(name, image, PIXEL)
    flags = ["--extract_size", "64", "--norm", "--bg_radius", "24", "--no_ramp"]
    relion("Extract/job007/", *flags, "--white_dust", "2.5")
    relion("Extract/job008/", *flags)
    ours("Extract/job999/", box_size=64, ramp=False, white_dust=2.5)
    for job in ("007", "999"):
        noise = []
        for before, image in zip(
            read_stack("Extract/job008/Movies/m0.mrcs")[:],
            read_stack(f"Extract/job{job}/Movies/m0.mrcs")[:],
            strict=True,
        ):
            kept = before <= 2.5
            assert 0 < (~kept).sum() < kept.sum()
            slope, offset = np.polyfit(before[kept], image[kept], 1)
            same = (image - offset) / slope  # as if the background had been normalised before its dust went
            assert np.abs(same - before)[kept].max() < 1e-4
            noise.append(same[~kept])
        noise = np.concatenate(noise)
        n = len(noise)
        assert abs(noise.mean()) < 5 / np.sqrt(n)
        assert abs(noise.var() - 1) < 5 * np.sqrt(2 / n)


@pytest.mark.data
def test_a_real_micrograph(project, shared_data):
    source = shared_data / "apoferritin10146/May08_03.05.02.bin_avg.png"
    for name in NAMES:
        write_stack(name, read_image(source).data, PIXEL)
    relion("Extract/job007/", "--extract_size", "120", "--scale", "60", "--norm", "--bg_radius", "22")
    ours("Extract/job999/", box_size=120, rescale=60, background_diameter=88)
    same_images("Extract/job007/", "Extract/job999/")
