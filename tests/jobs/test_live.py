"""Micrographs that are picked, extracted and classified while they come, whatever comes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from microscope import LIVE, PIXEL, FastClock, Microscope

import boxwood
from boxwood.errors import InputError, JobAborted, JobError
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.class2d.files import IterationFiles, read_iteration
from boxwood.jobs.extract import Extractor
from boxwood.jobs.live.arrivals import Arrivals, GrowingStar, one_line
from boxwood.jobs.live.harvest import Harvest
from boxwood.jobs.live.ledger import Ledger
from boxwood.jobs.live.run import FINISH
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.project.names import below_job
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.rotations import rotation_matrices

JOB = Path("Class2D/job001")
NAME = "Micrographs/m{:03d}.mrc"


@pytest.fixture
def microscope(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Microscope()
    made.clock = FastClock(time.time())
    monkeypatch.setattr("boxwood.jobs.live.run.Clock", lambda: made.clock)
    return made


def live(continue_from=False, **options):
    values = options if continue_from else {**LIVE, **options}
    return run_job(load_job("live"), values, threads=2, continue_from=continue_from)


def micrographs():
    return read_star(JOB / "live.star")["live_micrographs"].set_index("rlnMicrographName")


def read_state_of(result):
    return read_iteration(IterationFiles.of(result.files["optimiser"]))[0]


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


def test_continued_a_pattern_keeps_the_pixel_size_with_which_it_began(microscope):
    """Though a file has come whose name is sorted first, and whose header says something else."""
    for i in range(1, 13):
        microscope.write(NAME.format(i))
    options = {**LIVE, "micrographs": None, "watch": "Micrographs/*.mrc"}
    before = run_job(load_job("live"), options, threads=2)
    (JOB / "live.star").unlink()  # as if it had been killed before it could say anything
    write_stack(Path(NAME.format(0)), microscope.pixels(0)[None], PIXEL / 2)
    for i in (0, 13):
        if i:
            microscope.write(NAME.format(i))
        microscope.dated(NAME.format(i))
    result = run_job(load_job("live"), {}, threads=2, continue_from=JOB)
    assert (before.values["micrographs"], result.values["micrographs"]) == (12, 14)
    particles = ParticleSet.read(result.files["particles"])
    assert particles.optics["rlnImagePixelSize"].tolist() == [PIXEL]
    assert MicrographSet.read(JOB / "micrographs.star").pixel_size_of_groups() == {1: PIXEL}
    assert (micrographs()[["bwTimeArrived", "bwTimeExtracted", "bwTimeClassified"]] > 0).all(axis=None)


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_refine") is None, reason="RELION is not installed")
def test_relion_goes_on_with_what_it_made(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(12)))
    result = live()
    last = int(result.files["optimiser"].name[6:9])
    words = [
        "--continue",
        result.files["optimiser"],
        "--iter",
        str(last + 1),
        "--o",
        JOB / "again",
        "--j",
        "1",
    ]
    subprocess.run(["relion_refine", *map(str, words)], check=True, capture_output=True)
    ours, theirs = (
        ParticleSet.read(path).table["rlnImageName"]
        for path in (result.files["particles"], JOB / f"again_it{last + 1:03d}_data.star")
    )
    assert len(ours) > 50 and sorted(ours) == sorted(theirs)


def test_asked_to_finish_it_takes_what_is_there(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(12)))
    microscope.clock.at(30, lambda: (JOB / FINISH).touch())
    result = live(stop_after=None)
    assert result.values["micrographs"] == 12
    assert read_star(JOB / "live.star")["live_general"]["bwState"].iloc[0] == "ended"


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


def test_the_first_ctrl_c_finishes(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(12)))
    microscope.clock.at(30, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert live(stop_after=None).values["micrographs"] == 12


def test_aborted_it_goes_on_with_what_has_come_since(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(8)))
    microscope.clock.at(130, lambda: (JOB / "RELION_JOB_ABORT_NOW").touch())
    with pytest.raises(JobAborted, match="--continue"):
        live(stop_after=None)
    before = set(micrographs().query("bwLiveState == 'done'").index)
    assert len(before) == 8
    Path(NAME.format(2)).unlink()  # what was used is needed no more
    microscope.list(*map(NAME.format, range(8, 12)))
    result = live(continue_from=JOB, stop_after=1, memory_gib=0.5)
    assert result.values["micrographs"] == 12 and not result.bad
    assert read_state_of(result).settings.parameters.memory_gib == 0.5
    assert not ParticleSet.read(JOB / "particles.star").table["rlnImageName"].duplicated().any()


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


def arrivals(microscope, ledger=None, star="micrographs_ctf.star"):
    """What a job looks at, without the job."""
    listing = GrowingStar(Path(star), 20, microscope.clock, pytest.fail)

    def output_of(name):
        return str(below_job(name).with_suffix(""))

    return Arrivals(listing, ledger or Ledger(), 20, microscope.clock, pytest.fail, output_of)


def test_names_start_from_where_the_first_to_come_is_also_when_it_is_gone(microscope, tmp_path, monkeypatch):
    """A job elsewhere follows the STAR file of a project, whose first micrographs come last or go away."""
    late, first, second = map(NAME.format, range(3))
    for name in (first, second):
        microscope.write(name)
    microscope.list(late, first, second)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    star = tmp_path / "micrographs_ctf.star"
    seen = arrivals(microscope, star=star)
    seen.look()
    microscope.clock.sleep(30)
    assert seen.look() == [first, second] and seen.root == tmp_path
    for entry in seen.ledger.entries.values():
        entry.state = "done" if entry.name == first else entry.state
    seen.ledger.write(Path("live.star"), {"bwState": "running"}, dialect="3.1")
    used = seen.set_of([first])
    used.write(Path("micrographs.star"))
    (tmp_path / first).unlink()
    Path(late).parent.mkdir()
    Path(late).write_bytes(b"of another project")
    again = arrivals(microscope, Ledger.read(Path("live.star")), star)
    again.adopt(MicrographSet.read(Path("micrographs.star")))
    again.look()
    microscope.clock.sleep(30)
    assert again.look() == [second] and again.root == tmp_path
    assert [again.ledger.of(name).state for name in (late, first)] == ["listed", "done"]


def test_a_twin_of_a_file_that_went_away_takes_its_place(microscope):
    """Else neither would be used: a copy was made, say, and what it was made of removed."""
    first, second = NAME.format(0), NAME.format(1)
    microscope.write(first)
    shutil.copyfile(first, second)
    microscope.clock.sleep(1)
    microscope.dated(second)
    microscope.list(first, second)
    seen = arrivals(microscope)
    seen.look()
    microscope.clock.sleep(30)
    assert seen.look() == [first] and seen.ledger.of(second).state == "duplicate"
    Path(first).unlink()
    assert seen.look() == [second]
    assert [seen.ledger.of(name).state for name in (first, second)] == ["vanished", "waiting"]


def test_who_is_not_used_has_neither_a_name_nor_contents_for_itself(microscope):
    """A file with the contents of a namesake, and one with the name of a copy, are used."""
    used, namesake, same_contents = NAME.format(0), "MotionCorr/job002/Micrographs/m000.mrc", NAME.format(1)
    copy, same_name = NAME.format(2), "MotionCorr/job002/Micrographs/m002.mrc"
    for second, name in enumerate((used, namesake, same_contents, copy, same_name)):
        microscope.clock.sleep(1)
        if name in (same_contents, copy):
            shutil.copyfile(namesake if name == same_contents else used, name)
            microscope.dated(name)
        else:
            microscope.write(name, microscope.pixels(second))
    microscope.list(used, namesake, same_contents, copy, same_name)
    seen = arrivals(microscope)
    seen.look()
    microscope.clock.sleep(30)
    assert seen.look() == [used, same_contents, same_name]
    assert [seen.ledger.of(name).state for name in (namesake, copy)] == ["duplicate", "duplicate"]


def test_who_had_its_turn_before_the_job_was_stopped_keeps_it(microscope):
    """Its files may be there: an older file that is listed later, and would be written to these, is none."""
    older, first = "MotionCorr/job002/Micrographs/m000.mrc", NAME.format(0)
    microscope.write(older, microscope.pixels(1))
    microscope.clock.sleep(100)
    microscope.write(first)
    microscope.list(first)
    seen = arrivals(microscope)
    seen.look()
    microscope.clock.sleep(30)
    assert seen.look() == [first]
    microscope.list(older)
    for job in (seen, arrivals(microscope, Ledger(seen.ledger.entries))):
        assert job.look() == [first] and job.ledger.of(older).reason == f"{first} has the same name"


def test_whatever_an_error_says_can_be_written(tmp_path):
    ledger, error = Ledger(), ValueError('it\'s "this",\nor \x00\x1f that.')
    ledger.settle(ledger.of("a"), "bad", one_line(error))
    ledger.write(tmp_path / "live.star", {"bwState": "running"}, dialect="3.1")
    assert Ledger.read(tmp_path / "live.star").of("a").reason == "it's 'this', or that"


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


COMMAND = [sys.executable, "-m", "boxwood", "live"]


def start(*words):
    environment = {"PYTHONPATH": str(Path(boxwood.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    return subprocess.Popen([*COMMAND, *words, "--threads", "1"], env=environment, stdout=-3, stderr=-3)


def test_killed_twice_it_uses_every_micrograph_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    microscope = Microscope()
    for i in range(24):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(24)))
    fast = {**LIVE, "settle": 0, "poll": 0.1, "stop_after": 0}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in fast.items()]
    undisturbed = run_job(load_job("live"), fast, threads=1, output="undisturbed")
    for stacks, more in ((6, words), (14, ["--continue", str(JOB)])):
        process = start(*more)
        while len(list(JOB.glob("Micrographs/*.mrcs"))) < stacks and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    result = run_job(load_job("live"), {}, threads=1, continue_from=JOB)
    tables = []
    for run in (result, undisturbed):
        table = ParticleSet.read(run.files["particles"]).table
        names = table["rlnImageName"].str.replace(str(JOB), "undisturbed")
        tables.append(table.assign(rlnImageName=names).sort_values("rlnImageName", ignore_index=True))
    assert len(tables[0]) and tables[0].equals(tables[1])
    assert result.values["micrographs"] == 24 and (micrographs()["bwTimeExtracted"] > 0).all()
    for stack in Path("undisturbed/Micrographs").glob("*.mrcs"):
        np.testing.assert_array_equal(read_stack(JOB / "Micrographs" / stack.name)[:], read_stack(stack)[:])


def test_references_pick_with_what_the_first_micrographs_taught(microscope):
    """The noise is learned once; continued, the job picks with what it stored."""
    views = rotation_matrices(np.random.default_rng(0).uniform(0, 180, (3, 3)))
    write_stack(Path("references.mrcs"), beta_galactosidase().project(views, 36, PIXEL), PIXEL)
    for i in range(9):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(7)))
    result = live(references=Path("references.mrcs"), learn_from=3, begin_with=20)
    assert result.values["micrographs"] == 7
    picks = [read_star(path)[""] for path in sorted(JOB.rglob("m*_autopick.star"))]
    assert all(table["rlnClassNumber"].isin((1, 2, 3)).all() for table in picks)
    assert 25 < sum(map(len, picks)) < 55  # of 42 particles
    stored = (JOB / "picking_model.star").read_bytes()
    microscope.list(*map(NAME.format, range(7, 9)))
    assert live(continue_from=JOB).values["micrographs"] == 9
    assert (JOB / "picking_model.star").read_bytes() == stored


def test_adaptive_picking_waits_for_what_it_learns_from_and_learns_once(microscope):
    """Continued, the job picks with what it stored."""
    for i in range(9):
        microscope.write(NAME.format(i))
    microscope.list(NAME.format(0), NAME.format(1))
    waiting = []
    microscope.clock.at(200, lambda: waiting.extend(JOB.rglob("m*_autopick.star")))
    microscope.clock.at(200, lambda: microscope.list(*map(NAME.format, range(2, 7))))
    result = live(method="adaptive", learn_from=6, begin_with=20)
    assert result.values["micrographs"] == 7 and not waiting
    picks = [read_star(path)[""] for path in sorted(JOB.rglob("m*_autopick.star"))]
    assert 25 < sum(map(len, picks)) < 55  # of 42 particles
    stored = (JOB / "picking_model.star").read_bytes()
    microscope.list(*map(NAME.format, range(7, 9)))
    assert live(continue_from=JOB).values["micrographs"] == 9
    assert (JOB / "picking_model.star").read_bytes() == stored
