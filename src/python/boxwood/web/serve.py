"""Serve the page of one project on this computer's loopback address."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from boxwood.errors import InputError
from boxwood.web.app import make_app
from boxwood.web.workspace import Workspace

HOST = "127.0.0.1"


def serve(project: Path, port: int = 0, data: Sequence[Path] = ()) -> None:
    """Serve until Ctrl-C; print the address, with a token that is good for one login.

    Parameters
    ----------
    project : Path
        The process changes into it.
    port : int
        0 takes one that is free.
    data : sequence of Path
        Further folders that may be read, because links of the project lead there.

    Raises
    ------
    InputError
        If the folder or the port cannot be used.
    """
    for folder in (project, *data):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; name the folder of a project, which may be empty")
    workspace = Workspace(project, data)
    os.chdir(workspace.root)
    listening = _listen(port)
    port = listening.getsockname()[1]
    address = f"http://{HOST}:{port}/"
    print(f"boxwood shows {workspace.root}\n\n    {_link(workspace, address)}\n", flush=True)
    print(
        "The link is good for one browser; press Enter for another, Ctrl-C to end. From elsewhere, first\n"
        f"run there: ssh -L {port}:{HOST}:{port} {socket.gethostname()}",
        flush=True,
    )
    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=_more_links, args=(workspace, address), daemon=True).start()
    config = uvicorn.Config(
        make_app(workspace),
        log_level="warning",
        access_log=False,  # it would show tokens
        server_header=False,
        timeout_graceful_shutdown=1,  # streams of open pages do not end by themselves
        lifespan="off",
        ws="none",
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
        workspace.close()


def start(project: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """Serve a project in a process of its own, for programs that drive a browser.

    Parameters
    ----------
    project : Path
    words : str
        Further words of `boxwood ui`.

    Returns
    -------
    process, link
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "boxwood", "ui", str(project), *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout or ():
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise InputError(f"boxwood ui ended with code {process.wait()} before it had printed a link")


def _link(workspace: Workspace, address: str) -> str:
    return f"{address}?token={workspace.keys.new_token()}"


def _more_links(workspace: Workspace, address: str) -> None:
    while True:
        select.select([sys.stdin], [], [])
        if not sys.stdin.readline():
            return
        print(f"    {_link(workspace, address)}", flush=True)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(128)  # before the link is printed: who follows it at once waits a moment
    except OSError as error:
        listening.close()
        raise InputError(f"port {port} cannot be used ({error.strerror}); give another --port") from None
    return listening
