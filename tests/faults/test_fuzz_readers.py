"""Every reader on damaged files, and on headers that claim more than there is; `fuzz_readers.py` goes on."""

import gzip
import struct
import zlib

import numpy as np
import pytest
from fuzz_readers import SUFFIXES, corpus, one_input, reader
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import FileFormatError
from boxwood.io.exchange.cryosparc import read_dataset
from boxwood.io.mrc import read_stack

SEEDS = {kind: list(corpus(kind)) for kind in SUFFIXES}


@pytest.mark.parametrize("kind", SUFFIXES)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory, kind, data):
    whole = bytearray(data.draw(st.sampled_from(SEEDS[kind])))
    places = st.integers(0, max(0, len(whole) - 1))
    for place, byte in (
        data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)) if whole else ()
    ):
        whole[place] = byte
    end = data.draw(st.integers(0, len(whole)))
    one_input(reader(kind), tmp_path_factory.getbasetemp() / f"fuzz{SUFFIXES[kind]}")(bytes(whole[:end]))


def mrc(side, sections=1, extended=0):
    """A header that claims this, and little else."""
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, side, side, sections, 2, 0, 0, 0, side, side, sections)
    struct.pack_into("<i", header, 92, extended)
    header[208:216] = b"MAP \x44\x44\0\0"
    return bytes(header) + bytes(100)


def tiff(side):
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 4, side), (279, 4, 100)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(104)


def png(side):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(10)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in chunks.items())


def cs(rows):
    text = f"{{'descr': [('uid', '<u8')], 'fortran_order': False, 'shape': ({rows},), }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(80)


def test_pages_in_a_circle_are_refused(tmp_path):
    """Two pages of one tag that name one another as the next."""
    page = struct.pack("<HHHII", 1, 256, 3, 1, 8)
    (tmp_path / "a.tif").write_bytes(
        b"II*\0" + struct.pack("<I", 8) + page + struct.pack("<I", 26) + page + struct.pack("<I", 8)
    )
    with pytest.raises(FileFormatError, match=r"a\.tif cannot be read as TIFF: its pages go round"):
        read_stack(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mrc", mrc(10**9)),
        ("a.mrc", mrc(10**6, 10**8)),
        ("a.mrc", mrc(8, 1, 2**30 - 1)),
        ("a.mrc.gz", gzip.compress(mrc(10**6, 10**8), mtime=0)),
        ("a.mrc.gz", gzip.compress(mrc(8, 1, 2**30 - 1), mtime=0)),
        ("a.tif", tiff(10**9)),
        ("a.tif", tiff(60_000)),
        ("a.png", png(10**9)),
        ("a.png", png(13_000)),
        ("a.cs", cs(10**18)),
        ("a.cs", cs(10**9)),
    ],
)
def test_headers_that_claim_more_than_there_is_are_refused(tmp_path, name, content):
    """Without memory for it: 2 GB are enough."""
    import resource

    path = tmp_path / name
    path.write_bytes(content)
    read = read_dataset if name.endswith(".cs") else lambda path: read_stack(path)[0]
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(np.loadtxt("/proc/self/statm", dtype=np.int64)[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 500_000_000, before[1]))
    try:
        with pytest.raises(FileFormatError, match=name.replace(".", r"\.")):
            read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
