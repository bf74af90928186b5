"""Reading and writing images: broken headers, compression, batches, RELION's headers and rounding."""

import bz2
import gzip
import pickle

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PillowImage

from boxwood.errors import FileFormatError, InputError
from boxwood.io import mrc
from boxwood.io.mrc import (
    StackWriter,
    read_image,
    read_stack,
    split_image_name,
    to_float16,
    write_stack,
)

RNG = np.random.default_rng(7)
STACK = RNG.normal(size=(5, 6, 8)).astype(np.float32)


def mrc_bytes(images, order="<", mode=None, extended=b"", **changes):
    """An MRC file made from the format's description, not by the code under test."""
    images = np.asarray(images)
    mode = {"i1": 0, "i2": 1, "f4": 2, "u2": 6, "f2": 12}[images.dtype.str[1:]] if mode is None else mode
    nz, ny, nx = images.shape
    words = np.zeros(256, dtype=f"{order}i4")
    words[:10] = [nx, ny, nz, mode, 0, 0, 0, nx, ny, 1]
    words.view(f"{order}f4")[10:16] = [1.5 * nx, 1.5 * ny, 1.5, 90, 90, 90]
    words[16:19] = [1, 2, 3]
    words[23] = len(extended)
    header = bytearray(words.tobytes())
    header[208:212] = b"MAP "
    header[212:216] = b"DA\0\0" if order == "<" else b"\x11\x11\0\0"
    for position, value in changes.values():
        header[position : position + len(value)] = value
    return bytes(header) + extended + images.astype(images.dtype.newbyteorder(order)).tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "u2", "f2"])
def test_modes_and_byte_orders(tmp_path, order, dtype):
    images = (STACK * 20).astype(dtype) if dtype != "u2" else (np.abs(STACK) * 20000).astype(dtype)
    (tmp_path / "a.mrcs").write_bytes(mrc_bytes(images, order))
    stack = read_stack(tmp_path / "a.mrcs")
    assert stack.shape == (5, 6, 8)
    assert stack.pixel_size_angstrom == pytest.approx(1.5)
    assert stack[:].dtype == np.float32
    np.testing.assert_array_equal(stack[:], images.astype(np.float32))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "changes",
    [
        {"stamp": (212, b"\0\0\0\0")},
        {"stamp": (212, b"\0\0DD")},
        {"stamp": (212, b"\x11\x11\0\0")},
        {"stamp": (212, b"DA\0\0")},
        {"map": (208, b"\0\0\0\0")},
        {"map": (208, b"\0\0\0\0"), "stamp": (212, b"\0\0\0\0")},
        {"symmetry": (88, b"\0\0\0\0")},
    ],
)
def test_broken_headers(tmp_path, order, changes):
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(STACK, order, **changes))
    np.testing.assert_array_equal(read_stack(tmp_path / "a.mrc")[:], STACK)


@pytest.mark.parametrize("cell", [0.0, -5.0, np.nan, np.inf])
def test_cell_that_is_not_set(tmp_path, cell):
    data = mrc_bytes(STACK, cell=(40, np.float32(cell).tobytes()))
    (tmp_path / "a.mrc").write_bytes(data)
    assert read_stack(tmp_path / "a.mrc").pixel_size_angstrom is None


def test_extended_header_is_skipped(tmp_path):
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(STACK, extended=b"x" * 160))
    np.testing.assert_array_equal(read_stack(tmp_path / "a.mrc")[:], STACK)


