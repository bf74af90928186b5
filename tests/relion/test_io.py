"""Files of ours beside those of the real RELION programs."""

import shutil
import subprocess

import mrcfile
import numpy as np
import pandas as pd
import pytest
import tifffile

from boxwood.io.mrc import read_image, read_stack, write_stack
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import write_star

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_star_handler") is None, reason="RELION is not installed"),
]
RNG = np.random.default_rng(11)


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=120)


def test_tables_are_written_byte_for_byte(tmp_path):
    """Numbers of every magnitude RELION does not garble, text with and without spaces, foreign columns."""
    n = 400
    size = 10.0 ** RNG.uniform(-9, 9, n)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["one group"],
            "rlnOpticsGroup": [1],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
            "rlnMicrographPixelSize": [1.0],
        }
    )
    micrographs = pd.DataFrame(
        {
            "rlnMicrographName": [f"mics/{i:04d}{' x' * (i % 3 == 0)}.mrc" for i in range(n)],
            "rlnOpticsGroup": 1,
            "rlnDefocusU": size,
            "rlnDefocusV": -size,
            "rlnDefocusAngle": np.round(RNG.uniform(-180, 180, n), 3),
            "rlnIsFlip": RNG.integers(0, 2, n),
            "rlnCtfMaxResolution": np.repeat(RNG.uniform(3, 9, n // 20), 20),
            "myOwn": RNG.integers(-9, 9, n),
        }
    )
    write_star(tmp_path / "ours.star", {"optics": optics, "micrographs": micrographs})
    run("relion_star_handler", "--i", tmp_path / "ours.star", "--o", tmp_path / "relion.star")
    ours, relion = ((tmp_path / f"{name}.star").read_text().split("\n") for name in ("ours", "relion"))
    # RELION keeps the text of columns it does not know, and with it the width 10 of text.
    for left, right in zip(ours, relion, strict=True):
        assert left.split() == right.split()
        assert left == right or left.rsplit(None, 1)[0].rstrip() == right.rsplit(None, 1)[0].rstrip()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("relion30_31_pair/sample_particles_relion30.star", ParticleSet),
        ("star_misc/SOD_relion1_images_head400.star", ParticleSet),
        ("star_misc/topaz_EMPIAR-10025_particles.star", ParticleSet),
        ("star_misc/topaz_EMPIAR-10025_ctf_params.star", MicrographSet),
    ],
)
def test_relion_30_is_converted_byte_for_byte(shared_data, tmp_path, name, kind):
    path = shared_data / "formats" / name
    run("relion_convert_star", "--i", path, "--o", tmp_path / "relion.star")
    kind.read(path).write(tmp_path / "ours.star")
    assert (tmp_path / "ours.star").read_bytes() == (tmp_path / "relion.star").read_bytes()


def test_stack_and_its_header(tmp_path):
    images = RNG.normal(3, 2, size=(4, 16, 16)).astype(np.float32)
    write_stack(tmp_path / "ours.mrcs", images, 1.5)
    # an operation, so that RELION computes the header anew
    files = ("--i", tmp_path / "ours.mrcs", "--o", tmp_path / "relion.mrcs")
    run("relion_image_handler", *files, "--multiply_constant", 1, "--angpix", 1.5)
    np.testing.assert_array_equal(read_stack(tmp_path / "relion.mrcs")[:], images)
    with mrcfile.open(tmp_path / "ours.mrcs") as ours, mrcfile.open(tmp_path / "relion.mrcs") as relion:
        for name in ("nx", "ny", "nz", "mode", "mx", "my", "mapc", "mapr", "maps", "ispg", "nsymbt", "map"):
            assert ours.header[name] == relion.header[name], name
        assert ours.header.machst.tolist() == relion.header.machst.tolist()
        for name in ("dmin", "dmax", "dmean", "rms"):
            assert float(ours.header[name]) == pytest.approx(float(relion.header[name]), rel=1e-5), name


def test_tiff_is_turned_over(tmp_path):
    pixels = RNG.normal(size=(12, 10)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    run("relion_image_handler", "--i", tmp_path / "a.tif", "--o", tmp_path / "a.mrcs", "--angpix", 1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, read_stack(tmp_path / "a.mrcs")[0])
