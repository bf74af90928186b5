import numpy as np

from boxwood.simulate.rotations import random_orientations, rotation_matrices

EPS = np.finfo(float).eps


def test_matrices_are_rotations():
    matrices = rotation_matrices(random_orientations(50, np.random.default_rng(0)))
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=10 * EPS
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=10 * EPS)


def test_a_positive_psi_turns_the_x_axis_towards_minus_y():
    np.testing.assert_allclose(rotation_matrices([[0, 0, 90]])[0] @ [1, 0, 0], [0, -1, 0], atol=EPS)


def test_rot_and_tilt_say_which_way_the_particle_looks():
    rot, tilt = np.deg2rad([30.0, 40.0])
    towards = [np.cos(rot) * np.sin(tilt), np.sin(rot) * np.sin(tilt), np.cos(tilt)]
    matrix = rotation_matrices([[30, 40, 77]])[0]
    np.testing.assert_allclose(matrix @ towards, [0, 0, 1], atol=10 * EPS)


def test_orientations_are_uniform():
    n = 4000
    views = rotation_matrices(random_orientations(n, np.random.default_rng(1)))[:, 2]
    assert (np.abs(views.mean(axis=0)) < 5 * np.sqrt(1 / 3 / n)).all()
    # the variance of the square of a uniform coordinate of the sphere is 1/5 - 1/9
    assert (np.abs((views**2).mean(axis=0) - 1 / 3) < 5 * np.sqrt((1 / 5 - 1 / 9) / n)).all()
