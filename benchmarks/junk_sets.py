"""Simulated particles of several molecules, 30 % of them false picks, with the truth about each.

Every set is a folder that `boxwood class2d` can work on, and `truth.npz` beside it. False picks are of five
kinds: empty ice; contaminations, bright and of any size; aggregates of several particles; the edge of a
carbon film; and places between particles, more than half a diameter beside one. A third of the true
particles have a neighbour in their box, and a few are picked twice, at other centres. All are normalised as
extraction does it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from quality_sets import beta_galactosidase, ribosome

from boxwood.imaging.fourier import inverse
from boxwood.imaging.masks import radius_grid
from boxwood.io.particles import ParticleSet
from boxwood.io.stacks import write_stack
from boxwood.simulate.gaussians import GaussianPhantom, apoferritin
from boxwood.simulate.micrographs import place
from boxwood.simulate.noise import noise_amplitude, white_spectrum
from boxwood.simulate.particles import Density, apply_ctf, ctf_rows, in_disc
from boxwood.simulate.rotations import random_orientations, rotation_matrices

PARTICLES, JUNK, TWICE = 700, 0.3, 0.04
KINDS = ("particle", "empty", "contamination", "aggregate", "edge", "between")
MICROGRAPHS = 10


@dataclass(frozen=True)
class Molecule:
    """A density, its largest diameter (Angstrom), number of views (by default all), and contrast."""

    density: Density
    diameter: float
    views: int | None = None
    contrast: float = 1.0


def _proteasome() -> GaussianPhantom:
    """A barrel of four rings of seven balls, 150 x 115 Angstrom, hollow like the 20S proteasome."""
    turn = 2 * np.pi * np.arange(7) / 7
    rings = [
        np.column_stack([42 * np.cos(turn + lag), 42 * np.sin(turn + lag), np.full(7, z)])
        for z, lag in ((-57, 0.0), (-19, 0.3), (19, 0.6), (57, 0.9))
    ]
    return _balls(np.concatenate(rings), radius=16, seed=1)


def _antibody() -> GaussianPhantom:
    """Three lobes of two balls each at the ends of a Y, 150 Angstrom across: flat, without symmetry."""
    arms = np.array([[0, -1, 0], [0.8, 0.6, 0.15], [-0.75, 0.65, -0.2]])
    centres = np.concatenate([arms * reach for reach in (28.0, 58.0)])
    return _balls(centres + np.array([0, 6, 0]), radius=15, seed=2)


def _membrane_protein() -> GaussianPhantom:
    """A small protein, 100 Angstrom: seven rods in a disc of detergent, and a lobe on one side."""
    rods = np.array([(0, 0), *[(14 * np.cos(a), 14 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 7)[:6]]])
    bundle = np.concatenate([np.column_stack([rods, np.full(7, z)]) for z in np.arange(-22, 23, 4.5)])
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    micelle = np.column_stack([34 * np.cos(turn), 34 * np.sin(turn), np.zeros(20)])
    lobe = _balls(np.array([[8.0, 0, 38.0]]), radius=15, seed=3).centres
    return GaussianPhantom(np.concatenate([bundle, np.repeat(micelle, 2, axis=0), lobe]), 4.0)


def _balls(centres: np.ndarray, radius: float, seed: int) -> GaussianPhantom:
    """Balls of scattered Gaussians."""
    rng = np.random.default_rng(seed)
    inside = rng.normal(size=(len(centres), 25, 3))
    inside *= (
        radius * rng.random((len(centres), 25, 1)) ** (1 / 3) / np.linalg.norm(inside, axis=2, keepdims=True)
    )
    return GaussianPhantom((centres[:, None] + inside).reshape(-1, 3), 4.0)


def molecule(name: str, maps: Path) -> Molecule:
    """One of MOLECULES."""
    if name == "betagal":
        return Molecule(beta_galactosidase(maps), 180)
    if name == "ribosome":
        return Molecule(ribosome(maps), 270, views=14, contrast=1.3)  # 20 classes can hold them
    phantom = {
        "apoferritin": apoferritin, "proteasome": _proteasome,
        "antibody": _antibody, "membrane": _membrane_protein,
    }[name]()  # fmt: skip
    return Molecule(phantom, round(phantom.diameter_angstrom, -1), 20 if name == "proteasome" else None)


MOLECULES = ("betagal", "ribosome", "apoferritin", "proteasome", "antibody", "membrane")


@dataclass(frozen=True)
class JunkSet:
    """A set on disk.

    Attributes
    ----------
    folder : Path
    kind : (n,) int
        Of every particle, into KINDS; 0 is a particle.
    twin : (n,) int
        The particle of which this is a second pick; -1 for all others.
    mask_diameter, pixel_size : float
        Angstrom.
    """

    folder: Path
    kind: np.ndarray
    twin: np.ndarray
    mask_diameter: float
    pixel_size: float

    @classmethod
    def read(cls, folder: Path) -> "JunkSet":
        with np.load(folder / "truth.npz") as file:
            return cls(folder, file["kind"], file["twin"], float(file["mask"]), float(file["pixel"]))


def write_set(folder: Path, mol: Molecule, *, box: int, snr: float, offset: float, seed: int) -> JunkSet:
    """Simulate a set and write it; offset is that of a bad pick, in Angstrom."""
    rng = np.random.default_rng(seed)
    pixel = round(1.45 * mol.diameter / box, 2)
    kind = np.zeros(PARTICLES, int)
    false = rng.choice(PARTICLES, int(JUNK * PARTICLES), replace=False)
    mixture = rng.dirichlet(np.full(len(KINDS) - 1, 2.0))
    kind[false] = 1 + rng.choice(len(KINDS) - 1, len(false), p=mixture)
    offsets = in_disc(PARTICLES, offset / pixel, rng)
    images = _signal(mol, kind, offsets, box, pixel, rng)
    rows = ctf_rows(PARTICLES, rng)
    apply_ctf(images, rows, pixel, backend="cpu", threads=1)
    radius = radius_grid((box, box))
    particle = images[kind == 0][:, radius < mol.diameter / (2 * pixel)]
    images *= np.float32(mol.contrast * np.sqrt(snr / np.mean(particle.astype(np.float64) ** 2)))
    spectrum = white_spectrum(images.shape, rng) * noise_amplitude((box, box), pixel)
    images += inverse(spectrum, (box, box))

    twin = np.full(PARTICLES, -1)
    true = np.flatnonzero(kind == 0)
    again = rng.choice(true, int(TWICE * PARTICLES), replace=False)
    move = np.rint(in_disc(len(again), 0.08 * mol.diameter / pixel, rng)).astype(int)
    images = np.concatenate(
        [images, [np.roll(images[i], m[::-1], (0, 1)) for i, m in zip(again, move, strict=True)]]
    )
    kind, twin = np.append(kind, kind[again]), np.append(twin, again)
    offsets = np.append(offsets, offsets[again] - move, axis=0)
    rows = np.append(rows, rows[again], axis=0)

    background = images[:, radius > mol.diameter / (2 * pixel) + 2]
    images -= background.mean(axis=1)[:, None, None]
    images /= background.std(axis=1)[:, None, None]
    micrograph, centre = _places(len(kind), twin, box, mol.diameter / pixel, rng)
    _write(folder, images.astype("f4"), rows, micrograph, centre - offsets, pixel)
    mask = round(1.1 * mol.diameter, -1)
    np.savez(folder / "truth.npz", kind=kind, twin=twin, mask=mask, pixel=pixel)
    return JunkSet(folder, kind, twin, mask, pixel)


def _signal(
    mol: Molecule, kind: np.ndarray, offsets: np.ndarray, box: int, pixel: float, rng: np.random.Generator
) -> np.ndarray:
    """(n, box, box) what is seen of particles and false picks, without CTF and noise."""
    n, across = len(kind), mol.diameter / pixel

    images = np.zeros((n, box, box))
    views = None if mol.views is None else random_orientations(mol.views, rng)

    def add(which: np.ndarray, low: float, high: float, shifts: np.ndarray | float = 0.0) -> None:
        """Add a particle to each of some images, at low to high diameters from the centre."""
        count = int(which.sum())
        turn = rng.uniform(0, 2 * np.pi, count)
        beside = (across * rng.uniform(low, high, count) * [np.cos(turn), np.sin(turn)]).T
        angles = random_orientations(count, rng)
        if views is not None:
            angles[:, :2] = views[rng.integers(mol.views, size=count), :2]
        images[which] += mol.density.project(rotation_matrices(angles), box, pixel, beside + shifts)

    true = kind == 0
    add(true, 0, 0, -offsets[true])
    strength = float(np.sqrt(np.mean(images[true] ** 2)))
    beside = true & (rng.random(n) < 0.33)
    add(beside, 1.0, 1.3, -offsets[beside])
    for _ in range(3):
        add(kind == 3, 0.15, 0.8)
    add(kind == 5, 0.55, 0.9)
    y, x = np.mgrid[:box, :box] - box // 2
    for i in np.flatnonzero(kind == 2):
        for _ in range(rng.integers(1, 4)):
            centre, width = in_disc(1, 0.4 * across, rng)[0], across * rng.uniform(0.06, 0.35)
            blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * width**2))
            images[i] += strength * rng.uniform(1, 6) * blob
    for i in np.flatnonzero(kind == 4):
        turn, at = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4) * across
        step = np.tanh((x * np.cos(turn) + y * np.sin(turn) - at) / rng.uniform(1, 4))
        images[i] += strength * rng.uniform(1, 4) * (1 + step)
    return images.astype("f4")


def _places(
    n: int, twin: np.ndarray, box: int, across: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Micrograph and centre of every particle; second picks lie where their first ones do."""
    micrograph, centre = np.arange(n) % MICROGRAPHS, np.zeros((n, 2))
    edge = int(np.sqrt(n / MICROGRAPHS) * 3 * across) + 2 * box
    for m in range(MICROGRAPHS):
        mine = micrograph == m
        centre[mine] = place(int(mine.sum()), (edge, edge), margin=box, distance=across, rng=rng)
    second = twin >= 0
    micrograph[second], centre[second] = micrograph[twin[second]], centre[twin[second]]
    return micrograph, centre


