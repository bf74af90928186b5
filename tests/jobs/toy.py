"""A small job for tests of the framework: one file per micrograph, stopped or broken as asked for.

Run as a program it is the boxwood command with this job added.
"""

import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from boxwood.errors import JobError
from boxwood.io.star import read_star, write_star
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.registry import JOBS
from boxwood.options import Options, option


@dataclass(frozen=True, kw_only=True)
class ToyOptions(Options):
    micrographs: Path = option(
        "micrographs STAR file", group="I/O", input="micrographs", joboption="fn_input_autopick", flag="--i"
    )
    coordinates: Path | None = option(
        "earlier picks", None, group="I/O", input="coordinates", joboption="fn_refs_autopick"
    )
    resolution: float = option("finest detail", 20.0, unit="Å", above=0, joboption="log_maxres")
    stop: int = option("signal this process gets after the first micrograph", 0, at_least=0)
    fail: bool = option("fail after the first micrograph", False)
    crash: bool = option("meet a bug", False)
    threshold: float | None = option("picking threshold", refused="this picker has no references")


def run(options: ToyOptions, context: JobContext) -> JobResult:
    names = list(read_star(options.micrographs)["micrographs"]["rlnMicrographName"])

    def measure(name: str) -> float:
        path = context.output_path(name, "_toy.star")
        if not (context.continuing and path.exists()):
            if "broken" in name:
                raise OSError(f"{name} is cut off")
            if "strange" in name:
                raise KeyError(name)
            write_star(path, {"": {"rlnMicrographName": name}}, dialect=context.dialect)
        return len(name)

    context.reserve(names)
    results = []
    for done in context.map(measure, names, "micrograph"):
        results.append(done)
        if options.stop:
            signal.raise_signal(options.stop)
    if options.fail:
        raise JobError("this job was told to fail")
    if options.crash:
        raise ZeroDivisionError("one over nothing")
    with context.picture("histogram"):
        raise RuntimeError("no ink")
    table = pd.DataFrame({"name": [done.item for done in results], "size": [done.result for done in results]})
    path = context.output / "coords_suffix_autopick.star"
    path.write_text(f"{options.micrographs}\n")
    context.add_output(path, "coordinates_suffix")
    files = {"coordinates": path}
    if context.dialect == "5":
        files["list"] = context.output / "autopick.star"
        files["list"].write_text("")
        context.add_output(files["list"], "coordinates_list")
    return JobResult(files=files, tables={"sizes": table}, summary=f"{len(table)} measured")


def write_micrographs(folder, names=("Micrographs/a.mrc", "Micrographs/b.mrc", "Micrographs/c.mrc")):
    """Write micrographs.star."""
    optics = {"rlnOpticsGroupName": ["one"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [1.0]}
    tables = {
        "optics": pd.DataFrame(optics),
        "micrographs": pd.DataFrame({"rlnMicrographName": list(names), "rlnOpticsGroup": 1}),
    }
    write_star(folder / "micrographs.star", tables, dialect="3.1")


JOB = Job(
    name="toy",
    folder="AutoPick",
    options=ToyOptions,
    run=run,
    process=4,
    label="relion.autopick.log",
    joboptions={"do_log": "Yes"},
)

if __name__ == "__main__":
    JOBS["toy"] = ("toy", "a toy")
    from boxwood.cli import main

    sys.exit(main())
