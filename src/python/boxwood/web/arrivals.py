"""What the page shows of a live job: its ledger, and the picks of a micrograph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from boxwood.io.coordinates import coordinate_path, read_coordinates
from boxwood.io.star import read_star
from boxwood.jobs.live.ledger import BAD, DONE, DUPLICATE, FILE, LISTED, VANISHED, WAITING, Entry, Ledger
from boxwood.web.endpoint import MissingError
from boxwood.web.jobs import asked_for
from boxwood.web.micrographs import pyramid_of
from boxwood.web.workspace import Workspace

_RECENT = 60
_NAMED = 200


def ledger_of(workspace: Workspace, job: str) -> tuple[Ledger, dict[str, Any]]:
    """The micrographs of a live job "Class2D/job003/", and numbers of it as a whole."""
    path = workspace.read(f"{job}{FILE}")
    if not path.is_file():
        raise MissingError(f"{job.rstrip('/')} has no {FILE}: it is no live job, or has seen nothing yet")
    stamp = path.stat()

    def make() -> tuple[tuple[Ledger, dict[str, Any]], int]:
        general = read_star(path)["live_general"]
        row = general if isinstance(general, dict) else general.iloc[0].to_dict()
        return (Ledger.read(path), row), stamp.st_size

    found: tuple[Ledger, dict[str, Any]] = workspace.pictures.get(
        ("live", str(path), stamp.st_mtime_ns, stamp.st_size), make
    )
    return found


def overview(workspace: Workspace, job: str) -> dict[str, Any]:
    """Counts, rate, queue and the newest micrographs; the last of `recent` is the newest."""
    ledger, general = ledger_of(workspace, job)
    done = sorted(ledger.with_state(DONE), key=lambda entry: (entry.extracted, entry.arrived))
    left_out = ledger.with_state(BAD, DUPLICATE, VANISHED, LISTED)
    latencies = [entry.classified - entry.arrived for entry in done[-_RECENT:] if entry.classified]
    return {
        "state": str(general["bwState"]),
        "written": float(general["bwTimeWritten"]),
        "micrographs": len(done),
        "particles": int(general["bwParticles"]),
        "queue": len(ledger.with_state(WAITING)),
        "rate": float(general["bwMicrographsPerHour"]),
        "iteration": int(general["rlnCurrentIteration"]),
        "latency": float(np.median(latencies)) if latencies else None,
        "recent": [_shown(entry) for entry in done[-_RECENT:]],
        "left_out": [_shown(entry) for entry in left_out[-_NAMED:]],
    }


def _shown(entry: Entry) -> dict[str, Any]:
    joined = entry.classified - entry.arrived if entry.classified and entry.arrived else None
    return {
        "name": entry.name,
        "state": entry.state,
        "reason": entry.reason,
        "particles": entry.particles,
        "extracted": entry.extracted,
        "latency": None if joined is None else round(joined, 1),
    }


def picks_of(workspace: Workspace, job: str, name: str) -> dict[str, Any]:
    """Where the picks of a micrograph are, in its pixels, and how large it and they are."""
    table = read_coordinates(workspace.read(coordinate_path(job, name, "autopick")))
    pyramid, tag = pyramid_of(workspace, name)
    height, width = pyramid.levels[0].pixels.shape
    return {
        "name": name,
        "tag": tag,
        "width": width,
        "height": height,
        "diameter": _diameter_px(workspace, job),
        "x": np.round(table["rlnCoordinateX"].to_numpy(np.float64), 1).tolist(),
        "y": np.round(table["rlnCoordinateY"].to_numpy(np.float64), 1).tolist(),
    }


def _diameter_px(workspace: Workspace, job: str) -> float:
    """The mean of the diameters that were asked for, in pixels."""
    _, values, _ = asked_for(workspace, job)
    optics = read_star(workspace.read(Path(job) / "micrographs.star"))["optics"]
    pixel = optics["rlnMicrographPixelSize"]
    pixel = float(pixel if isinstance(optics, dict) else pixel.iloc[0])
    return (float(values["min_diameter"]) + float(values["max_diameter"])) / 2 / pixel
