"""What is asked in a wrong way is refused in a sentence, never with a fault of the server."""

import pytest

NOTE = "/api/job/AutoPick/job001/note"
BODIES = [
    *(b"{", b"\xff\xfe", b"[" * 200_000, b'{"a":' * 200_000),
    *(b'{"revision": "none", "content": "\\ud800"}', b'{"\\udfff": 1}', b"9" * 5000),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:24])
def test_a_body_that_is_no_json_of_ours_is_refused(client, body):
    answer = client.put(NOTE, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the request is no JSON") or "half a character" in answer.text


def test_both_halves_of_a_character_are_one(client, copy):
    revision = client.get("/api/job/AutoPick/job001").json()["note_revision"]
    body = f'{{"revision": "{revision}", "content": "\\ud83d\\ude00"}}'
    assert client.put(NOTE, content=body.encode()).status_code == 200
    assert (copy / "AutoPick/job001/note.txt").read_text(encoding="utf-8") == "\U0001f600"


@pytest.mark.parametrize(
    "address",
    [
        *("/image/micrograph", "/api/micrograph", "/image/tile", "/image/stack", "/api/filtered"),
        *("/api/particles", "/image/particles", "/api/particles/order"),
    ],
)
@pytest.mark.parametrize("name", ["", ".", "Micrographs", "Extract/job002/"])
def test_a_folder_is_no_file(client, address, name):
    answer = client.get(address, params={"name": name})
    assert answer.status_code == 400
    assert answer.json()["error"]


MICROGRAPH = "name=Micrographs/micrograph_001.mrc"
STACK = "name=Class2D/job003/run_it003_classes.mrcs"


@pytest.mark.parametrize(
    "address",
    [
        *(f"/image/micrograph?{MICROGRAPH}&size={size}" for size in ("-5", "0", "x", "1e3")),
        *(f"/image/stack?{STACK}&sigma={sigma}" for sigma in ("nan", "inf", "-1", "0")),
        *(f"/image/stack?{STACK}&{what}" for what in ("side=-5", "columns=0", "first=-1", "count=-3")),
        *(f"/image/filtered?{MICROGRAPH}&low={low}" for low in ("nan", "-inf")),
        "/image/particles?name=Extract/job002/particles.star&low_pass=nan",
    ],
)
def test_numbers_that_make_no_picture_are_refused(client, address):
    answer = client.get(address)
    assert answer.status_code == 400 and answer.json()["error"]


@pytest.mark.parametrize(
    "method, address", [("POST", "/api/project"), ("PUT", "/api/link"), ("DELETE", NOTE)]
)
def test_another_method_is_refused_as_json(client, method, address):
    answer = client.request(method, address)
    assert answer.status_code == 405 and answer.headers["allow"]
    assert answer.json()["error"] == f"{method} {address}: method not allowed"
