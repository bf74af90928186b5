"""Simulated particles whose views, angles and offsets are known, and how well a classification found them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from boxwood.extraction import extract_particles
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.stacks import write_stack
from boxwood.picking import pick_log
from boxwood.simulate import Volume, simulate_micrograph, simulate_particles
from boxwood.simulate.rotations import random_orientations

BOX = 64


@dataclass
class TrueParticles:
    """Images and the truth; `view` -1 marks junk, which has no angle and no offset."""

    images: np.ndarray
    rows: np.ndarray
    view: np.ndarray
    psi_deg: np.ndarray
    offset_px: np.ndarray
    pixel_size: float
    mask_diameter: float
    classes: int

    def write(self, folder: Path) -> Path:
        """A stack and a STAR file that RELION 3.1 reads."""
        folder.mkdir(parents=True, exist_ok=True)
        write_stack(folder / "particles.mrcs", self.images, self.pixel_size)
        names = ["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift"]
        table = pd.DataFrame({name: self.rows[:, i] for i, name in enumerate(names)})
        table.insert(0, "rlnImageName", [f"{i + 1:06d}@particles.mrcs" for i in range(len(self.images))])
        table.insert(1, "rlnMicrographName", [f"micrograph{i % 4}.mrc" for i in range(len(self.images))])
        table["rlnOpticsGroup"] = 1
        optics = {
            "rlnOpticsGroupName": "opticsGroup1",
            "rlnOpticsGroup": 1,
            "rlnVoltage": self.rows[0, 4],
            "rlnSphericalAberration": self.rows[0, 5],
            "rlnAmplitudeContrast": self.rows[0, 6],
            "rlnImagePixelSize": self.pixel_size,
            "rlnImageSize": BOX,
            "rlnImageDimensionality": 2,
        }
        star = folder / "particles.star"
        ParticleSet(pd.DataFrame([optics]), table).write(star)
        return star


def beta_galactosidase(maps: Path) -> Volume:
    return Volume(read_stack(maps / "ngl_betaGal.mrc")[:], 3.54)


def ribosome(maps: Path) -> Volume:
    # The header has no voxel size; with 5 Angstrom the particle is 250 Angstrom across, as ribosomes are.
    return Volume(read_stack(maps / "aspire_clean70SRibosome_vol_65p.mrc")[:], 5.0)


def simulated_set(name: str, maps: Path, seed: int) -> TrueParticles:
    """One of SETS; the seed changes particles and noise."""
    if name == "betagal":
        return _set(beta_galactosidase(maps), 600, 24, 24, 3.54, 200, snr=0.2, offset=3, seed=seed)
    if name == "ribosome":
        return _set(ribosome(maps), 500, 10, 20, 5.0, 270, snr=0.25, offset=3, seed=seed)
    if name == "hard":  # low signal, and centres as wrong as those of Laplacian-of-Gaussian picks
        return _set(beta_galactosidase(maps), 600, 16, 16, 3.54, 200, snr=0.12, offset=7, seed=seed)
    if name == "mixture":
        a = _set(beta_galactosidase(maps), 250, 8, 24, 5.0, 270, snr=0.25, offset=3, seed=seed)
        b = _set(ribosome(maps), 250, 8, 24, 5.0, 270, snr=0.25, offset=3, seed=seed + 1000)
        return _with_junk(_joined(a, b), 60, seed)
    if name == "picked30":
        return _picked(beta_galactosidase(maps), 30, 30, snr=0.05, seed=seed)
    if name == "picked24":
        return _picked(beta_galactosidase(maps), 24, 30, snr=0.1, seed=seed)
    raise ValueError(f"set {name!r} is unknown; choose one of {', '.join(SETS)}")


SETS = ("betagal", "ribosome", "hard", "mixture", "picked30", "picked24")


def _set(
    volume: Volume, n: int, views: int, classes: int, pixel: float, diameter: float,
    *, snr: float, offset: float, seed: int,
) -> TrueParticles:  # fmt: skip
    p = simulate_particles(
        n, BOX, pixel, density=volume, classes=views, snr=snr, max_offset_px=offset, seed=seed
    )
    assert p.ctf_rows is not None
    return TrueParticles(
        p.images, p.ctf_rows, p.class_index, p.angles_deg[:, 2], p.offsets_px, pixel, diameter, classes
    )


def _picked(volume: Volume, views: int, classes: int, *, snr: float, seed: int) -> TrueParticles:
    """The best 140 LoG picks of each of six micrographs of 140 particles; false ones are junk."""
    rng = np.random.default_rng(seed)
    directions = random_orientations(views, rng)
    images, rows, view, psi, offset = [], [], [], [], []
    for micrograph in range(6):
        which = rng.integers(views, size=140)
        angles = directions[which]
        angles[:, 2] = rng.uniform(-180, 180, len(which))
        m = simulate_micrograph(
            density=volume,
            particles=len(which),
            angles_deg=angles,
            snr=snr,
            seed=(seed, micrograph),
            threads=2,
        )
        picks = pick_log(m.image, 0.885, min_diameter=150, max_diameter=180)
        best = np.argsort(-picks.fom, kind="stable")[: len(which)]
        cut = extract_particles(
            m.image, picks.x[best], picks.y[best], pixel_size_angstrom=0.885, box_size=256, rescale=64,
            background_diameter=200 / 0.885, edge="drop",
        )  # fmt: skip
        centre = np.trunc(np.stack([picks.x, picks.y], axis=1)[best][cut.kept])
        distance, nearest = KDTree(np.stack([m.x, m.y], axis=1)).query(centre)
        images.append(cut.images)
        rows.append(np.tile(m.ctf_row, (len(centre), 1)))
        view.append(np.where(distance < 50 / 0.885, which[nearest], -1))
        psi.append(angles[nearest, 2])
        offset.append((centre - np.stack([m.x, m.y], axis=1)[nearest]) / 4)
    everything = (np.concatenate(parts) for parts in (images, rows, view, psi, offset))
    return TrueParticles(*everything, pixel_size=3.54, mask_diameter=200, classes=classes)


def _joined(a: TrueParticles, b: TrueParticles) -> TrueParticles:
    both = {name: np.concatenate([getattr(a, name), getattr(b, name)])
            for name in ("images", "rows", "psi_deg", "offset_px")}  # fmt: skip
    view = np.concatenate([a.view, b.view + a.view.max() + 1])
    return TrueParticles(**both, view=view, pixel_size=a.pixel_size, mask_diameter=a.mask_diameter,
                         classes=a.classes)  # fmt: skip


def _with_junk(p: TrueParticles, n: int, seed: int) -> TrueParticles:
    """Replace n particles by false picks: a third empty, the others on bright contaminations of any size."""
    rng = np.random.default_rng(seed + 77)
    chosen = rng.choice(len(p.images), n, replace=False)
    empty = simulate_particles(n, BOX, p.pixel_size, snr=1e-6, seed=seed + 78).images
    y, x = np.mgrid[:BOX, :BOX]
    for i, image in zip(chosen, empty, strict=True):
        if rng.random() > 1 / 3:
            centre, width = rng.uniform(8, BOX - 8, 2), rng.uniform(2, 7)
            image += (
                6 * rng.random() * np.exp(-(np.hypot(x - centre[0], y - centre[1]) ** 2) / (2 * width**2))
            )
        p.images[i] = image
    p.view[chosen] = -1
    return p


@dataclass(frozen=True)
class Found:
    """What a classification found of the truth."""

    purity: float
    mutual_information: float
    effective_classes: float
    populated: float
    psi_error_deg: float
    offset_error_px: float

    def __str__(self) -> str:
        return (
            f"purity {self.purity:.3f}  NMI {self.mutual_information:.3f}  "
            f"effective classes {self.effective_classes:5.1f}  populated {self.populated:3.0f}  "
            f"psi {self.psi_error_deg:5.1f} deg  offset {self.offset_error_px:.2f} px"
        )


def agreement(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Purity, and mutual information normalised by the mean of the two entropies, of labels from 0."""
    joint = _contingency(found, truth) / len(found)
    a, b = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    return float(joint.max(axis=1).sum()), 2 * (a + b - _entropy(joint.ravel())) / (a + b)


