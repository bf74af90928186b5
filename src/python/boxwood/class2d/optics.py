"""Optics groups: where on the polar grid of the model the images of each group are sampled, and how.

Equations: docs/class2d.md, "Several optics groups".
"""

from dataclasses import dataclass, field

import numpy as np

from boxwood.backends import Backend
from boxwood.errors import InputError
from boxwood.imaging.aberrations import beam_tilt_phase, zernike_phase
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray

# A detector hands on something at every frequency; less is a fault of its table, not to be divided by.
_SMALLEST_MTF = 0.01


@dataclass(frozen=True)
class OpticsGroup:
    """What the images of one optics group have in common.

    Attributes
    ----------
    box_px : int
    pixel_size_angstrom : float
    magnification : (2, 2) float64
        rlnMagMat: an image's frequency k shows the particle's frequency M k.
    beam_tilt_mrad : (float, float)
        x, y; with `voltage_kv` and `cs_mm` it makes coma.
    odd_zernike, even_zernike : tuple of float
        Radian, see `boxwood.imaging.aberrations.zernike_phase`.
    mtf : (m, 2) float64, optional
        Frequency in 1/Angstrom, increasing, and the detector's modulation transfer there.
    """

    box_px: int
    pixel_size_angstrom: float
    magnification: AnyArray = field(default_factory=lambda: np.eye(2))
    beam_tilt_mrad: tuple[float, float] = (0.0, 0.0)
    voltage_kv: float = 300.0
    cs_mm: float = 0.0
    odd_zernike: tuple[float, ...] = ()
    even_zernike: tuple[float, ...] = ()
    mtf: AnyArray | None = None

    def __post_init__(self) -> None:
        if not (self.box_px >= 8 and self.pixel_size_angstrom > 0):
            raise InputError(
                f"an optics group has images of {self.box_px} px at {self.pixel_size_angstrom} Å/px; "
                "both must be sizes, and a box at least 8 px"
            )
        if not 0.5 < np.linalg.det(self.magnification) < 2:
            raise InputError(
                f"the magnification matrix {np.asarray(self.magnification).tolist()} is none; it should be "
                "near to the identity"
            )

    @property
    def size_angstrom(self) -> float:
        """Edge of the box."""
        return self.box_px * self.pixel_size_angstrom


