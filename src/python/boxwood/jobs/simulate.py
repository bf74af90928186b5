"""Simulate a small RELION project: micrographs with CTF parameters, and the truth about their particles."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.reporter import Reporter
from boxwood.options import Options, option

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.simulate import GaussianPhantom, SimulatedMicrograph, Volume

MICROGRAPHS_STAR = "micrographs_ctf.star"
TRUTH_STAR = "truth.star"


@dataclass(frozen=True, kw_only=True)
class SimulateOptions(Options):
    directory: Path = option("folder of the new project", positional=True, metavar="DIR")
    micrographs: int = option("number of micrographs", 5, at_least=1)
    width: int = option("width of a micrograph", 3710, unit="px", at_least=16)
    height: int = option("height of a micrograph", 3838, unit="px", at_least=16)
    pixel_size: float = option("pixel size", 0.885, unit="Å", above=0)
    particles: int = option("particles in each micrograph", 150, at_least=0, group="Particles")
    particle: str = option(
        "the particle: a tetramer like beta-galactosidase, or a hollow sphere like apoferritin",
        "tetramer",
        choices=("tetramer", "sphere"),
        group="Particles",
    )
    volume: Path | None = option("density map (MRC) to use as the particle instead", None, group="Particles")
    min_distance: float | None = option(
        "distance between the centres of particles; their diameter if not given",
        None,
        unit="Å",
        above=0,
        group="Particles",
    )
    snr: float = option(
        "mean square of the signal within a particle over the variance of the noise, at full size",
        0.02,
        above=0,
        group="Particles",
    )
    min_defocus: float = option("smallest defocus", 8000.0, unit="Å", group="Microscope")
    max_defocus: float = option("largest defocus", 16000.0, unit="Å", group="Microscope")
    voltage: float = option("voltage", 200.0, unit="kV", above=0, group="Microscope")
    cs: float = option("spherical aberration", 1.4, unit="mm", at_least=0, group="Microscope")
    amplitude_contrast: float = option("amplitude contrast", 0.1, at_least=0, at_most=1, group="Microscope")
    contaminations: int = option("dark blotches in each micrograph", 0, at_least=0, group="Background")
    gradient: float = option(
        "rise of the background from left to right", 0.0, unit="stddev", group="Background"
    )
    seed: int = option("seed of the random numbers", 0, at_least=0)

    def validate(self) -> None:
        if self.max_defocus < self.min_defocus:
            raise InputError(
                f"max_defocus is {self.max_defocus:g} Å, below the min_defocus of {self.min_defocus:g} Å; "
                "exchange them"
            )


def simulate_project(
    directory: str | os.PathLike[str],
    *,
    threads: int | None = None,
    reporter: Reporter | None = None,
    **options: Any,
) -> JobResult:
    """Simulate a project in a folder: Micrographs/*.mrc, micrographs_ctf.star and truth.star.

    Options are those of `SimulateOptions`. Particles are dark; names in the STAR files are relative to
    the folder.

    Returns
    -------
    JobResult
        With tables "micrographs" and "truth".
    """
    from boxwood.jobs.runner import run_job

    values = {"directory": Path(directory), **options}
    return run_job(JOB, values, threads=threads, reporter=reporter)


def run(options: SimulateOptions, context: JobContext) -> JobResult:
    """Write the project's files."""
    import numpy as np
    import pandas as pd

    from boxwood.io.mrc import write_stack
    from boxwood.io.star import write_star
    from boxwood.simulate import ctf_rows, simulate_micrograph

    micrographs_star, truth_star = options.directory / MICROGRAPHS_STAR, options.directory / TRUTH_STAR
    density = _density(options)
    rows = ctf_rows(
        options.micrographs,
        np.random.default_rng(options.seed),
        defocus_angstrom=(options.min_defocus, options.max_defocus),
        voltage_kv=options.voltage,
        cs_mm=options.cs,
        amplitude_contrast=options.amplitude_contrast,
    )

    def simulate(number: int) -> tuple[str, SimulatedMicrograph]:
        micrograph = simulate_micrograph(
            (options.height, options.width),
            options.pixel_size,
            density=density,
            particles=options.particles,
            min_distance_angstrom=options.min_distance,
            snr=options.snr,
            ctf_row=rows[number - 1],
            contaminations=options.contaminations,
            gradient=options.gradient,
            seed=(options.seed, number),
        )
        name = f"Micrographs/micrograph_{number:03d}.mrc"
        write_stack(options.directory / name, micrograph.image, options.pixel_size)
        return name, micrograph

    numbers = range(1, options.micrographs + 1)
    made = [done.result for done in context.map(simulate, numbers, "micrograph")]
    optics = _optics_table(options)
    micrographs = pd.concat([_micrograph_table(name, m) for name, m in made], ignore_index=True)
    truth = pd.concat([_truth_table(name, m) for name, m in made], ignore_index=True)
    write_star(truth_star, {"optics": optics, "particles": truth}, dialect=context.dialect)
    # The last file: a simulation that was stopped before can be begun again.
    write_star(micrographs_star, {"optics": optics, "micrographs": micrographs}, dialect=context.dialect)
    return JobResult(
        files={"micrographs": micrographs_star, "truth": truth_star},
        tables={"micrographs": micrographs, "truth": truth},
        values={"micrographs": len(made), "particles": len(truth)},
        summary=f"{len(made)} micrograph{'s' * (len(made) != 1)} with {len(truth)} "
        f"particle{'s' * (len(truth) != 1)} simulated in {options.directory}",
    )


def _density(options: SimulateOptions) -> GaussianPhantom | Volume:
    from boxwood.simulate import Volume, apoferritin, beta_galactosidase

    if options.volume is None:
        return apoferritin() if options.particle == "sphere" else beta_galactosidase()
    from boxwood.io.mrc import read_stack

    stack = read_stack(options.volume)
    return Volume(stack[:], stack.pixel_size_angstrom or 0.0)


def _optics_table(options: SimulateOptions) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnMicrographOriginalPixelSize": [options.pixel_size],
            "rlnVoltage": [options.voltage],
            "rlnSphericalAberration": [options.cs],
            "rlnAmplitudeContrast": [options.amplitude_contrast],
            "rlnMicrographPixelSize": [options.pixel_size],
        }
    )


def _micrograph_table(name: str, micrograph: SimulatedMicrograph) -> pd.DataFrame:
    import pandas as pd

    u, v, angle = micrograph.ctf_row[:3]
    return pd.DataFrame(
        {
            "rlnMicrographName": [name],
            "rlnOpticsGroup": [1],
            "rlnDefocusU": [u],
            "rlnDefocusV": [v],
            "rlnCtfAstigmatism": [u - v],
            "rlnDefocusAngle": [angle],
        }
    )


def _truth_table(name: str, micrograph: SimulatedMicrograph) -> pd.DataFrame:
    import pandas as pd

    rot, tilt, psi = micrograph.angles_deg.T
    u, v, angle = micrograph.ctf_row[:3]
    return pd.DataFrame(
        {
            "rlnMicrographName": name,
            "rlnCoordinateX": micrograph.x,
            "rlnCoordinateY": micrograph.y,
            "rlnAngleRot": rot,
            "rlnAngleTilt": tilt,
            "rlnAnglePsi": psi,
            "rlnOpticsGroup": 1,
            "rlnDefocusU": u,
            "rlnDefocusV": v,
            "rlnDefocusAngle": angle,
        }
    )


def _occupied(options: SimulateOptions) -> Path | None:
    star = options.directory / MICROGRAPHS_STAR
    return star if star.exists() else None


JOB = Job(name="simulate", options=SimulateOptions, run=run, has_directory=True, occupied=_occupied)
