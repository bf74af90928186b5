"""The model of a 2D classification: what an iteration starts from and what it leaves."""

from dataclasses import dataclass

import numpy as np

from boxwood.imaging.spectrum import last_ring_reaching
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class Shells:
    """What of a model RELION's own arithmetic needs besides, on shells 0 to box / 2.

    Transforms are divided by the number of pixels here, and spectra are variances of the real part alone.

    Attributes
    ----------
    noise : (groups, box / 2 + 1) float64
        rlnSigma2Noise.
    tau2, ssnr : (k, box / 2 + 1) float64
        rlnReferenceTau2, the power of the references that the averages replaced, and rlnSsnrMap.
    prior_offset_angstrom : (k, 2) float64
        rlnClassPriorOffsetX and Y.
    perturbation : float
        rlnSamplingPerturbInstance, the part of a coarse step by which the grids were moved.
    """

    noise: AnyArray
    tau2: AnyArray
    ssnr: AnyArray
    prior_offset_angstrom: AnyArray
    perturbation: float


@dataclass(frozen=True)
class Model:
    """References, their shares and the noise. Transforms are unscaled sums over pixels.

    Attributes
    ----------
    references : (k, box, box) float32
        Class averages in the grey scale of the images, masked.
    shares : (k,) float64
        Posterior mass of each class, summing to 1.
    sigma2 : (groups, rings) float64
        Power of the noise, mean |F|^2, on each ring.
    tau2 : (k, rings) float64
        Power of the signal prior on each ring.
    ssnr : (k, rings) float64
        Spectral signal-to-noise ratio of each class average.
    sigma_offset_px : float
        Standard deviation of the offsets along one axis.
    limit : int
        Last ring used in full by the next expectation.
    norm : (n,) float64
        Residual amplitude of each particle (norm correction), and `mean_norm` their mean.
    scale : (micrographs,) float64
        Grey-scale factor of each micrograph.
    shells : Shells or None
        Of an iteration by RELION's arithmetic.
    """

    references: AnyArray
    shares: AnyArray
    sigma2: AnyArray
    tau2: AnyArray
    ssnr: AnyArray
    sigma_offset_px: float
    limit: int
    norm: AnyArray
    mean_norm: float
    scale: AnyArray
    refilled: int = 0
    shells: Shells | None = None

    @property
    def effective_classes(self) -> float:
        """Exponential of the entropy of the shares."""
        p = self.shares[self.shares > 0]
        return float(np.exp(-(p * np.log(p)).sum()))

    @property
    def resolution_rings(self) -> AnyArray:
        """(k,) last ring before the signal-to-noise ratio of the class falls below 1."""
        return last_ring_reaching(self.ssnr, 1.0)
