"""A file is there whole or not at all."""

import os

import pytest

from boxwood.io.atomic import atomic_write, write_text


def test_written_file_has_its_name_and_nothing_else_is_left(tmp_path):
    target = tmp_path / "new" / "a.star"
    with atomic_write(target) as file:
        file.write(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert os.listdir(target.parent) == ["a.star"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_former_file_survives_an_interruption(tmp_path, error):
    target = tmp_path / "a.star"
    write_text(target, "before")
    with pytest.raises(error), atomic_write(target) as file:
        file.write(b"half")
        raise error
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.star"]


def test_link_keeps_pointing_at_its_file(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    write_text(real, "before")
    link.symlink_to(real)
    write_text(link, "after")
    assert link.is_symlink()
    assert real.read_text() == "after"


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
