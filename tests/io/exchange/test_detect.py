"""Formats are told from what is in the files, and nothing makes a reader fall over."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import FileFormatError, InputError
from boxwood.io.exchange import cbox, cistem, cistem_database, cryosparc, cryosparc_particles, relion, text
from boxwood.io.exchange.detect import format_of

READERS = {
    "eman": text.read_box,
    "text": text.read_text,
    "topaz": lambda path: text.read_text(path, topaz=True),
    "cbox": cbox.read_cbox,
    "star": relion.read_star_picks,
    "cistem": cistem.read_cistem_particles,
    "database": cistem_database.read_cistem_database,
    "cryosparc": lambda path: cryosparc_particles.particles_of(cryosparc.read_dataset(path)),
}


def sparc():
    rows = np.zeros(2, [("uid", "<u8"), ("blob/path", "S9"), ("blob/idx", "<u4"), ("blob/psize_A", "<f4")])
    rows["uid"], rows["blob/path"], rows["blob/psize_A"] = [1, 2], b"a.mrc", 1.5
    head = np.lib.format.header_data_from_array_1_0(rows)
    body = repr(head).encode()
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body + rows.tobytes()


def database(folder):
    path = folder / "p.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IMAGE_ASSETS (IMAGE_ASSET_ID INTEGER, NAME TEXT)")
        connection.execute(
            "CREATE TABLE PARTICLE_POSITION_ASSETS (PARTICLE_POSITION_ASSET_ID INTEGER, "
            "PARENT_IMAGE_ASSET_ID INTEGER, X_POSITION REAL, Y_POSITION REAL)"
        )
    connection.close()
    return path.read_bytes()


SAMPLES = {
    "eman": b"10\t20\t64\t64\n11.5 3 64 64\n",
    "text": b"x,y,score\n1,2,0.5\n",
    "topaz": b"image_name\tx_coord\ty_coord\tscore\na\t1\t2\t0.5\n",
    "cbox": b"\ndata_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n_CoordinateX #1\n"
    b"_CoordinateY #2\n_Width #3\n_Height #4\n_Confidence #5\n1 2 3 4 0.5\n",
    "star": b"\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n",
    "cistem": b"data_\nloop_\n_cisTEMPositionInStack #1\n_cisTEMPixelSize #2\n_cisTEMStackFilename #3\n"
    b"1 1.5 s.mrc\n",
    "cryosparc": sparc(),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("suffix", ["", ".txt", ".dat"])
def test_contents_decide(tmp_path, name, suffix):
    (tmp_path / f"file{suffix}").write_bytes(SAMPLES[name])
    assert format_of(tmp_path / f"file{suffix}") == name
    READERS[name](tmp_path / f"file{suffix}")


def test_a_database_is_told(tmp_path):
    (tmp_path / "project").write_bytes(database(tmp_path))
    assert format_of(tmp_path / "project") == "cistem"


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.box", b"", "eman"),
        ("a.box", b"1 2 3 4\n", "eman"),
        ("a.txt", b"1 2 3 4\n", "text"),  # boxes of 3 x 4 pixels are none
        ("a.txt", b"10 20 64 64\n10 20 64 65\n", "text"),
        ("a.txt", b"", "text"),
        ("a.star", b"", "star"),
        ("a.cbox", b"1 2 30 30 0.5\n", "cbox"),
        ("a.mrcs", b"\0" * 2000, "mrc"),
    ],
)
def test_suffixes_decide_what_contents_do_not(tmp_path, name, data, found):
    (tmp_path / name).write_bytes(data)
    assert format_of(tmp_path / name) == found


def test_what_is_nothing_known(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\0\1\2" * 99)
    with pytest.raises(FileFormatError, match="no format that can be imported; say which one with --format"):
        format_of(tmp_path / "a.bin")


def test_a_database_with_a_column_that_is_no_text(tmp_path):
    """sqlite3 does not guard the names of columns."""
    content = database(tmp_path).replace(b"X_POSITION REAL", b"X\x80POSITION REAL")
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(FileFormatError, match="is no database of a cisTEM project, or damaged"):
        READERS["database"](tmp_path / "a.db")


@pytest.mark.parametrize("name", [*SAMPLES, "database"])
@given(data=st.data())
def test_damaged_files_are_refused_in_one_sentence(tmp_path_factory, name, data):
    """Bytes are changed, cut off and put in; whatever is read or refused, it is not a crash."""
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(database(folder) if name == "database" else SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        piece = data.draw(st.binary(max_size=4))
        content[place : place + data.draw(st.sampled_from([0, len(piece), 40]))] = piece
    path = folder / "file.cs"
    path.write_bytes(bytes(content))
    try:
        READERS[name](path)
    except InputError as error:
        assert str(error) and "\n" not in str(error)[:-1]
