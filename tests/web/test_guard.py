"""Who gets in: nobody without the link, nobody from another site."""

import re

import pytest

from boxwood.web.guard import Keys, from_here
from boxwood.web.workspace import Workspace

PLACES = [
    "/",
    "/api/project",
    "/static/app.js",
    "/image/micrograph?name=Micrographs/micrograph_001.mrc",
    "/job/x",
]


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_shown_without_the_cookie(stranger, workspace, place):
    answer = stranger.get(place)
    assert answer.status_code == 401
    assert "has not logged in" in answer.text
    assert stranger.get(place, params={"token": "guessed"}).status_code == 401
    stranger.cookies.set(workspace.keys.cookie, "guessed")
    assert stranger.get(place).status_code == 401


def test_a_token_is_good_for_one_login(stranger, other, workspace):
    token = workspace.keys.new_token()
    answer = stranger.get("/job/AutoPick/job001", params={"token": token, "x": "1"})
    assert 'content="0;url=/job/AutoPick/job001?x=1"' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert stranger.get("/api/project").status_code == 200
    refused = other.get("/", params={"token": token}, headers={"accept": "text/html"})
    assert refused.status_code == 401
    assert "This link was used already" in refused.text


def test_the_cookie_is_hidden_from_scripts_and_other_sites(stranger, workspace):
    answer = stranger.get("/", params={"token": workspace.keys.new_token()})
    words = {word.strip().lower() for word in answer.headers["set-cookie"].split(";")[1:]}
    assert words == {"httponly", "samesite=strict", "path=/"}


def test_a_token_is_not_sent_on_to_another_site(stranger, workspace):
    answer = stranger.get(
        "http://127.0.0.1:8000//evil.example/", params={"token": workspace.keys.new_token()}
    )
    assert "url=/evil.example/" in answer.text


def test_tokens_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(one, other):
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    keys = Keys()
    tokens = [keys.new_token() for _ in range(3)]
    assert len(set(tokens)) == 3 and min(map(len, tokens)) >= 43
    assert keys.exchange("wrong") is None
    session = keys.exchange(tokens[0])
    assert keys.is_session(session) and not keys.is_session(tokens[1]) and not keys.is_session("")
    # all that are known are looked at, whichever fits
    assert len(compared) == 3 + 3 + 3


HOSTS = [
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "192.168.0.1:8000",
    "",
    "127.0.0.1:x",
    "a@127.0.0.1",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_was_made_to_point_here_is_refused(client, host):
    answer = client.get("/api/project", headers={"host": host, "origin": f"http://{host}"})
    assert answer.status_code == 403
    assert "jobs" not in answer.json()


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:9999", "[::1]:1", "localhost"])
def test_any_port_of_this_computer_may_lead_here(client, host):
    """ssh -L may use another one."""
    assert client.get("/api/project", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8000"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_site_cannot_use_the_cookie(client, method, origin):
    address = "/api/project" if method == "GET" else "/api/link"
    answer = client.request(method, address, headers={"origin": origin})
    assert answer.status_code == 403
    assert "token" not in answer.json() and "jobs" not in answer.json()


def test_what_changes_something_must_say_where_it_comes_from():
    here = {"host": "127.0.0.1:8000"}
    assert not from_here(here, "POST") and not from_here(here, "PUT")
    assert from_here({**here, "origin": "http://127.0.0.1:8000"}, "POST")
    assert from_here(here, "GET")
    assert not from_here({**here, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, "GET")
    assert not from_here({**here, "sec-fetch-site": "same-site"}, "GET")
    visit = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert from_here({**here, **visit}, "GET")
    assert not from_here({**here, **visit, "sec-fetch-dest": "iframe"}, "GET")


def test_every_answer_forbids_frames_and_foreign_scripts(client, stranger):
    for answer in (
        client.get("/"),
        client.get("/nothing"),
        client.get("/api/project", headers={"host": "x"}),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert not re.search(r"unsafe-(inline|eval)", policy)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_logged_in_page_lets_another_browser_in(client, other):
    token = client.post("/api/link").json()["token"]
    other.get("/", params={"token": token})
    assert other.get("/api/project").status_code == 200


def test_two_servers_on_forwarded_ports_do_not_log_each_other_out(client, workspace, copy, new_client):
    """A browser has one set of cookies for 127.0.0.1, whatever the port; both may serve 8000 at home."""
    second = Workspace(copy)
    with new_client(second) as other:
        other.cookies = client.cookies
        assert other.get("/api/project").status_code == 401
        other.get("/", params={"token": second.keys.new_token()})
        assert other.get("/api/project").status_code == 200
        client.cookies = other.cookies
        assert client.get("/api/project").status_code == 200
    second.pool.shutdown()
