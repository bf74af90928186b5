"""What a classification needs to know of the particles in a STAR file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxwood.errors import InputError
from boxwood.io.class2d_data import scale_groups, sorted_by_micrograph
from boxwood.io.particles import ctf_rows
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.io.particle_images import ParticleImages
    from boxwood.io.particles import ParticleSet


class ParticleSource:
    """Images of a `ParticleSet` for `classify2d`: what cannot be read is nan, and is named at the end."""

    def __init__(self, images: ParticleImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: AnyArray) -> AnyArray:
        """(len(indices), box, box) float32."""
        readable = self.images.usable[indices]
        if readable.all():
            return self.images.read(indices)
        box = self.images.box
        out = np.full((len(indices), box, box), np.nan, dtype=np.float32)
        out[readable] = self.images.read(indices[readable])
        return out


@dataclass(frozen=True)
class ParticleData:
    """Particles in the order of the classification, and what it is told about each.

    Attributes
    ----------
    particles : ParticleSet
        Sorted by micrograph, as RELION does.
    root : Path
        Folder that image names start from.
    pixel_size_angstrom : float
    ctf_rows : (n, 9) float64, or None if there is no correction
    ctf_mode : int
    group_names : (g,) str
    scale_group, noise_group, optics_group : (n,) int64
        From 0.
    """

    particles: ParticleSet
    root: Path
    pixel_size_angstrom: float
    ctf_rows: AnyArray | None
    ctf_mode: int
    group_names: AnyArray
    scale_group: AnyArray
    noise_group: AnyArray
    optics_group: AnyArray

    @property
    def counts(self) -> AnyArray:
        """(g,) particles of each scale group."""
        return np.bincount(self.scale_group, minlength=len(self.group_names))

    def source(self) -> ParticleSource:
        """Open the stacks.

        Raises
        ------
        InputError
            No image can be read, or they have another size than the STAR file says.
        """
        images = self.particles.images(self.root)
        if not images.usable.any():
            name, reason = next(iter(images.bad.items()), ("", "there are no rows"))
            raise InputError(f"no particle of {self.particles.source} can be read; {name}: {reason}")
        optics = self.particles.optics
        if "rlnImageSize" in optics:
            used = optics["rlnOpticsGroup"].isin(self.particles.table["rlnOpticsGroup"].unique())
            said = int(optics.loc[used, "rlnImageSize"].iloc[0])
            if said != images.box:
                raise InputError(
                    f"{self.particles.source} says that images have {said} px (_rlnImageSize), and the "
                    f"stacks have {images.box} px; extract the particles again"
                )
        return ParticleSource(images)

    def saved_noise_group(self, dialect: str) -> AnyArray:
        """(n,) group whose spectrum a model.star holds: micrograph in RELION 3, optics group from 4."""
        return self.scale_group if dialect == "3.1" else self.optics_group


def prepare(
    particles: ParticleSet,
    *,
    ctf: bool,
    ctf_phase_flipped: bool,
    ctf_intact_first_peak: bool,
    noise_groups: str,
    root: Path | None = None,
) -> ParticleData:
    """Sort the particles and collect what the classification needs.

    Raises
    ------
    InputError
        There are no particles, their optics groups differ in pixel or box size, or CTF columns are missing.
    """
    if len(particles) == 0:
        raise InputError(f"{particles.source} has no particles; give a file that has some")
    _check_optics(particles, ctf)
    root = particles.root() if root is None else root
    particles = replace(particles, table=sorted_by_micrograph(particles.table))
    names, scale = scale_groups(particles.table)
    _, optics = np.unique(particles.table["rlnOpticsGroup"].to_numpy(), return_inverse=True)
    optics = optics.astype(np.int64)
    return ParticleData(
        particles=particles,
        root=root,
        pixel_size_angstrom=float(particles.pixel_sizes()[0]),
        ctf_rows=ctf_rows(particles) if ctf else None,
        ctf_mode=int(ctf_phase_flipped) + 2 * int(ctf_intact_first_peak),
        group_names=names,
        scale_group=scale,
        noise_group=scale if noise_groups == "micrograph" else optics,
        optics_group=optics,
    )


def _check_optics(particles: ParticleSet, ctf: bool) -> None:
    sizes = particles.pixel_size_of_groups()
    if max(sizes.values()) - min(sizes.values()) > 1e-4 * max(sizes.values()):
        listed = ", ".join(f"{size:g} Å/px in group {group}" for group, size in sizes.items())
        raise InputError(
            f"{particles.source} has optics groups of different pixel sizes ({listed}), which cannot be "
            "classified together yet; extract all particles with one pixel size"
        )
    optics = particles.optics
    used = optics["rlnOpticsGroup"].isin(particles.table["rlnOpticsGroup"].unique())
    if "rlnImageSize" in optics and optics.loc[used, "rlnImageSize"].nunique() > 1:
        raise InputError(
            f"{particles.source} has optics groups of different box sizes, which cannot be classified "
            "together yet; extract all particles with one box size"
        )
    if ctf and "rlnCtfDataAreCtfPremultiplied" in optics and optics["rlnCtfDataAreCtfPremultiplied"].any():
        raise InputError(
            f"{particles.source} has images that are multiplied by their CTF already, which cannot be "
            "classified yet; extract them without that"
        )
