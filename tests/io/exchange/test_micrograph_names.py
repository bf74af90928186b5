"""Which micrograph another program means."""

import unicodedata

import pytest

from boxwood.errors import InputError
from boxwood.io.exchange.micrograph_names import MicrographNames

PROJECT = [
    "MotionCorr/job002/Movies/mic 1.mrc",
    "MotionCorr/job002/Movies/mic 11.mrc",
    "MotionCorr/job002/Movies/caf\u00e9_2.mrc",
    "MotionCorr/job002/Movies/FoilHole_5.10_fractions.mrc",
]


@pytest.mark.parametrize(
    ("foreign", "number"),
    [
        ("MotionCorr/job002/Movies/mic 1.mrc", 0),
        ("mic 1", 0),
        ("/data/other/mic 1.mrcs", 0),
        ("mic 11.tif", 1),
        ("J2/imported/009914178543224165632_mic 1.mrc", 0),
        ("J2/motioncorrected/009914178543224165632_mic 11_patch_aligned_doseweighted.mrc", 1),
        ("mic 1_autopick", 0),
        (unicodedata.normalize("NFD", "caf\u00e9_2.mrc"), 2),
        ("FoilHole_5.10_fractions", 3),
        ("FoilHole_5.10_fractions.mrc.bz2", 3),
        ("mic 111", None),
        ("mic 1_other", None),
        ("mic", None),
        ("12345_mic 1.mrc", None),
        ("", None),
    ],
)
def test_names(foreign, number):
    assert MicrographNames(PROJECT).find(foreign) == (None if number is None else PROJECT[number])


def test_what_else_is_before_and_after():
    names = MicrographNames(PROJECT, strip_prefix="x-", strip_suffix="_denoised")
    assert names.find("x-mic 1_denoised.mrc") == PROJECT[0]
    assert names.find("mic 11.mrc") == PROJECT[1]


def test_links_are_followed(tmp_path):
    for folder in ("relion/Micrographs", "sparc/J1/imported"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "original.mrc").touch()
    (tmp_path / "relion/Micrographs/renamed.mrc").symlink_to(tmp_path / "original.mrc")
    (tmp_path / "sparc/J1/imported/0123_x.mrc").symlink_to("../../../original.mrc")
    names = MicrographNames(
        ["Micrographs/renamed.mrc"], tmp_path / "relion", foreign_roots=[tmp_path / "sparc", tmp_path]
    )
    assert names.find("J1/imported/0123_x.mrc") == "Micrographs/renamed.mrc"
    assert names.find("J1/imported/none.mrc") is None


def test_folders_decide_between_equal_names():
    names = MicrographNames(["grid1/m.mrc", "grid2/m.mrc", "grid2/x/n.mrc", "grid1/x/n.mrc"])
    assert names.find("J1/imported/grid2/m.mrc") == "grid2/m.mrc"
    assert names.find("grid1/x/n") == "grid1/x/n.mrc"
    with pytest.raises(InputError, match=r"m.mrc may be grid1/m.mrc or grid2/m.mrc, which are called alike"):
        names.find("m.mrc")


def test_two_names_for_one_micrograph_are_refused():
    names = MicrographNames(PROJECT)
    assert names.find("J1/1234567890123456_mic 1.mrc") == names.find("J1/1234567890123456_mic 1.mrc")
    with pytest.raises(
        InputError, match=r"1234567890123456_mic 1.mrc and .*6543210987654321_mic 1.mrc are both"
    ):
        names.find("J1/6543210987654321_mic 1.mrc")
