"""Galleries of particles: the right pictures in the right order, by requests."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boxwood.imaging.alignment import aligned
from boxwood.io.particles import ParticleSet
from boxwood.io.selection import read_selection
from boxwood.io.star import read_star, write_star
from boxwood.web import images
from boxwood.web.particles import ordered, shown_values

PARTICLES = "Extract/job002/particles.star"
CLASSIFIED = "Class2D/job003/run_it003_data.star"


def sheet_of(client, **query):
    answer = client.get("/image/particles", params={"format": "png", "side": 32, **query})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_jobs_tell_their_files_of_particles(client):
    assert client.get("/api/particles/of/Extract/job002").json()["files"] == [PARTICLES]
    found = client.get("/api/particles/of/Class2D/job003").json()["files"]
    assert found == [f"Class2D/job003/run_it{n:03d}_data.star" for n in (3, 2, 1, 0)]
    assert client.get("/api/particles/of/AutoPick/job001").json()["files"] == []
    assert client.get("/api/particles/of/Extract/job099").status_code == 400


def test_what_is_said_of_particles(client, copy):
    particles = ParticleSet.read(copy / PARTICLES)
    facts = client.get("/api/particles", params={"name": PARTICLES}).json()
    assert facts["count"] == len(particles)
    assert facts["columns"] == list(particles.table.columns)
    assert (facts["box"], facts["marked"], facts["revision"]) == (32, [], "none")
    assert facts["pixel_size"] == pytest.approx(7.08)
    assert not facts["can_align"]
    assert client.get("/api/particles", params={"name": CLASSIFIED}).json()["classes"] == 2
    row = client.get("/api/particles/row", params={"name": PARTICLES, "row": 3}).json()
    assert row["columns"]["rlnImageName"] == particles.table["rlnImageName"][3]
    assert client.get("/api/particles/row", params={"name": PARTICLES, "row": 999}).status_code == 404
    assert client.get("/api/particles", params={"name": "nothing.star"}).status_code == 404
    assert client.get("/api/particles", params={"name": "micrographs_ctf.star"}).status_code == 400


def test_the_order_is_that_of_a_column(client, copy):
    table = ParticleSet.read(copy / CLASSIFIED).table
    merit = table["rlnAutopickFigureOfMerit"].to_numpy()
    ask = {"name": CLASSIFIED, "sort": "rlnAutopickFigureOfMerit"}
    up = client.get("/api/particles/order", params=ask).json()
    assert (np.diff(merit[up["rows"]]) >= 0).all()
    np.testing.assert_allclose(up["values"], merit[up["rows"]], rtol=1e-5)
    down = client.get("/api/particles/order", params={**ask, "reverse": 1, "class": 2}).json()
    assert (np.diff(merit[down["rows"]]) <= 0).all()
    assert sorted(down["rows"]) == np.flatnonzero(table["rlnClassNumber"] == 2).tolist()
    names = client.get("/api/particles/order", params={**ask, "sort": "rlnMicrographName"}).json()
    shown = [names["names"][value] for value in names["values"]]
    assert shown == sorted(table["rlnMicrographName"])
    assert client.get("/api/particles/order", params={"name": CLASSIFIED}).json()["rows"] == list(
        range(len(table))
    )
    assert client.get("/api/particles/order", params={**ask, "sort": "nothing"}).status_code == 400
    assert client.get("/api/particles/order", params={"name": PARTICLES, "class": 1}).status_code == 200


def test_what_is_no_number_comes_last():
    table = pd.DataFrame({"a": [2.0, np.nan, 1.0], "b": ["y", "x", "y"]})
    assert ordered(table, "a").tolist() == [2, 0, 1]
    assert ordered(table, "a", reverse=True).tolist() == [0, 2, 1]
    assert ordered(table, "", reverse=True).tolist() == [2, 1, 0]
    assert shown_values(table, "a", np.array([2, 0, 1]))["values"] == [1.0, 2.0, None]
    assert ordered(table, "b", reverse=True).tolist() == [0, 2, 1]


def test_a_sheet_shows_these_particles(client, copy, monkeypatch):
    particles = ParticleSet.read(copy / CLASSIFIED)
    rows = [5, 0, 7]
    raw = particles.images(copy).read(np.array(rows))
    ask = {"name": CLASSIFIED, "images": "5,0,7", "columns": 2}
    np.testing.assert_array_equal(sheet_of(client, **ask), images.sheet(raw, 32, 2))
    table, pixel = particles.table, particles.pixel_sizes()[rows]
    offset = table.loc[rows, ["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy() / pixel[:, None]
    turned = aligned(raw, table["rlnAnglePsi"].to_numpy()[rows], offset)
    np.testing.assert_array_equal(sheet_of(client, **ask, align=1), images.sheet(turned, 32, 2))
    smooth = np.array([images.band_pass(image, pixel[0], 40, 0) for image in raw])
    np.testing.assert_array_equal(sheet_of(client, **ask, low_pass=40), images.sheet(smooth, 32, 2))
    refused = client.get("/image/particles", params={**ask, "name": PARTICLES, "align": 1})
    assert refused.status_code == 400 and "classify it first" in refused.json()["error"]
    assert client.get("/image/particles", params={**ask, "images": "9999"}).status_code == 400


def test_a_particle_that_cannot_be_read_is_grey_and_named(client, copy):
    table = ParticleSet.read(copy / PARTICLES).table
    lost = table["rlnImageName"][0].partition("@")[2]
    (copy / lost).unlink()
    facts = client.get("/api/particles", params={"name": PARTICLES}).json()
    assert facts["unreadable"] == np.flatnonzero(table["rlnImageName"].str.endswith(lost)).tolist()
    assert list(facts["reasons"]) == [lost]
    good = next(row for row in range(len(table)) if row not in facts["unreadable"])
    sheet = sheet_of(client, name=PARTICLES, images=f"0,{good}", columns=2)
    assert np.ptp(sheet[:, :32]) == 0 and np.ptp(sheet[:, 32:]) > 100


def test_stacks_outside_the_project_are_not_read(client, copy, tmp_path):
    stack = next((copy / "Extract/job002").rglob("*.mrcs"))
    (tmp_path / "elsewhere.mrcs").write_bytes(stack.read_bytes())
    tables = read_star(copy / PARTICLES)
    for name in ("../elsewhere.mrcs", str(tmp_path / "elsewhere.mrcs")):
        tables["particles"].loc[2, "rlnImageName"] = f"000001@{name}"
        write_star(copy / "bad.star", tables)
        answer = client.get("/image/particles", params={"name": "bad.star", "images": "0"})
        assert answer.status_code == 403 and "--data" in answer.json()["error"]


def test_marks_are_kept_and_not_overwritten_by_another_page(client, copy):
    ask = {"name": PARTICLES}
    count = client.get("/api/particles", params=ask).json()["count"]
    body = {"revision": "none", "content": [4, 2]}
    saved = client.put("/api/particles/marks", params=ask, json=body)
    facts = client.get("/api/particles", params=ask).json()
    assert facts["marked"] == [2, 4] and facts["revision"] == saved.json()["revision"]
    selected = read_selection(copy / facts["selection"], count)
    assert np.flatnonzero(~selected).tolist() == [2, 4]
    late = client.put("/api/particles/marks", params=ask, json={**body, "content": [9]})
    assert late.status_code == 409 and late.json()["revision"] == facts["revision"]
    np.testing.assert_array_equal(read_selection(copy / facts["selection"], count), selected)
    for wrong in ([count], [-1], ["1"], [True], "1"):
        body = {"revision": facts["revision"], "content": wrong}
        assert client.put("/api/particles/marks", params=ask, json=body).status_code == 400
    outside = client.put("/api/particles/marks", params={"name": "../x.star"}, json=body)
    assert outside.status_code == 403