def _contingency(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    table = np.zeros((found.max() + 1, truth.max() + 1))
    np.add.at(table, (found, truth), 1)
    return table


def compare(p: TrueParticles, found: np.ndarray, psi_deg: np.ndarray, offset_px: np.ndarray) -> Found:
    """Score assignments. Junk counts as one more view.

    Errors of angles and offsets are medians over the particles of each class's main view, after the turn and
    the shift that are free in every class have been fitted.
    """
    _, view = np.unique(p.view, return_inverse=True)
    _, label = np.unique(found, return_inverse=True)
    table = _contingency(label, view)
    purity, information = agreement(label, view)
    turns, moves = [], []
    for k, main in enumerate(table.argmax(axis=1)):
        mine = np.flatnonzero((label == k) & (view == main) & (p.view >= 0))
        if len(mine) > 2:
            turn, move = _errors(p, mine, psi_deg[mine], offset_px[mine])
            turns.append(turn)
            moves.append(move)
    return Found(
        purity,
        information,
        float(np.exp(_entropy(table.sum(axis=1) / table.sum()))),
        float(len(table)),
        float(np.median(np.concatenate(turns))) if turns else np.nan,
        float(np.median(np.concatenate(moves))) if moves else np.nan,
    )


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _errors(
    p: TrueParticles, mine: np.ndarray, psi: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    difference = np.deg2rad(psi - p.psi_deg[mine])
    # The free turn: the member around which the median residual is smallest.
    residual = np.abs(np.angle(np.exp(1j * (difference[:, None] - difference[None]))))
    turn = residual[:, np.median(residual, axis=0).argmin()]
    # The free shift lies in the frame of the class, turned by each particle's angle.
    move = ((offset - p.offset_px[mine]) @ [1, 1j]) * np.exp(1j * np.deg2rad(psi))
    return np.rad2deg(turn), np.abs(move - (np.median(move.real) + 1j * np.median(move.imag)))
