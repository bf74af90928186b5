"""The polar grid of Class2D: rings in Fourier space, their samples and their angular harmonics.

Definition, accuracy and reasons: docs/class2d.md, "The polar grid".
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from boxwood.errors import InputError
from boxwood.typing import AnyArray

# Samples a ring may carry beyond the bandwidth of (reference x shifted image): none is needed, see docs.
_MARGIN = 3


def good_length(n: float, multiple_of: int = 1) -> int:
    """Smallest `multiple_of` times 2^a 3^b 5^c that is at least `n`."""
    count = max(1, int(np.ceil(n / multiple_of)))
    while True:
        rest = count
        for p in (2, 3, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1:
            return count * multiple_of
        count += 1


@dataclass(frozen=True)
class PolarGrid:
    """Rings of radius 1, 2, ..., in cycles per box, for real images with compact support.

    Attributes
    ----------
    box : int
        Image size in pixels.
    support_radius : float
        Radius in pixels outside which masked images and references vanish (half amplitude of a soft mask).
    largest_offset : float
        Largest shift in pixels that is applied to an image as a phase on this grid.
    rings : int
        Number of rings; ring i has radius i + 1.
    """

    box: int
    support_radius: float
    largest_offset: float
    rings: int

    def __post_init__(self) -> None:
        if not 1 <= self.rings < self.box / 2:
            raise InputError(
                f"{self.rings} rings do not fit a box of {self.box} px; choose 1 to {(self.box - 1) // 2}"
            )

    @cached_property
    def ring_samples(self) -> AnyArray:
        """(rings,) int32: samples of each full circle, multiples of 4; half of them are stored."""
        r = 2 * np.pi * np.arange(1, self.rings + 1)
        wanted = r * (2 * self.support_radius + self.largest_offset) / self.box + _MARGIN
        samples = [
            good_length(max(n, 2 * m + 2), 4) for n, m in zip(wanted, self.ring_harmonics, strict=True)
        ]
        return np.array(samples, dtype=np.int32)

    @cached_property
    def ring_harmonics(self) -> AnyArray:
        """(rings,) int32: largest angular harmonic of each ring."""
        r = 2 * np.pi * np.arange(1, self.rings + 1)
        return np.ceil(r * self.support_radius / self.box + _MARGIN).astype(np.int32)

    @cached_property
    def sample_start(self) -> AnyArray:
        """(rings + 1,) first stored sample of each ring."""
        return np.concatenate([[0], np.cumsum(self.ring_samples // 2)])

    @cached_property
    def positions(self) -> AnyArray:
        """(samples, 2) float32: x and y of the stored half-circle samples in cycles per box."""
        parts = []
        for i, n in enumerate(self.ring_samples):
            theta = 2 * np.pi * np.arange(n // 2) / n
            parts.append((i + 1) * np.stack([np.cos(theta), np.sin(theta)], axis=1))
        return np.concatenate(parts).astype(np.float32)

    def samples(self, rings: int) -> int:
        """Stored samples of the first `rings` rings."""
        return int(self.sample_start[rings])

    def coefficients(self, rings: int) -> int:
        """Packed harmonics of the first `rings` rings."""
        return int(np.sum(self.ring_harmonics[:rings] + 1))

    def packed_order(self, rings: int) -> tuple[AnyArray, AnyArray]:
        """Ring and harmonic of every packed coefficient: harmonic outer, ring inner."""
        m = np.arange(self.ring_harmonics[rings - 1] + 1)
        harmonic, ring = np.nonzero(m[:, None] <= self.ring_harmonics[:rings])
        return ring, harmonic

    def shift_phases(self, shifts: AnyArray, samples: int) -> AnyArray:
        """(n, samples) complex128 that shift an image by (x, y) pixels, (n, 2), when multiplied in."""
        f = self.positions[:samples].astype(np.float64) / self.box
        return np.exp(-2j * np.pi * (shifts @ f.T))

    def full_circle(self, samples: AnyArray, ring: int) -> AnyArray:
        """(n, ring_samples) values on the whole of ring `ring`, from stored samples (n, samples)."""
        half = samples[:, self.sample_start[ring] : self.sample_start[ring + 1]]
        return np.concatenate([half, np.conj(half)], axis=1)

    def harmonics(self, samples: AnyArray, rings: int) -> AnyArray:
        """Angular harmonics of n transforms, packed: (n, coefficients) complex.

        For a real image the even harmonics are those of the real part and the odd ones i times those of
        the imaginary part; the factor i is left out, as it cancels in every product (docs/class2d.md).
        The real part has the period pi, the imaginary part after a turn of its phase, too: half a circle
        is all there is to transform.
        """
        out = np.empty((len(samples), self.coefficients(rings)), dtype=np.complex128)
        for r, places in enumerate(_packed_places(self, rings)):
            part = samples[:, self.sample_start[r] : self.sample_start[r + 1]]
            n = part.shape[1]
            even, odd = places[::2], places[1::2]
            out[:, even] = np.fft.rfft(part.real, axis=1)[:, : len(even)] / n
            out[:, odd] = np.fft.fft(part.imag * np.conj(_turn(n)), axis=1)[:, : len(odd)] / n
        return out

    def power_harmonics(self, samples: AnyArray, rings: int) -> AnyArray:
        """Harmonics 0, 2, 4 of |transform|^2 on every ring: (n, rings, 3) complex."""
        out = np.zeros((len(samples), rings, 3), dtype=np.complex128)
        for r in range(rings):
            part = samples[:, self.sample_start[r] : self.sample_start[r + 1]]
            spectrum = np.fft.rfft(part.real**2 + part.imag**2, axis=1)[:, :3] / part.shape[1]
            out[:, r, : spectrum.shape[1]] = spectrum
        return out

    def from_harmonics(self, packed: AnyArray, rings: int) -> AnyArray:
        """Half-circle samples (n, samples) from packed harmonics; the inverse of `harmonics`."""
        out = np.empty((len(packed), self.samples(rings)), dtype=np.complex128)
        for r, places in enumerate(_packed_places(self, rings)):
            part = out[:, self.sample_start[r] : self.sample_start[r + 1]]
            n = part.shape[1]
            part.real = np.fft.irfft(packed[:, places[::2]], n, axis=1) * n
            part.imag = (np.fft.ifft(packed[:, places[1::2]], n, axis=1) * _turn(n)).real * (2 * n)
        return out

    def low_harmonics_on_samples(self, low: AnyArray, rings: int) -> AnyArray:
        """Half-circle samples (n, samples), real, from harmonics 0, 2, 4 (n, rings, 3)."""
        out = np.zeros((len(low), self.samples(rings)))
        for r in range(rings):
            n = int(self.ring_samples[r])
            theta = 2 * np.pi * np.arange(n // 2) / n
            basis = np.exp(1j * np.outer([0, 2, 4], theta)) * np.array([[1], [2], [2]])
            out[:, self.sample_start[r] : self.sample_start[r + 1]] = (low[:, r] @ basis).real
        return out

    def ring_mean(self, samples: AnyArray, rings: int) -> AnyArray:
        """Mean over each ring of a real quantity with period pi: (n, samples) -> (n, rings)."""
        start = self.sample_start[:rings]
        sums = np.add.reduceat(samples[:, : self.samples(rings)], start, axis=1)
        return sums / (self.ring_samples[:rings] // 2)


def cutoff(rings: int, limit: int) -> AnyArray:
    """Soft edge of the resolution limit on rings 1..rings: 1 up to limit - 1, 0 from limit + 2 on."""
    r = np.arange(1, rings + 1)
    return 0.5 - 0.5 * np.sin(np.pi * np.clip((r - limit - 0.5) / 3, -0.5, 0.5))


@cache
def _packed_places(grid: PolarGrid, rings: int) -> list[AnyArray]:
    """Of every ring, where its harmonics 0, 1, ... stand in the packed order."""
    ring, _ = grid.packed_order(rings)
    return [np.flatnonzero(ring == r) for r in range(rings)]


@cache
def _turn(n: int) -> AnyArray:
    """(n,) exp(i theta) on the n samples of half a circle."""
    return np.exp(1j * np.pi * np.arange(n) / n)
