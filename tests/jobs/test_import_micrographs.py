"""Micrographs become the first job of a project, as RELION's Import makes it."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwood.errors import InputError
from boxwood.io.mrc import write_stack
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.from_form import job_of
from boxwood.project.job_form import JobForm

MADE = "Import/job001/micrographs.star"


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "Prøject 1"
    (folder / "Micrographs").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name in "ab":
        write_stack(f"Micrographs/{name} 1.mrc", np.zeros((20, 30), np.float32), 1.25)
    return Project()


def names(path=MADE):
    return read_star(path)["micrographs"]["rlnMicrographName"].tolist()


def test_what_is_listed_can_be_picked(project):
    result = project.import_micrographs(files=["Micrographs/*.mrc"])
    assert names() == ["Micrographs/a 1.mrc", "Micrographs/b 1.mrc"]
    assert result.summary == "2 micrographs of 1.25 Å a pixel"
    project.manual_pick(micrographs=MADE)
    assert read_star("default_pipeline.star")["pipeline_nodes"]["rlnPipeLineNodeType"].tolist()[0] == 1


def test_what_is_no_micrograph_is_left_out(project):
    write_stack("Micrographs/movie.mrcs", np.zeros((3, 20, 30), np.float32), 1.25)
    Path("Micrographs/cut.mrc").write_bytes(Path("Micrographs/a 1.mrc").read_bytes()[:1500])
    result = project.import_micrographs(files=["Micrographs"])
    assert len(names()) == 2
    reasons = {Path(name).name: reason for name, reason in result.bad}
    assert "3 images where one is expected" in reasons["movie.mrcs"]
    assert "truncated" in reasons["cut.mrc"]


def test_pixel_sizes(project):
    Image.new("L", (30, 20)).save("Micrographs/c.png")
    with pytest.raises(InputError, match=r"c\.png does not say its pixel size; please give it"):
        project.import_micrographs(files=["Micrographs"])
    project.import_micrographs(files=["Micrographs"], pixel_size=1.25, cs=1.4)
    optics = read_star("Import/job002/micrographs.star")["optics"]
    assert optics[["rlnMicrographPixelSize", "rlnSphericalAberration"]].to_numpy().tolist() == [[1.25, 1.4]]
    write_stack("Micrographs/d.mrc", np.zeros((20, 30), np.float32), 2.5)
    with pytest.raises(InputError, match=r"pixels of 1\.25 Å and .*d\.mrc of 2\.5 Å; import them one size"):
        project.import_micrographs(files=["Micrographs/*.mrc"])


def test_files_elsewhere_are_linked(project, tmp_path):
    elsewhere = tmp_path / "raid"
    shutil.move("Micrographs", elsewhere)
    project.import_micrographs(files=[str(elsewhere)])
    linked = Path("Import/job001/Micrographs/a 1.mrc")
    assert names() == [str(linked), str(linked.with_name("b 1.mrc"))]
    assert os.path.samefile(linked, elsewhere / "a 1.mrc")
    project.import_micrographs(files=[str(elsewhere)], pixel_size=1.3)
    assert names("Import/job002/micrographs.star")[0].startswith("Import/job002/Micrographs/")


def test_the_form_asks_for_the_same(project):
    project.import_micrographs(files=["Micrographs/*.mrc"], pixel_size=1.25, voltage=200, optics_group="day2")
    Path("Import/job001/.boxwood.json").unlink()  # as if RELION had filled it
    found = job_of(JobForm.read("Import/job001"))
    assert found.job.name == "import-micrographs" and not found.unused
    made = found.job.options.make(found.values)
    assert (made.files, made.pixel_size, made.voltage) == ((Path("Micrographs/*.mrc"),), 1.25, 200)
    assert made.optics_group == "day2"


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_import") is None, reason="no relion_import: apt-get install relion")
def test_relion_lists_the_same(project):
    for name in "ab":  # RELION's wildcards do not like spaces
        Path(f"Micrographs/{name} 1.mrc").rename(f"Micrographs/{name}.mrc")
    project.import_micrographs(files=["Micrographs/*.mrc"])
    Path("Import/job002").mkdir()
    words = ["--i", "Micrographs/*.mrc", "--odir", "Import/job002/", "--ofile", "micrographs.star"]
    subprocess.run(["relion_import", *words, "--do_micrographs", "--angpix", "1.25"], check=True)
    ours, theirs = read_star(MADE), read_star("Import/job002/micrographs.star")
    for table in ("optics", "micrographs"):
        assert ours[table].to_dict("list") == theirs[table].to_dict("list")
