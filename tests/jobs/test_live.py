"""Micrographs that are picked, extracted and classified while they come, whatever comes."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from microscope import JOB, LIVE, NAME, PIXEL, live, micrographs

from boxwood.errors import InputError, JobError
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.jobs.extract import Extractor
from boxwood.jobs.live.harvest import Harvest
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job


def test_an_hour_of_300_micrographs_with_all_that_can_happen(microscope):
    """Bad ones are named, each good one is used once, and its particles have a class within two minutes."""
    clock, m = microscope.clock, microscope
    m.write(NAME.format(0))
    m.list(NAME.format(0))

    def regular(i, files=1.0, listed=0.0):
        name = NAME.format(i)
        clock.at(12 * i + files, lambda: m.write(name))
        clock.at(12 * i + listed, lambda: m.list(name))

    late, half, never, gone = {40, 41}, {60}, {80}, {100}
    for i in set(range(1, 300)) - late - half - never - gone:
        regular(i)
    for i in late:  # named ten minutes before it is there
        regular(i, files=600)
    for i in half | never:  # half of it is there for five minutes
        clock.at(12 * i, lambda i=i: m.write(NAME.format(i), part=0.5))
        clock.at(12 * i, lambda i=i: m.list(NAME.format(i)))
    for i in half:
        clock.at(12 * i + 300, lambda i=i: m.write(NAME.format(i)))
    for i in gone:  # away before it has settled
        clock.at(12 * i + 59, lambda i=i: m.write(NAME.format(i)))
        clock.at(12 * i, lambda i=i: m.list(NAME.format(i)))
        clock.at(12 * i + 61, lambda i=i: Path(NAME.format(i)).unlink())
    clock.at(900, lambda: m.list(NAME.format(3), NAME.format(4)))  # the same names again
    copy = "Micrographs/copy_of_5.mrc"
    clock.at(1000, lambda: shutil.copyfile(NAME.format(5), copy))
    clock.at(1000, lambda: m.dated(copy))
    namesake = "MotionCorr/job002/Micrographs/m006.mrc"
    clock.at(1000, lambda: m.write(namesake, m.pixels(999)))
    nothing, garbage = "Micrographs/nan.mrc", "Micrographs/garbage.mrc"
    clock.at(1100, lambda: m.write(nothing, np.full((200, 200), np.nan, np.float32)))
    clock.at(1100, lambda: Path(garbage).write_bytes(bytes(range(256)) * 40))
    clock.at(1200, lambda: m.list(copy, namesake, nothing, garbage))
    for t in (1805, 1810, 2405):  # the list itself is cut off for a while
        clock.at(t, lambda: m.list(cut=0.6))
    result = live()

    table = micrographs()
    used = [NAME.format(i) for i in sorted(set(range(300)) - never - gone)]
    assert sorted(table.index[table.bwLiveState == "done"]) == used
    assert result.values["micrographs"] == len(used) == 298
    states = {
        name: tuple(table.loc[name, ["bwLiveState", "bwReason"]]) for name in table.index.difference(used)
    }
    assert states[copy] == ("duplicate", f"{NAME.format(5)} has the same contents")
    assert states[namesake] == ("duplicate", f"{NAME.format(6)} has the same name")
    assert states[nothing][0] == states[garbage][0] == states[NAME.format(80)][0] == "bad"
    assert "truncated" in states[NAME.format(80)][1] and "header" in states[garbage][1]
    assert states[NAME.format(100)] == ("vanished", "its file went away before it was used")
    assert len(states) == 6 and sorted(name for name, _ in result.bad) == sorted(states)

    particles = ParticleSet.read(JOB / "particles.star")
    assert not particles.table["rlnImageName"].duplicated().any()
    assert len(particles) == table["rlnGroupNrParticles"].sum() == result.values["particles"] > 1000
    data = ParticleSet.read(result.files["data"])
    assert sorted(data.table["rlnImageName"]) == sorted(particles.table["rlnImageName"])
    assert (data.table["rlnClassNumber"] > 0).all()
    assert len(MicrographSet.read(JOB / "micrographs.star")) == 298
    # Latest 20 s to settle and 2 polls of 60 s: the list is read in one and the file seen in the next.
    began = table.loc[used, "bwTimeClassified"] > 0
    latency = (table["bwTimeClassified"] - table["bwTimeArrived"]).loc[used][began]
    assert began.all() and latency[NAME.format(20) :].max() <= 141


def test_averages_stay_and_only_two_iterations_to_go_on_from(microscope):
    for i in range(30):
        microscope.clock.at(
            60 * i, lambda i=i: (microscope.write(NAME.format(i)), microscope.list(NAME.format(i)))
        )
    microscope.list(NAME.format(0))
    live()
    averages, optimisers = (
        sorted(JOB.glob("run_it*_classes.mrcs")),
        sorted(JOB.glob("run_it*_optimiser.star")),
    )
    assert len(averages) > 5 and len(optimisers) == len(list(JOB.glob("run_it*_data.star"))) == 2
    assert optimisers[-1].name[:9] == averages[-1].name[:9]
    assert len(read_stack(averages[0])) == 2


def test_a_pattern_is_watched_without_ctf(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    for i in (12, 13):  # the microscope is set to another magnification
        pixels = microscope.pixels(i)[None]
        other = Path(NAME.format(i))
        microscope.clock.at(
            20 * i,
            lambda other=other, pixels=pixels: (
                write_stack(other, pixels, 2 * PIXEL),
                microscope.dated(other),
            ),
        )
    said = []
    reporter = SimpleNamespace(event=lambda kind, **data: said.append((kind, data.get("text", ""))))
    options = {**LIVE, "micrographs": None, "watch": "Micrographs/*.mrc"}
    result = run_job(load_job("live"), options, threads=2, reporter=reporter)
    assert [text[:70] for kind, text in said if kind == "warning"] == [
        "the pixels of Micrographs/m012.mrc are 14 Å by its header and 7 Å by w"
    ]
    particles = ParticleSet.read(result.files["particles"])
    assert result.values["micrographs"] == 14 and particles.optics["rlnImagePixelSize"].iloc[0] == PIXEL
    assert "rlnDefocusU" not in particles.table and "model" in result.files


def test_what_came_while_it_was_busy_is_taken(microscope, monkeypatch):
    """It ends when nothing new has come, not when it has not looked for so long."""
    take, taken = Harvest.take, []

    def slowly(*arguments):
        taken.append(arguments)
        microscope.clock.sleep(3600)
        return take(*arguments)

    monkeypatch.setattr(Harvest, "take", slowly)
    for i in range(8):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(8)))
    last = NAME.format(8)
    microscope.clock.at(3600, lambda: (microscope.write(last), microscope.list(last)))  # not settled yet
    result = live(stop_after=1)
    assert result.values["micrographs"] == 9 and not result.bad and len(taken) == 2


def test_another_optics_group_under_a_known_number_gets_a_number_of_its_own(microscope):
    """Those before stay what they were, also when the job is continued."""
    for i in range(24):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(12)))

    def change():
        microscope.list(*map(NAME.format, range(12, 24)))
        star = Path("micrographs_ctf.star")
        star.write_text(star.read_text().replace("200.0", "300.0"))
        microscope.dated(star)

    microscope.clock.at(200, change)
    said = []

    class Reporter:
        def event(self, kind, **data):
            said.append((kind, str(data.get("text"))))

    def check(result):
        particles = ParticleSet.read(result.files["particles"])
        assert particles.optics.set_index("rlnOpticsGroup")["rlnVoltage"].to_dict() == {1: 200, 2: 300}
        late = particles.table["rlnMicrographName"].str[-7:-4].astype(int) >= 12
        assert (particles.table["rlnOpticsGroup"] == np.where(late, 2, 1)).all() and 0 < late.sum() < len(
            late
        )
        assert (ParticleSet.read(result.files["data"]).table["rlnClassNumber"] > 0).all()
        return [text for kind, text in said if kind == "warning" and "optics group 1" in text]

    told = check(run_job(load_job("live"), LIVE, threads=2, reporter=Reporter()))
    assert len(told) == 1 and "get group 2, those before stay as they were" in told[0]
    said.clear()
    assert not check(run_job(load_job("live"), {}, threads=2, continue_from=JOB, reporter=Reporter()))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"micrographs": None}, "give either micrographs, a STAR file that grows, or watch"),
        ({"watch": "*.mrc"}, "give either micrographs, a STAR file that grows, or watch"),
        ({"min_diameter": 500}, "exchange them"),
        ({"method": "template"}, "references are not; the method template needs them"),
        ({"begin_with": 1}, "begin_with is 1; it must be at least the 2 classes"),
    ],
)
def test_wrong_options_are_refused(microscope, change, sentence):
    microscope.list(NAME.format(0))
    with pytest.raises(InputError, match=sentence):
        live(**change)


def test_without_a_single_good_micrograph_the_job_fails(microscope):
    microscope.list(NAME.format(0))
    with pytest.raises(JobError, match="no micrograph of 1 could be used"):
        live()


def test_a_file_that_fails_and_comes_back_is_picked_anew_and_a_namesake_is_used(microscope, monkeypatch):
    extract, gone, picks = Extractor.extract, NAME.format(3), JOB / "Micrographs/m003_autopick.star"

    def fail_once(self, name):
        if name == gone and not kept:
            kept.append(picks.read_text())
            Path(gone).unlink()
        return extract(self, name)

    kept: list[str] = []
    monkeypatch.setattr(Extractor, "extract", fail_once)
    for i in range(8):
        microscope.write(NAME.format(i))
    bad, namesake = NAME.format(9), "MotionCorr/job002/Micrographs/m009.mrc"
    microscope.write(bad, np.full((200, 200), np.nan, np.float32))
    microscope.clock.sleep(1)
    microscope.write(namesake)
    microscope.list(*map(NAME.format, range(8)), bad, namesake)
    microscope.clock.at(200, lambda: microscope.write(gone, microscope.pixels(5)))
    assert live().values["micrographs"] == 9 and kept
    assert picks.read_text() not in kept
    assert tuple(micrographs().loc[[bad, namesake], "bwLiveState"]) == ("bad", "done")
