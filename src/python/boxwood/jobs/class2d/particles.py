"""What a classification needs to know of the particles in a STAR file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxwood.errors import BoxwoodError, InputError
from boxwood.io.class2d_data import scale_groups, sorted_by_micrograph
from boxwood.io.particles import ctf_rows
from boxwood.jobs.class2d.optics import groups_in_use, magnifications, optics_groups, relion_grey
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.class2d import OpticsGroup
    from boxwood.io.particle_images import ParticleImages
    from boxwood.io.particles import ParticleSet


class ParticleSource:
    """Images of a `ParticleSet` for `classify2d`: what cannot be read is nan, and named in `images.bad`."""

    def __init__(self, images: ParticleImages) -> None:
        self.images = images
        self._reasons: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: AnyArray) -> AnyArray:
        """(len(indices), box, box) float32, of particles whose images have one size."""
        try:
            return self._readable(indices)
        except (BoxwoodError, OSError):  # a file changed or went away since it was opened
            self._find_unreadable(indices)
            return self._readable(indices)

    def reason(self, index: int) -> str:
        """Why an image could not be read when that was tried, or nothing."""
        return self._reasons.get(index, "")

    def give_up(self, index: int, reason: str) -> None:
        """Read an image no more."""
        self._reasons[index] = reason
        self.images.give_up(index, reason)

    def to_send(self, indices: AnyArray) -> ParticleSource:
        """The source of some of the images, for another process."""
        return ParticleSource(self.images.select(indices))

    def _readable(self, indices: AnyArray) -> AnyArray:
        readable = self.images.usable[indices]
        if readable.all():
            return self.images.read(indices)
        box = self.images.boxes[indices[0]]
        out = np.full((len(indices), box, box), np.nan, dtype=np.float32)
        out[readable] = self.images.read(indices[readable])
        return out

    def _find_unreadable(self, indices: AnyArray) -> None:
        for index in indices[self.images.usable[indices]]:
            try:
                self.images.read([index])
            except (BoxwoodError, OSError) as error:
                self.give_up(int(index), str(error))


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
        Of the class averages: that of the first optics group.
    ctf_rows : (n, 9) float64, or None if there is no correction
    ctf_mode : int
    group_names : (g,) str
    scale_group, noise_group, optics_group : (n,) int64
        From 0; optics groups in the order of their table.
    magnification : (groups, 2, 2) float64
    relion_grey : (groups,) float64
        See `boxwood.jobs.class2d.optics.relion_grey`.
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
    magnification: AnyArray
    relion_grey: AnyArray

    @property
    def magnification_of_rows(self) -> AnyArray:
        """(n, 2, 2)"""
        return self.magnification[self.optics_group]

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
        images = self.particles.images(self.root, self.optics_group)
        if not images.usable.any():
            name, reason = next(iter(images.bad.items()), ("", "there are no rows"))
            raise InputError(f"no particle of {self.particles.source} can be read; {name}: {reason}")
        optics, _ = groups_in_use(self.particles)
        said = np.full(len(images), images.box)
        if "rlnImageSize" in optics:
            said = optics["rlnImageSize"].to_numpy(np.int64)[self.optics_group]
            wrong = np.flatnonzero(images.usable & (said != images.boxes))
            if len(wrong):
                raise InputError(
                    f"{self.particles.source} says that images have {said[wrong[0]]} px (_rlnImageSize), and "
                    f"the stacks have {images.boxes[wrong[0]]} px; extract the particles again"
                )
        unknown = images.boxes == 0  # none of the stacks of these optics groups can be read
        images.boxes[unknown] = said[unknown]
        return ParticleSource(images)

    def pixel_size_of_files(self, source: ParticleSource) -> dict[Path, float]:
        """Pixel size of each stack in Angstrom, by the STAR file."""
        files, rows = np.unique(source.images.file_of_row, return_index=True)
        sizes = self.particles.pixel_sizes()[rows]
        return {source.images.files[file]: float(size) for file, size in zip(files, sizes, strict=True)}

    def optics(self, source: ParticleSource, warn: Callable[[str], None]) -> list[OpticsGroup]:
        """What the images of each optics group share; `warn` is told what cannot be corrected for."""
        first = np.unique(self.optics_group, return_index=True)[1]
        boxes = source.images.boxes[first]
        ctf = self.ctf_rows is not None
        return optics_groups(self.particles, boxes, self.root, ctf=ctf, warn=warn)

    @property
    def half_sets(self) -> AnyArray | None:
        """(n,) 0 or 1 where rlnRandomSubset says which half a particle is in, else None."""
        subset = self.particles.table.get("rlnRandomSubset")
        return None if subset is None or set(subset) != {1, 2} else subset.to_numpy(np.int64) - 1

    def relion_grey_of(self, group: AnyArray) -> AnyArray:
        """(g,) of noise or scale groups (n,), each of which lies within an optics group."""
        out = np.ones(int(group.max()) + 1)
        out[group] = self.relion_grey[self.optics_group]
        return out

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
        There are no particles, or CTF columns are missing.
    """
    if len(particles) == 0:
        raise InputError(f"{particles.source} has no particles; give a file that has some")
    _check_optics(particles, ctf)
    root = particles.root() if root is None else root
    particles = replace(particles, table=sorted_by_micrograph(particles.table))
    names, scale = scale_groups(particles.table)
    table, optics = groups_in_use(particles)
    pixel_sizes = particles.pixel_size_of_groups()
    sizes = np.array([pixel_sizes[int(group)] for group in table["rlnOpticsGroup"]])
    return ParticleData(
        particles=particles,
        root=root,
        pixel_size_angstrom=float(sizes[0]),
        ctf_rows=ctf_rows(particles, complete=False) if ctf else None,
        ctf_mode=int(ctf_phase_flipped) + 2 * int(ctf_intact_first_peak),
        group_names=names,
        scale_group=scale,
        noise_group=scale if noise_groups == "micrograph" else optics,
        optics_group=optics,
        magnification=magnifications(table),
        relion_grey=relion_grey(table, sizes),
    )


def _check_optics(particles: ParticleSet, ctf: bool) -> None:
    optics = particles.optics
    if ctf and "rlnCtfDataAreCtfPremultiplied" in optics and optics["rlnCtfDataAreCtfPremultiplied"].any():
        raise InputError(
            f"{particles.source} has images that are multiplied by their CTF already, which cannot be "
            "classified yet; extract them without that"
        )