def _write(
    folder: Path,
    images: np.ndarray,
    rows: np.ndarray,
    micrograph: np.ndarray,
    centre: np.ndarray,
    pixel: float,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_stack(folder / "particles.mrcs", images, pixel)
    table = pd.DataFrame(
        {
            "rlnImageName": [f"{i + 1:06d}@{folder.as_posix()}/particles.mrcs" for i in range(len(images))],
            "rlnMicrographName": [f"micrograph{m}.mrc" for m in micrograph],
            "rlnCoordinateX": centre[:, 0],
            "rlnCoordinateY": centre[:, 1],
            **{name: rows[:, i] for i, name in enumerate(
                ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift"))},
            "rlnOpticsGroup": 1,
        }
    )  # fmt: skip
    optics = {
        "rlnOpticsGroupName": "opticsGroup1",
        "rlnOpticsGroup": 1,
        "rlnMicrographPixelSize": pixel,
        "rlnVoltage": rows[0, 4],
        "rlnSphericalAberration": rows[0, 5],
        "rlnAmplitudeContrast": rows[0, 6],
        "rlnImagePixelSize": pixel,
        "rlnImageSize": images.shape[1],
        "rlnImageDimensionality": 2,
    }
    ParticleSet(pd.DataFrame([optics]), table).write(folder / "particles.star")
