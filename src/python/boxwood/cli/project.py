"""`boxwood project`: what jobs there are, how they hang together, and cleaning up."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from boxwood.errors import InputError
from boxwood.options.arguments import ArgumentParser
from boxwood.project.folder import ProjectFolder
from boxwood.project.pipeline import PipelineJob

_DESCRIPTION = """\
The jobs of the RELION project in the current folder.

  boxwood project [list]               all jobs: status, inputs and outputs
  boxwood project graph FILE           draw the flow chart (.svg, .png, .pdf; .mmd for Mermaid's text)
  boxwood project clean JOB ...        move to Trash/ what later jobs do not need; --harsh: particles, too
  boxwood project delete JOB ...       move jobs, and all that build on them, to Trash/
  boxwood project restore JOB ...      bring deleted jobs back

clean and delete only say what they would do, until --yes is given.
A JOB is Type/jobNNN, its alias, or its number."""


def project(words: Sequence[str]) -> int:
    """Run `boxwood project` with these words."""
    parser = ArgumentParser(
        prog="boxwood project", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = {"list": _list, "graph": _graph, "clean": _clean, "delete": _delete, "restore": _restore}
    parser.add_argument("action", nargs="?", default="list", choices=actions, metavar="ACTION")
    parser.add_argument("names", nargs="*", metavar="JOB")
    parser.add_argument("--harsh", action="store_true", help="clean: also what cannot be made again quickly")
    parser.add_argument("--all", action="store_true", help="clean: all finished jobs")
    parser.add_argument("--yes", action="store_true", help="clean and delete: do it")
    parser.add_argument("--json", action="store_true", help="list: as JSON, for programs")
    given = parser.parse_args(words)
    folder = ProjectFolder()
    if not folder.exists:
        raise InputError(f"{Path.cwd()} is no project: it has no default_pipeline.star; go to its folder")
    actions[given.action](folder, given)
    return 0


def _list(folder: ProjectFolder, given: argparse.Namespace) -> None:
    jobs = folder.pipeline().jobs()
    if given.json:
        print(json.dumps([{**vars(job), "time": _ended(folder, job)} for job in jobs]))
        return
    width = max((len(job.name) for job in jobs), default=0)
    for job in jobs:
        alias = f"  ({job.alias.rstrip('/').rpartition('/')[2]})" if job.alias else ""
        print(f"{job.name:<{width}}  {job.status:<9}  {_ended(folder, job):<16}{alias}")
        for sign, nodes in (("<-", job.inputs), ("->", job.outputs)):
            for node in nodes:
                print(f"{'':<{width}}  {sign} {node}")


def _ended(folder: ProjectFolder, job: PipelineJob) -> str:
    """When the job was last at work."""
    files = [folder.root / job.name / name for name in ("run.out", "job_pipeline.star", "job.star")]
    times = [file.stat().st_mtime for file in files if file.exists()]
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(max(times))) if times else "no folder"


def _graph(folder: ProjectFolder, given: argparse.Namespace) -> None:
    from boxwood.report.flow_chart import write_flow_chart

    target = Path(given.names[0] if given.names else "project.svg")
    write_flow_chart(target, [(job.name, job.alias, job.status, job.inputs, job.outputs)
                              for job in folder.pipeline().jobs()])  # fmt: skip
    print(f"wrote {target}")


def _clean(folder: ProjectFolder, given: argparse.Namespace) -> None:
    from boxwood.project.trash import clean, cleaning

    if given.all == bool(given.names):
        raise InputError("name the jobs to clean, or give --all")
    jobs = [folder.job(name) for name in given.names]
    if given.all:
        known = ("AutoPick", "Extract", "Class2D")
        jobs = [j for j in folder.pipeline().jobs() if j.status == "Succeeded" and j.name.startswith(known)]
    moves = cleaning(folder, jobs, given.harsh)
    for move in moves:
        print(f"{move.size_bytes / 1e6:10.3f} MB  {move.path}")
    _say(given.yes, f"{len(moves)} files and folders, {sum(m.size_bytes for m in moves) / 1e6:.1f} MB,")
    if given.yes:
        clean(folder, moves)


def _delete(folder: ProjectFolder, given: argparse.Namespace) -> None:
    from boxwood.project.trash import delete, deleting

    if not given.names:
        raise InputError("name the jobs to delete")
    jobs = deleting(folder, [folder.job(name) for name in given.names])
    for job in jobs:
        print(job.name)
    _say(given.yes, f"{len(jobs)} jobs")
    if given.yes:
        delete(folder, jobs)


def _say(done: bool, what: str) -> None:
    print(f"{what} {'go to Trash/' if done else 'would go to Trash/; to do it, add --yes'}")


def _restore(folder: ProjectFolder, given: argparse.Namespace) -> None:
    from boxwood.project.trash import find_trashed, restore, trashed

    if not given.names:
        raise InputError(f"name the jobs to bring back; there are {', '.join(trashed(folder)) or 'none'}")
    for name in given.names:
        job = find_trashed(folder, name)
        restore(folder, job)
        print(f"{job.rstrip('/')} is back")
