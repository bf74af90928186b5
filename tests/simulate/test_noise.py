import numpy as np
import pytest

from boxwood.imaging.fourier import inverse
from boxwood.imaging.spectrum import power_spectrum, shell_index
from boxwood.simulate.noise import noise_amplitude, white_spectrum


@pytest.mark.parametrize("shape", [(16, 16), (15, 15), (16, 15), (15, 16)])
def test_white_spectrum_is_that_of_white_noise(shape):
    n = 4000
    noise = inverse(white_spectrum((n, *shape), np.random.default_rng(0)), shape)
    # every pixel has unit variance, and neighbours are uncorrelated, to the accuracy of n samples
    assert (np.abs((noise**2).mean(axis=0) - 1) < 6 * np.sqrt(2 / n)).all()
    for neighbour in (np.roll(noise, 1, 1), np.roll(noise, 1, 2), np.roll(noise, (1, -1), (1, 2))):
        assert (np.abs((noise * neighbour).mean(axis=0)) < 6 / np.sqrt(n)).all()
    assert (np.abs(noise.mean(axis=0)) < 6 / np.sqrt(n)).all()


@pytest.mark.parametrize("shape", [(64, 64), (63, 65), (20, 31)])
def test_amplitude_keeps_the_variance(shape):
    amplitude = noise_amplitude(shape, 2.0).astype(np.float64)
    delta = np.zeros(shape)
    delta[0, 0] = 1
    # a flat spectrum filtered: by Parseval the sum of squares is the mean of the filter's power
    filtered = np.fft.irfft2(np.fft.rfft2(delta) * amplitude, s=shape)
    assert (filtered**2).sum() == pytest.approx(1, rel=1e-5)


def test_noise_has_the_asked_spectrum():
    box, pixel, n = 64, 3.54, 300
    amplitude = noise_amplitude((box, box), pixel, coloured=3.6)
    rng = np.random.default_rng(1)
    noise = inverse(white_spectrum((n, box, box), rng) * amplitude, (box, box))
    power = power_spectrum(noise).mean(axis=0)
    f = np.arange(box // 2 + 1) / (box * pixel)
    expected = 1 + 3.6 * np.exp(-((f / 0.05) ** 2))
    spread = np.sqrt(2 / (n * np.bincount(shell_index(box).ravel())[: box // 2 + 1]))
    # shells average the falling curve over one unit of radius, which changes it by less than 1 %
    ratio = (power / power[-1]) / (expected / expected[-1])
    assert (np.abs(ratio - 1) < 0.01 + 6 * spread).all()
