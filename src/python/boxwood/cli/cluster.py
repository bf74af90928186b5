"""The words of the command line that say who does the pieces of work of a job."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boxwood.jobs.cluster import ClusterSettings

# Attribute of `ClusterSettings`: metavar, help.
_WORDS = {
    "executor": ("WHO", "threads of this process (default), or dask: the workers of a cluster"),
    "scheduler": ("WHERE", "with dask: its address (tcp://HOST:PORT, tls://…), or slurm, pbs, sge or lsf"),
    "workers": ("N", "jobs of the batch system (default 1)"),
    "cores": ("N", "cores of each of them (default 1)"),
    "memory": ("SIZE", "memory of each of them (default 4GiB)"),
    "walltime": ("TIME", "time of each of them (default 24:00:00)"),
    "queue": ("NAME", "queue, or partition, that they go to"),
}


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words to a job's; its options of the same name have the last word."""
    group = parser.add_argument_group("Cluster (docs/scale.md)")
    for name, (metavar, text) in _WORDS.items():
        kind = int if name in ("workers", "cores") else str
        group.add_argument(f"--{name}", metavar=metavar, help=text, type=kind)
    group.add_argument(
        "--directive",
        dest="lines",
        action="append",
        metavar="LINE",
        help="further directive for the batch system (--directive=--account=…); may be repeated",
    )
    group.add_argument(
        "--skip-failed",
        action="store_true",
        default=None,
        help="go on without a batch of particles that fails wherever it is tried (default: the job fails)",
    )


def cluster_settings(parsed: argparse.Namespace) -> ClusterSettings | None:
    """What was said; None if nothing was."""
    names = (*_WORDS, "lines", "skip_failed")
    given = {name: value for name in names if (value := getattr(parsed, name)) is not None}
    if not given:
        return None
    from boxwood.jobs.cluster import ClusterSettings

    return ClusterSettings(**given | {"lines": tuple(given.get("lines", ()))})