def test_mode_0_with_four_bytes_a_pixel_is_float32(tmp_path):
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(STACK, mode=0))
    np.testing.assert_array_equal(read_stack(tmp_path / "a.mrc")[:], STACK)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed(tmp_path, suffix, pack):
    path = tmp_path / f"a.mrc{suffix}"
    data = mrc_bytes(STACK)
    path.write_bytes(pack(data))
    np.testing.assert_array_equal(read_stack(path)[1:3], STACK[1:3])
    for broken in (pack(data)[:-30], pack(data[:-30]), pack(data[:600]), pack(data)[:20], b"no", b""):
        path.write_bytes(broken)
        with pytest.raises(FileFormatError, match=r"a\.mrc"):
            read_stack(path)[:]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (mrc_bytes(STACK)[:-1], "is truncated: it has 1983 bytes and its header asks for 1984"),
        (mrc_bytes(STACK)[:500], "500 bytes"),
        (b"", "0 bytes"),
        (b"hello " * 400, "not an MRC file"),
        (mrc_bytes(STACK, mode=4), "mode 4 .complex"),
        (mrc_bytes(STACK, mode=5), "mode 5 .an unknown type"),
        (mrc_bytes(STACK, size=(0, b"\0\0\0\0")), "not an MRC file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, data, words):
    path = tmp_path / "a.mrc"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=words) as caught:
        read_stack(path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_stack(tmp_path / "a.mrc")


HEADER = mrc_bytes(STACK)


@given(
    st.integers(0, len(HEADER)),
    st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 255)), max_size=6),
)
def test_truncated_and_changed_bytes(tmp_path_factory, length, changes):
    data = bytearray(HEADER)
    for position, byte in changes:
        data[position] = byte
    path = tmp_path_factory.getbasetemp() / "fuzz.mrc"
    path.write_bytes(bytes(data[:length]))
    try:
        assert read_stack(path)[0].ndim == 2
    except FileFormatError as error:
        assert "fuzz.mrc" in str(error)


def test_images_are_read_when_asked_for(tmp_path):
    write_stack(tmp_path / "a.mrcs", STACK, 2.0)
    stack = pickle.loads(pickle.dumps(read_stack(tmp_path / "a.mrcs")))
    np.testing.assert_array_equal(stack[3], STACK[3])
    np.testing.assert_array_equal(stack[1:4], STACK[1:4])
    np.testing.assert_array_equal(stack[np.array([4, 0, 0])], STACK[[4, 0, 0]])
    batch = stack[:2]
    batch[:] = 0  # a copy: the file does not change
    np.testing.assert_array_equal(stack[:2], STACK[:2])


def test_read_image(tmp_path):
    path = tmp_path / "a.mrcs"
    write_stack(path, STACK, 2.0)
    image = read_image(f"000003@{path}")
    np.testing.assert_array_equal(image.data, STACK[2])
    assert image.pixel_size_angstrom == 2
    with pytest.raises(FileFormatError, match="holds 5 images where one is expected"):
        read_image(path)
    with pytest.raises(FileFormatError, match="there is no image 6"):
        read_image(f"6@{path}")
    write_stack(tmp_path / "one.mrc", STACK[0], 2.0)
    np.testing.assert_array_equal(read_image(tmp_path / "one.mrc").data, STACK[0])


@pytest.mark.parametrize("name", ["0@a.mrcs", "x@a.mrcs", "1@", "-1@a.mrcs", "1.5@a", "@a"])
def test_names_that_name_no_image(name):
    with pytest.raises(InputError, match="expected NUMBER@FILE"):
        split_image_name(name)


def test_long_and_short_image_numbers():
    assert split_image_name("00000012@a/b@c.mrcs") == (11, "a/b@c.mrcs")
    assert split_image_name("a.mrc") == (None, "a.mrc")


@pytest.mark.parametrize("float16", [False, True])
def test_header_of_a_stack(tmp_path, float16):
    path = tmp_path / "a.mrcs"
    write_stack(path, STACK, 1.25, float16=float16)
    with mrcfile.open(path) as file:
        header = file.header
        assert (header.nx, header.ny, header.nz, header.mode) == (8, 6, 5, 12 if float16 else 2)
        assert (header.mx, header.my, header.mz, header.ispg, header.nsymbt) == (8, 6, 1, 0, 0)
        np.testing.assert_allclose([header.cella.x, header.cella.y, header.cella.z], [10, 7.5, 1.25])
        expected = to_float16(STACK) if float16 else STACK
        np.testing.assert_array_equal(file.data, expected)
        expected = expected.astype(np.float64)
        assert (header.dmin, header.dmax) == (expected.min(), expected.max())
        assert header.dmean == pytest.approx(expected.mean(axis=(1, 2)).mean(), abs=1e-6)
        assert header.rms == pytest.approx(np.sqrt(expected.var(axis=(1, 2)).mean()), rel=1e-6)


