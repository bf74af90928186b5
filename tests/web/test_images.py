"""Pyramids, tiles and sheets: the right pixels, at the right place, with the right grey."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from boxwood.errors import InputError
from boxwood.io.mrc import read_image, read_stack
from boxwood.web import images
from boxwood.web.cache import Cache

MICROGRAPH = "Micrographs/micrograph_001.mrc"
STACK = "Class2D/job003/run_it003_classes.mrcs"


def pixels_of(answer):
    return np.asarray(Image.open(io.BytesIO(answer.content)))


@pytest.mark.parametrize("shape", [(512, 512), (513, 700), (1030, 1025), (3, 2000)])
def test_tiles_of_every_level_make_up_the_micrograph(shape):
    image = np.random.default_rng(1).normal(5, 3, shape).astype(np.float32)
    pyramid = images.make_pyramid(image)
    assert max(pyramid.levels[-1].pixels.shape) <= images.TILE_PX
    for number, level in enumerate(pyramid.levels):
        ny, nx = level.pixels.shape
        assert (ny, nx) == tuple(-(-n // 2**number) for n in shape)
        whole = np.zeros_like(level.pixels)
        for row in range(-(-ny // images.TILE_PX)):
            for column in range(-(-nx // images.TILE_PX)):
                tile = pyramid.tile(number, column, row)
                top, left = row * images.TILE_PX, column * images.TILE_PX
                whole[top : top + len(tile), left : left + tile.shape[1]] = tile
        np.testing.assert_array_equal(whole, level.pixels)
        with pytest.raises(InputError):
            pyramid.tile(number, column + 1, 0)


def test_grey_values_can_be_had_back_from_pixels():
    image = np.random.default_rng(1).normal(5, 3, (300, 400)).astype(np.float32)
    level = images.make_pyramid(image).levels[0]
    step = images.SIGMAS * level.deviation / 127.5
    back = level.mean + (level.pixels / 127.5 - 1) * images.SIGMAS * level.deviation
    # half a step of rounding, and half a step because 256 levels have no middle
    assert np.abs(back - image).max() <= 1.01 * step


def test_a_level_is_the_mean_of_four_pixels():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(images.halve(image), [[2.5, 4.5], [8.5, 10.5]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_take_the_mean(bad):
    image = np.random.default_rng(1).normal(size=(40, 40)).astype(np.float32)
    image[3, 4] = bad
    level = images.make_pyramid(image).levels[0]
    assert level.pixels[3, 4] in (127, 128)
    assert np.isfinite([level.mean, level.deviation]).all()
    flat = images.make_pyramid(np.full((9, 9), bad, np.float32)).levels[0]
    assert (flat.pixels == 128).all()


def test_filters_halve_the_power_at_their_resolution():
    x = np.arange(200)
    wave = np.tile(np.cos(2 * np.pi * x / 20), (200, 1)).astype(np.float32) + 7
    low = images.band_pass(wave, 2.0, 40.0, 0.0)
    high = images.band_pass(wave, 2.0, 0.0, 40.0)
    for found, factor in ((low, np.sqrt(0.5)), (high, 0.5)):
        assert found.mean() == pytest.approx(7, abs=1e-4)
        assert found.std() / wave.std() == pytest.approx(factor, rel=1e-4)
    assert images.band_pass(wave, 2.0, 0.0, -1.0) is wave


def test_the_page_gets_tiles_of_a_micrograph(client, copy):
    facts = client.get("/api/micrograph", params={"name": MICROGRAPH}).json()
    image = read_image(copy / MICROGRAPH).data
    assert (facts["levels"][0]["height"], facts["levels"][0]["width"]) == image.shape
    answer = client.get("/image/tile", params={"name": MICROGRAPH, "format": "png"})
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(pixels_of(answer), images.make_pyramid(image).tile(0, 0, 0))
    assert client.get("/image/tile", params={"name": MICROGRAPH, "column": 5}).status_code == 400
    assert client.get("/image/tile", params={"name": MICROGRAPH, "column": "x"}).status_code == 400
    assert client.get("/image/tile", params={"name": "Micrographs/none.mrc"}).status_code == 404
    assert client.get("/image/tile").json() == {"error": "the request does not say name"}


def test_a_preview_is_no_longer_than_asked_for(client):
    small = pixels_of(client.get("/image/micrograph", params={"name": MICROGRAPH, "size": 100}))
    assert max(small.shape) == 400  # the coarsest level fits into a tile
    assert small.std() > 5


def test_a_picture_is_sent_again_only_when_its_file_has_changed(client, copy):
    ask = {"name": MICROGRAPH, "format": "jpeg"}
    first = client.get("/image/micrograph", params=ask)
    assert first.status_code == 200
    again = client.get("/image/micrograph", params=ask, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    data = (copy / MICROGRAPH).read_bytes()
    (copy / MICROGRAPH).write_bytes(data[:1024] + data[1024:][::-1])
    changed = client.get("/image/micrograph", params=ask, headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200 and changed.content != first.content


def test_a_sheet_shows_the_images_asked_for(client, copy):
    stack = read_stack(copy / STACK)
    ask = {"name": STACK, "side": 32, "columns": 2, "format": "png", "sigma": 3}
    sheet = pixels_of(client.get("/image/stack", params={**ask, "images": "1,0"}))
    np.testing.assert_array_equal(sheet, images.sheet(stack[np.array([1, 0])], 32, 2))
    assert sheet.shape == (32, 64)
    np.testing.assert_array_equal(
        pixels_of(client.get("/image/stack", params=ask)), np.roll(sheet, 32, axis=1)
    )
    for wrong in (
        {"images": "2"},
        {"images": "-1"},
        {"images": "x"},
        {"first": 7},
        {"side": 5000},
        {"columns": 0},
    ):
        assert client.get("/image/stack", params={**ask, **wrong}).status_code == 400, wrong
    assert "jpeg, png, webp" in client.get("/image/stack", params={**ask, "format": "exe"}).json()["error"]


def test_kept_results_are_computed_once_for_all_who_ask():
    kept, made, begun = Cache(), [], threading.Barrier(4)

    def make():
        made.append(1)
        return "result", 10

    def ask():
        begun.wait()
        assert kept.get("key", make) == "result"

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_what_was_not_asked_for_longest_goes_first():
    kept, made = Cache(most_bytes=25), []

    def ask(key):
        kept.get(key, lambda: (made.append(key), 10))

    for key in ("a", "b", "a", "c", "a", "c", "b"):
        ask(key)
    assert made == ["a", "b", "c", "b"]


def test_an_error_is_not_kept():
    kept = Cache()
    with pytest.raises(ZeroDivisionError):
        kept.get("key", lambda: (1 / 0, 1))
    assert kept.get("key", lambda: ("good", 1)) == "good"
