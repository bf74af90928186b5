"""Between an iteration of `boxwood.class2d` and RELION's units, signs and tables.

Transforms here are sums over pixels; RELION divides them by their number, so spectra of its files are ours
divided by 2 box^4, the 2 because RELION takes the variance of the real and of the imaginary part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from boxwood.imaging.spectrum import power_spectrum
from boxwood.io.class2d_data import SavedAssignments
from boxwood.io.class2d_model import UNKNOWN_ACCURACY, SavedGroups, SavedModel
from boxwood.io.class2d_posterior import SavedPosterior
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.class2d import Assignments, IterationResult, Model
    from boxwood.class2d.posterior import Posterior
    from boxwood.jobs.class2d.particles import ParticleData


def spectrum_unit(box: int) -> float:
    """A spectrum in RELION's unit, over the same in ours."""
    return 1.0 / (2.0 * box**4)


def log_density_unit(box: int) -> float:
    """RELION's log-likelihood of a particle minus ours.

    The transform divided by box^2 has box^4 times the probability density, for each of the pi r independent
    coefficients of every ring.
    """
    return float(np.pi * np.arange(1, box // 2).sum() * np.log(float(box) ** 4))


def to_shells(rings: AnyArray, box: int, *, beyond: bool) -> AnyArray:
    """(n, rings) values on rings 1, 2, ... to (n, box//2 + 1) shells 0, 1, ...

    Shell 0 is given what shell 1 has. Shells past the last ring get its value if `beyond`, else 0.
    """
    shells = np.zeros((len(rings), box // 2 + 1))
    last = rings.shape[1]
    shells[:, 1 : last + 1] = rings
    shells[:, 0] = rings[:, 0]
    if beyond:
        shells[:, last + 1 :] = rings[:, -1:]
    return shells


def to_relion_pose(
    psi_deg: AnyArray, offset_px: AnyArray, pixel_size_angstrom: float, magnification: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """rlnAnglePsi (n,) and rlnOriginX/YAngst (n, 2) of our angles and offsets.

    Signs agree: the origin is the shift that centres the particle, as is our offset, and positive angles turn
    the same way. The ranges differ, RELION's being -180 to 180, and its origins are in the image as it was
    recorded, ours in the particle's frame: `magnification` (n, 2, 2) lies between them.
    """
    origin = np.einsum("ni,nij->nj", offset_px * pixel_size_angstrom, magnification)
    return (psi_deg + 180.0) % 360.0 - 180.0, origin


def from_relion_pose(
    psi_deg: AnyArray, origin_angstrom: AnyArray, pixel_size_angstrom: float, magnification: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """The inverse of `to_relion_pose`; psi from 0 to 360."""
    offset = np.einsum("ni,nij->nj", origin_angstrom, np.linalg.inv(magnification))
    return psi_deg % 360.0, offset / pixel_size_angstrom


def saved_assignments(
    assignments: Assignments, norm: AnyArray, box: int, data: ParticleData
) -> SavedAssignments:
    """What data.star says of the particles; those without weight have class 0."""
    used = assignments.class_index >= 0
    psi, origin = to_relion_pose(
        assignments.psi_deg, assignments.offset_px, data.pixel_size_angstrom, data.magnification_of_rows
    )
    return SavedAssignments(
        class_number=assignments.class_index.astype(np.int64) + 1,
        psi_deg=psi,
        origin_angstrom=origin,
        norm=norm,
        log_likelihood=np.where(used, assignments.log_likelihood + log_density_unit(box), 0.0),
        largest_probability=assignments.largest,
        significant=np.rint(assignments.significant).astype(np.int64),
    )


def saved_posterior(posterior: Posterior, data: ParticleData) -> SavedPosterior:
    """The most probable poses, as data.star would have them."""
    n, top = posterior.weight.shape
    psi, origin = to_relion_pose(
        posterior.psi_deg.ravel(),
        posterior.offset_px.reshape(-1, 2),
        data.pixel_size_angstrom,
        np.repeat(data.magnification_of_rows, top, axis=0),
    )
    return SavedPosterior(
        class_number=posterior.class_index + 1,
        psi_deg=psi.reshape(n, top).astype(np.float32),
        origin_angstrom=origin.reshape(n, top, 2).astype(np.float32),
        weight=posterior.weight,
    )


def saved_model(
    result: IterationResult, data: ParticleData, regularisation: float, dialect: str
) -> SavedModel:
    """What model.star says of an iteration."""
    model, box = result.model, result.model.references.shape[1]
    unit, shells = spectrum_unit(box), result.model.shells
    ssnr = to_shells(model.ssnr, box, beyond=False) if shells is None else shells.ssnr
    if shells is not None:
        tau2 = shells.tau2
    elif result.iteration:
        tau2 = unit * to_shells(model.tau2, box, beyond=False) / regularisation
    else:
        tau2 = power_spectrum(model.references) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma2 = np.where(ssnr > 0, regularisation * tau2 / ssnr, 0.0)
    if shells is None:
        grey = data.relion_grey_of(data.noise_group)[:, None]
        noise = unit * to_shells(model.sigma2 * grey**2, box, beyond=True)
    else:
        noise = shells.noise
    noise = regroup_noise(noise, data.noise_group, data.saved_noise_group(dialect))
    measures, pixel = result.measures, result.pixel_size_angstrom
    likelihood = result.assignments.log_likelihood[result.assignments.class_index >= 0]
    return SavedModel(
        averages=model.references,
        shares=model.shares,
        resolution_angstrom=result.resolution_angstrom,
        accuracy_deg=np.nan_to_num(measures.rotation_deg, nan=UNKNOWN_ACCURACY),
        accuracy_angstrom=np.nan_to_num(measures.shift_px * pixel, nan=UNKNOWN_ACCURACY),
        ssnr=ssnr,
        tau2=tau2,
        sigma2=sigma2,
        noise=noise,
        noise_of_groups=dialect == "3.1",
        groups=SavedGroups(
            data.group_names, data.counts, model.scale * data.relion_grey_of(data.scale_group)
        ),
        prior_offset_angstrom=np.zeros((len(ssnr), 2)) if shells is None else shells.prior_offset_angstrom,
        pixel_size_angstrom=pixel,
        regularisation=regularisation,
        norm_average=model.mean_norm,
        sigma_offset_angstrom=model.sigma_offset_px * pixel,
        log_likelihood=float((likelihood + log_density_unit(box)).sum()),
        largest_probability=result.largest_probability,
        image_size=min(2 * model.limit, box),
    )


def regroup_noise(sigma2: AnyArray, group: AnyArray, wanted: AnyArray) -> AnyArray:
    """Spectra (groups, rings) of one grouping of the particles, averaged over those of another."""
    counts = np.zeros((int(wanted.max()) + 1, len(sigma2)))
    np.add.at(counts, (wanted, group), 1.0)
    return counts @ sigma2 / counts.sum(axis=1, keepdims=True)


def model_of(
    saved: SavedModel, assignments: SavedAssignments, data: ParticleData, perturbation: float = 0.0
) -> Model:
    """Start from what RELION's files say, to the six digits they have."""
    from boxwood.class2d import Model
    from boxwood.class2d.model import Shells

    box = saved.averages.shape[1]
    unit = spectrum_unit(box)
    rings = slice(1, box // 2)
    saved_as = data.saved_noise_group("3.1" if saved.noise_of_groups else "5")
    scale_of = dict(zip(saved.groups.names, saved.groups.scale, strict=True))
    scale = np.array([scale_of.get(name, 1.0) for name in data.group_names])
    noise = regroup_noise(saved.noise, saved_as, data.noise_group)
    return Model(
        references=saved.averages,
        shares=saved.shares / saved.shares.sum(),
        sigma2=noise[:, rings] / unit / data.relion_grey_of(data.noise_group)[:, None] ** 2,
        tau2=saved.tau2[:, rings] * saved.regularisation / unit,
        ssnr=saved.ssnr[:, rings],
        sigma_offset_px=saved.sigma_offset_angstrom / saved.pixel_size_angstrom,
        limit=saved.image_size // 2,
        norm=np.where(assignments.norm > 0, assignments.norm, saved.norm_average),
        mean_norm=saved.norm_average,
        scale=scale / data.relion_grey_of(data.scale_group),
        shells=Shells(noise, saved.tau2, saved.ssnr, saved.prior_offset_angstrom, perturbation),
    )


def result_of(
    saved: SavedModel,
    given: SavedAssignments,
    data: ParticleData,
    *,
    iteration: int,
    psi_step_deg: float,
    offset_range_px: float,
    offset_step_px: float,
    perturbation: float,
) -> IterationResult:
    """The iteration that RELION's files describe, to go on from."""
    from boxwood.class2d import Assignments, IterationResult
    from boxwood.class2d.maximisation import next_limit
    from boxwood.class2d.measures import ClassMeasures
    from boxwood.class2d.sampling import make_sampling

    model = model_of(saved, given, data, perturbation)
    largest = model.sigma2.shape[1] - 1
    model = replace(model, limit=min(max(model.limit, next_limit(model, largest)), largest))
    psi, offset = from_relion_pose(
        given.psi_deg, given.origin_angstrom, data.pixel_size_angstrom, data.magnification_of_rows
    )
    unit = log_density_unit(saved.averages.shape[1])
    assignments = Assignments(
        class_index=given.class_number.astype(np.int32) - 1,
        psi_deg=psi,
        offset_px=offset,
        largest=given.largest_probability,
        log_likelihood=np.where(given.class_number > 0, given.log_likelihood - unit, 0.0),
        significant=given.significant.astype(np.float64),
    )
    return IterationResult(
        iteration=iteration,
        model=model,
        assignments=assignments,
        measures=ClassMeasures.none(*model.ssnr.shape),
        log_likelihood=saved.log_likelihood / max(int((given.class_number > 0).sum()), 1) - unit,
        largest_probability=saved.largest_probability,
        entropy=float(np.log(np.maximum(given.significant, 1.0)).mean()),
        changed_classes=1.0,
        changed_psi_deg=0.0,
        changed_offset_px=0.0,
        sampling=make_sampling(psi_step_deg, offset_range_px, offset_step_px),
        pixel_size_angstrom=data.pixel_size_angstrom,
        faults=np.zeros(len(given.psi_deg), dtype=np.int8),  # found when the images are read
    )
