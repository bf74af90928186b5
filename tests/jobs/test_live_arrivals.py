"""What `live` makes of files that come, late, twice or not at all, before anything is done with them."""

import shutil
from pathlib import Path

import pytest
from microscope import NAME

from boxwood.io.particles import MicrographSet
from boxwood.jobs.live.arrivals import Arrivals, GrowingStar, one_line
from boxwood.jobs.live.ledger import Ledger
from boxwood.project.names import below_job


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
