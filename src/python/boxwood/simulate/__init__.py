"""Particles and micrographs whose truth is known."""

from boxwood.simulate.gaussians import GaussianPhantom, apoferritin, beta_galactosidase
from boxwood.simulate.micrographs import SimulatedMicrograph, simulate_micrograph
from boxwood.simulate.particles import SimulatedParticles, ctf_rows, simulate_particles
from boxwood.simulate.source import SimulatedSource
from boxwood.simulate.volume import Volume

__all__ = [
    "GaussianPhantom",
    "SimulatedMicrograph",
    "SimulatedParticles",
    "SimulatedSource",
    "Volume",
    "apoferritin",
    "beta_galactosidase",
    "ctf_rows",
    "simulate_micrograph",
    "simulate_particles",
]