def test_stack_is_a_valid_mrc_file(tmp_path):
    # RELION's mean of variances is the variance that the format asks for where all images have one mean.
    write_stack(tmp_path / "a.mrcs", STACK - STACK.mean(axis=(1, 2), keepdims=True), 1.25)
    assert mrcfile.validate(tmp_path / "a.mrcs")


def test_stack_written_in_batches_is_the_stack_written_at_once(tmp_path):
    write_stack(tmp_path / "a.mrcs", STACK, 1.0)
    with StackWriter(tmp_path / "b.mrcs", 1.0) as writer:
        writer.append(STACK[0])
        writer.append(STACK[1:1])
        writer.append(STACK[1:])
        assert not (tmp_path / "b.mrcs").exists()
    assert writer.count == 5
    np.testing.assert_array_equal(read_stack(tmp_path / "b.mrcs")[:], STACK)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.mrcs", "b.mrcs"))
    assert a[:84] == b[:84]
    assert a[1024:] == b[1024:]


def test_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), StackWriter(tmp_path / "a.mrcs", 1.0) as writer:
        writer.append(STACK)
        raise KeyboardInterrupt
    with StackWriter(tmp_path / "b.mrcs", 1.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match="pixel size"):
        write_stack(tmp_path / "a.mrcs", STACK, 0)
    with pytest.raises(InputError, match="no image"):
        write_stack(tmp_path / "a.mrcs", STACK[:0], 1)
    with pytest.raises(InputError, match=r"\(ny, nx\) = \(6, 8\)"), StackWriter(tmp_path / "a", 1) as writer:
        writer.append(STACK)
        writer.append(STACK[:, :4])
    assert list(tmp_path.iterdir()) == []


halves = hnp.arrays(np.float16, 16, elements=st.floats(2.0**-14, 60000, width=16, exclude_max=True))


@given(halves, st.sampled_from([-1, 1]))
def test_float16_rounds_halves_away_from_zero(low, sign):
    low = sign * low.astype(np.float32)
    high = np.nextafter(low.astype(np.float16), np.float16(sign * np.inf)).astype(np.float32)
    middle = (low + high) / 2  # exact: float32 has 13 more bits
    np.testing.assert_array_equal(to_float16(low), low)
    np.testing.assert_array_equal(to_float16(middle), high)
    np.testing.assert_array_equal(to_float16(np.nextafter(middle, np.float32(0))), low)


@given(hnp.arrays(np.float32, 20, elements=st.floats(width=32)))
def test_float16_is_the_nearest_number(values):
    result = to_float16(values).astype(np.float64)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(values))
    values = np.clip(values.astype(np.float64), -65504, 65504)
    values[np.abs(values) < 2.0**-14] = 0
    np.testing.assert_array_less(np.abs(result - values)[~np.isnan(values)], 2.0**-11 * 65504 + 1)
    normal = np.abs(values) >= 2.0**-14
    np.testing.assert_allclose(result[normal], values[normal], rtol=2.0**-11)
    np.testing.assert_array_equal(result[values == 0], 0)


def test_tiff_is_turned_over_as_relion_does(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, STACK[0][::-1])
    tifffile.imwrite(tmp_path / "s.tiff", STACK)
    np.testing.assert_array_equal(read_stack(tmp_path / "s.tiff")[1:3], STACK[1:3, ::-1])


