import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwood.imaging.fourier import signed_frequencies
from boxwood.imaging.spectrum import power_spectrum, radial_average, shell_index


@given(st.integers(2, 17))
def test_radial_average_is_the_mean_of_each_shell(box):
    values = np.random.default_rng(box).random((2, box, box // 2 + 1))
    shells = [[[] for _ in range(box // 2 + 1)] for _ in values]
    for image, lists in zip(values, shells, strict=True):
        for row, fy in enumerate(signed_frequencies(box)):
            for fx in range(box // 2 + 1):
                shell = int(np.sqrt(fx**2 + fy**2) + 0.5)
                if shell <= box // 2:
                    lists[shell].append(image[row, fx])
    expected = [[np.mean(values) for values in lists] for lists in shells]
    np.testing.assert_allclose(radial_average(values), expected, rtol=box**2 * np.finfo(float).eps)


def test_a_wave_has_power_in_its_shell_only():
    x = np.arange(32)
    power = power_spectrum(np.broadcast_to(np.cos(2 * np.pi * 5 * x / 32), (32, 32)))
    in_shell = (shell_index(32) == 5).sum()
    assert np.argmax(power) == 5
    np.testing.assert_allclose(power[5], 0.25 / in_shell, rtol=1e-12)


def test_white_noise_has_power_one_over_n():
    noise = np.random.default_rng(1).standard_normal((200, 32, 32))
    mean = power_spectrum(noise).mean(axis=0) * 32**2
    per_shell = 200 * np.bincount(shell_index(32).ravel())[:17]
    assert (np.abs(mean - 1) < 5 * np.sqrt(2 / per_shell)).all()
