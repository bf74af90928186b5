"""The server as it is started: on loopback alone, ended at once, with more links on Enter."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import expect

import boxwood
from boxwood.errors import InputError
from boxwood.web.serve import HOST, serve

PATIENT = 300  # seconds; machines are slow at times


def test_it_listens_on_loopback_alone(copy, start_server):
    port = int(re.search(r":(\d+)/", start_server(copy))[1])
    assert HOST == "127.0.0.1"
    with socket.create_connection((HOST, port), timeout=10):
        pass
    others = {address[4][0] for address in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
    for address in {*others, "127.0.0.2"} - {HOST}:
        with pytest.raises(OSError), socket.create_connection((address, port), timeout=5):
            pass


def test_what_cannot_be_served_is_said(copy, tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        serve(tmp_path / "none")
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot be used"):
            serve(copy, port=taken.getsockname()[1])


def test_it_works_through_a_forwarded_port(copy, start_server, new_page):
    """ssh -L: the browser talks to another port than the server listens on."""
    link = start_server(copy)
    with Forward(int(re.search(r":(\d+)/", link)[1])) as port:
        page = new_page(re.sub(r":\d+/", f":{port}/", link))
        expect(page.locator(".card")).to_have_count(3)
        page.locator("[data-job='Extract/job002'] .name a").click()
        page.get_by_label("Note").fill("from afar")
        expect(page.locator("h2", has_text="Note")).to_contain_text("saved")
    assert (copy / "Extract/job002/note.txt").read_text() == "from afar"


class Forward:
    """A port that leads to another one."""

    def __init__(self, port):
        self.port = port
        self.listening = socket.create_server((HOST, 0))
        self.ends = []

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self.listening.getsockname()[1]

    def __exit__(self, *_):
        for end in (self.listening, *self.ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def accept(self):
        with suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                far = socket.create_connection((HOST, self.port))
                self.ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.pass_on, args=ends, daemon=True).start()

    def pass_on(self, source, target):
        with suppress(OSError):
            while content := source.recv(1 << 16):
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)


def test_enter_gives_another_link_and_interrupting_ends_it(copy):
    ours, theirs = pty.openpty()
    server = subprocess.Popen(
        [sys.executable, "-m", "boxwood", "ui", str(copy)],
        env={**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])},
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        first = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)))[0]
        os.write(ours, b"\n")
        second = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)))[0]
        assert second != first
        for link in (first, second):
            assert httpx2.get(link, timeout=PATIENT).status_code == 200
            assert httpx2.get(link, timeout=PATIENT).status_code == 401  # once each
        address = first.split("?")[0]
        with httpx2.Client(base_url=address, timeout=PATIENT) as client:
            os.write(ours, b"\n")
            third = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)))[0]
            client.get(third)
            with client.stream("GET", "/api/live") as events:
                assert next(events.iter_lines()).startswith("retry")
                server.send_signal(signal.SIGINT)
                assert server.wait(timeout=PATIENT) == 0  # an open stream does not hold it up for ever
    finally:
        server.kill()
        server.communicate()
        os.close(ours)
        os.close(theirs)


def test_folders_elsewhere_are_read_if_they_are_named(copy, start_server):
    elsewhere = copy.parent / "disk"
    (copy / "Micrographs").rename(elsewhere)
    (copy / "Micrographs").symlink_to(elsewhere)
    ask = "image/micrograph?name=Micrographs/micrograph_001.mrc"
    for words, status in (((), 403), (("--data", str(elsewhere)), 200)):
        link = start_server(copy, *words)
        with httpx2.Client(base_url=link.split("?")[0], timeout=PATIENT) as client:
            client.get(link)
            assert client.get(ask).status_code == status