def test_png(tmp_path):
    pixels = RNG.integers(0, 65535, (6, 8)).astype(np.uint16)
    PillowImage.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, pixels)
    PillowImage.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "colour.png")
    PillowImage.fromarray(np.zeros((6, 8), np.uint8)).convert("P").save(tmp_path / "palette.png")
    for name, mode in (("colour.png", "RGB"), ("palette.png", "P")):
        with pytest.raises(FileFormatError, match=f"{name} is a PNG of mode {mode}, expected a grey image;"):
            read_image(tmp_path / name)
    for mode in ("1", "L"):
        PillowImage.new(mode, (8, 6), 1).save(tmp_path / f"{mode}.png")
        assert (read_image(tmp_path / f"{mode}.png").data == 1).all()


def test_truncated_pictures(tmp_path):
    pixels = RNG.integers(0, 65535, (60, 80)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    PillowImage.fromarray(pixels).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(FileFormatError, match=f"{name} cannot be read"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.parametrize("data", [b"", b"hello", b"II*\0\x08\0\0\0\0\0", b"\x89PNG\r\n\x1a\n", b"\0" * 200])
def test_damaged_pictures(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileFormatError, match=f"{name} cannot be read"):
        read_image(tmp_path / name)


def test_real_variants(shared_data):
    folder = shared_data / "formats" / "mrc_variants"
    shapes = {
        path.name: read_stack(path)[:].shape for path in folder.iterdir() if "not" not in path.name.lower()
    }
    assert len(shapes) >= 15
    for name in ("NOTMRC_pytom_human_ribo_mask_Mirrored.mrc", "not_an_mrc_emd_3197.png"):
        with pytest.raises(FileFormatError, match=name):
            read_stack(folder / name)
    plain = read_stack(shared_data / "maps" / "EMD-3197.map")[:]
    for name in ("EMD-3197.map.bz2", "emd_3197.map.gz"):
        np.testing.assert_array_equal(read_stack(folder / name)[:], plain)
    half = read_stack(folder / "mode0_stamp0_imp_sampled.mrc")[:]
    assert half.min() == 0
    assert 0.03 < half.max() < 0.04


def test_real_pictures(shared_data):
    for path in (shared_data / "formats" / "tiff_variants").iterdir():
        if path.name == "gray.c8.tif":
            with pytest.raises(FileFormatError, match="complex64"):
                read_stack(path)
        else:
            assert read_stack(path)[0].ndim == 2
    assert read_image(shared_data / "micrographs" / "KLH.tif").data.shape == (844, 760)
    png = sorted((shared_data / "apoferritin10146").glob("*.png"))[0]
    assert read_image(png).data.max() > 255


def test_images_that_are_nearly_together_are_read_at_once(tmp_path, monkeypatch):
    """Whatever is asked for, in whatever order, the answer is that of an array."""
    images = np.random.default_rng(0).normal(size=(60, 8, 8)).astype(np.float32)
    write_stack(tmp_path / "a.mrcs", images, 1.0)
    stack = read_stack(tmp_path / "a.mrcs")
    monkeypatch.setattr("boxwood.io.mrc._GAP", 3 * 8 * 8 * 4)  # three images
    monkeypatch.setattr("boxwood.io.mrc._SWEEP", 20 * 8 * 8 * 4)
    reads = []
    fill = mrc._fill
    monkeypatch.setattr(
        "boxwood.io.mrc._fill", lambda f, target, p: (reads.append(len(target)), fill(f, target, p))
    )
    for asked, sizes in (
        ([0, 1, 2, 6, 7], [8]),  # three between
        ([0, 1, 6, 7], [2, 2]),  # four
        ([7, 6, 0], [1, 1, 1]),  # backwards
        ([3, 3], [1, 1]),
        (range(60), [60]),
        (range(0, 60, 2), [19, 19, 19]),  # no read that drops images is endless
        ([], []),
    ):
        reads.clear()
        index = np.array(asked, dtype=np.int64)
        np.testing.assert_array_equal(stack[index], images[index])
        assert reads == sizes
    shuffled = np.random.default_rng(1).integers(60, size=200)
    np.testing.assert_array_equal(stack[shuffled], images[shuffled])