class SampledOptics:
    """An optics group on the polar grid of a model, which may have another pixel and box size.

    Rings that the images do not reach have transforms and CTFs of zero there, hence no weight.

    Parameters
    ----------
    group, model : OpticsGroup
    grid : PolarGrid
        Of the model.
    mask_radius_angstrom, mask_edge_angstrom : float
        The mask ends within the group's own box.
    """

    def __init__(
        self,
        group: OpticsGroup,
        model: OpticsGroup,
        grid: PolarGrid,
        mask_radius_angstrom: float,
        mask_edge_angstrom: float,
    ) -> None:
        box, pixel = group.box_px, group.pixel_size_angstrom
        edge = mask_edge_angstrom / pixel
        radius = min(mask_radius_angstrom / pixel, box / 2 - edge)
        self.group, self._grid = group, grid
        self.mask = soft_circle((box, box), radius, edge).astype(np.float32)
        self.frequencies = (grid.positions / model.size_angstrom).astype(np.float32)
        matrix = np.asarray(group.magnification, dtype=np.float64)
        # f = M k, hence f . t = k . (M^T t): what offsets of the model are in this group's pixels.
        self._to_image = matrix * (model.pixel_size_angstrom / pixel)
        own = (
            grid.positions.astype(np.float64)
            @ np.linalg.inv(matrix).T
            * (group.size_angstrom / model.size_angstrom)
        )
        radii = np.maximum.reduceat(np.hypot(*own.T), grid.sample_start[:-1])
        self.inside = np.repeat(np.cumprod(radii < box / 2).astype(bool), grid.ring_samples // 2)
        # Transforms of real images are sampled on a half plane; the conjugate is at the opposite frequency.
        self._conjugate = own[:, 1] < 0
        half = np.where(self._conjugate[:, None], -own, own)
        self.positions = np.where(self.inside[:, None], half, 0.0).astype(np.float32)
        self._factor = self._image_factor(own / group.size_angstrom, pixel / model.pixel_size_angstrom)

    def _image_factor(self, image_frequencies: AnyArray, grey: float) -> AnyArray | None:
        """What transforms are multiplied by: grey scale, odd phases undone, MTF divided out; None is 1."""
        g = self.group
        phase = zernike_phase(g.odd_zernike, self.frequencies, odd=True)
        phase += beam_tilt_phase(g.beam_tilt_mrad, g.voltage_kv, g.cs_mm, self.frequencies)
        factor = np.where(self.inside, grey * np.exp(-1j * phase), 0.0)
        if g.mtf is not None:
            factor /= np.maximum(np.interp(np.hypot(*image_frequencies.T), *g.mtf.T), _SMALLEST_MTF)
        return None if (factor == 1.0).all() else factor.astype(np.complex64)

    @property
    def corrected(self) -> bool:
        """Whether transforms and CTFs are not simply those of the images."""
        special = bool((self.group.magnification != np.eye(2)).any()) or any(self.group.even_zernike)
        return special or self._factor is not None

    def offsets_in_image(self, offset_px: AnyArray) -> AnyArray:
        """(n, 2) offsets in pixels of the model, as shifts in pixels of this group's images."""
        return offset_px @ self._to_image

    def transform(
        self,
        images: AnyArray,
        centres: AnyArray,
        backend: Backend,
        threads: int,
        mask: AnyArray | None = None,
    ) -> tuple[AnyArray, AnyArray]:
        """Polar samples of images (n, box, box) centred by (n, 2) model pixels, and their total power (n,).

        `mask` is another one than the group's, for images that are masked already.
        """
        wanted = self.offsets_in_image(centres)
        shifts = np.rint(wanted)
        transform, power = backend.polar_transform(
            images, shifts.astype(np.int32), self.mask if mask is None else mask, self.positions, threads
        )
        rest = wanted - shifts
        if rest.any():
            phase = (rest / self.group.box_px) @ self.positions.T.astype(np.float64)
            transform = (transform * np.exp(-2j * np.pi * phase)).astype(np.complex64)
        if self._conjugate.any():
            transform[:, self._conjugate] = transform[:, self._conjugate].conj()
        if self._factor is not None:
            transform *= self._factor
        return transform, power

    def ctf(
        self,
        rows: AnyArray | None,
        n: int,
        psi_deg: AnyArray | None,
        mode: int,
        backend: Backend,
        threads: int,
    ) -> AnyArray:
        """(n, samples) float32 from CTF rows (n, 9), or ones; zero on rings that are not reached.

        With `psi_deg` (n,), of images that were turned into the frame of the reference.
        """
        if psi_deg is None or rows is None:
            return self._ctf_at(self.frequencies, rows, n, mode, backend, threads)
        c, s = np.cos(np.deg2rad(psi_deg)), np.sin(np.deg2rad(psi_deg))
        out = np.empty((n, len(self.frequencies)), dtype=np.float32)
        for i, back in enumerate(np.stack([c, -s, s, c], axis=1).reshape(n, 2, 2)):
            turned = (self.frequencies @ back).astype(np.float32)
            out[i] = self._ctf_at(turned, rows[i : i + 1], 1, mode, backend, threads)[0]
        return out

    def _ctf_at(
        self,
        frequencies: AnyArray,
        rows: AnyArray | None,
        n: int,
        mode: int,
        backend: Backend,
        threads: int,
    ) -> AnyArray:
        if rows is None:
            ctf = np.ones((n, len(frequencies)), dtype=np.float32)
        elif any(self.group.even_zernike):
            ctf = self._with_even(frequencies, rows, mode, backend, threads)
        else:
            ctf = np.asarray(backend.ctf(rows, frequencies, mode, threads), dtype=np.float32)
        if not self.inside.all():
            ctf[:, ~self.inside] = 0.0
        return ctf

    def _with_even(
        self, frequencies: AnyArray, rows: AnyArray, mode: int, backend: Backend, threads: int
    ) -> AnyArray:
        """-sin(gamma + E) = cos E (-sin gamma) + sin E (-cos gamma); the latter is a phase plate's CTF."""
        if mode & 2:
            raise InputError(
                "even Zernike aberrations change the CTF before its first peak, too; leave out one of "
                "rlnEvenZernike and ctf_intact_first_peak"
            )
        even = zernike_phase(self.group.even_zernike, frequencies, odd=False)
        quarter = rows - np.array([0, 0, 0, 90, 0, 0, 0, 0, 0])
        sine = backend.ctf(rows, frequencies, 0, threads)
        cosine = backend.ctf(quarter, frequencies, 0, threads)
        ctf = (np.cos(even) * sine + np.sin(even) * cosine).astype(np.float32)
        return np.abs(ctf) if mode & 1 else ctf
