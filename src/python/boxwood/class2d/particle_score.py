"""A score of classified particles, 0 to 1, and the reasons for it.

The score is the probability that a pick is a particle, by logistic regression on what its image and its class
say (FEATURES; docs/selection.md). The usual value and spread of what is measured on images are medians over
the particles of the same micrograph, or of all if it has few, weighted by the scores of their classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boxwood.class2d.class_features import Feature
from boxwood.class2d.particle_coefficients import PARTICLES
from boxwood.class2d.particle_measures import ParticleMeasures
from boxwood.class2d.robust import beside_usual, weighted_median
from boxwood.class2d.selection import ScoreModel
from boxwood.typing import AnyArray, DoubleArray

# A micrograph with fewer particles is judged by those of all.
FEWEST = 30
UNKNOWN = "not classified, or not readable"
# Log-odds beyond which the score of a class says no more.
_SUREST = 6.0

FEATURES: Mapping[str, Feature] = {
    "class": Feature("log-odds of the score of its class", "in a good class", "in a poor class"),
    "evidence": Feature(
        "log-likelihood of its class average over noise alone, in those of the median particle",
        "clearly shows its class average",
        "no better explained by its class average than by noise",
    ),
    "likeness": Feature(
        "part of its class average that is found in it",
        "shows all of its class average",
        "shows little of its class average",
    ),
    "leftover": Feature(
        "log of the low-frequency power that its class average leaves, in spreads above the usual",
        "nothing beside the particle",
        "ice, carbon or a neighbour beside it",
    ),
    "faint": Feature(
        "log of the standard deviation within the mask, in spreads below the usual",
        "as strong as others",
        "fainter than others",
    ),
    "strong": Feature(
        "log of the standard deviation within the mask, in spreads above the usual",
        "no stronger than others",
        "stronger than others",
    ),
    "mean": Feature(
        "difference of the mean within the mask from the usual, in spreads",
        "as bright as others",
        "brighter or darker than others",
    ),
}


@dataclass(frozen=True)
class ParticleScores:
    """Scores of all particles and what they are made of.

    Attributes
    ----------
    score : (n,) float64
        Probability that it is a particle; 0 for one that was not classified or not measured.
    features, log_odds : DataFrame
        A row per particle; a column per feature.
    """

    score: DoubleArray
    features: pd.DataFrame
    log_odds: pd.DataFrame

    def worst(self) -> AnyArray:
        """(n,) str: what speaks most against each; UNKNOWN where nothing is known."""
        known = self.log_odds.notna().all(axis=1).to_numpy()
        names = list(self.log_odds)
        column = np.argmin(self.log_odds.fillna(0.0).to_numpy(), axis=1)
        words = np.array([FEATURES[name].poor for name in names], dtype=object)
        return np.where(known, words[column], UNKNOWN)


def score_particles(
    measures: ParticleMeasures, class_index: AnyArray, class_score: AnyArray, micrograph: AnyArray
) -> ParticleScores:
    """Judge particles.

    Parameters
    ----------
    measures : ParticleMeasures
    class_index : (n,) int
        From 0; -1 for a particle without class.
    class_score : (k,)
        Of `boxwood.class2d.selection`.
    micrograph : (n,)
        Anything that tells micrographs apart.
    """
    features = particle_features(measures, class_index, class_score, micrograph)
    model = ScoreModel(*PARTICLES)
    log_odds = model.log_odds(features)
    return ParticleScores(model.probability(log_odds), features, log_odds)


def particle_features(
    measures: ParticleMeasures, class_index: AnyArray, class_score: AnyArray, micrograph: AnyArray
) -> pd.DataFrame:
    """A row per particle and a column for each of FEATURES; nan where it was not measured."""
    known = np.isfinite(measures.evidence) & (class_index >= 0)
    score = np.where(known, np.asarray(class_score, np.float64)[np.maximum(class_index, 0)], 0.0)
    weight = np.where(known, score + 1e-3, 0.0)
    _, group = np.unique(np.asarray(micrograph), return_inverse=True)
    few = np.bincount(group[known], minlength=group.max(initial=0) + 1) < FEWEST
    group = np.where(few[group], -1, group)
    usual = max(abs(weighted_median(measures.evidence, weight)), 1.0)
    odds = np.log((score + 1e-4) / (1 - score + 1e-4))
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = beside_usual(np.log(measures.deviation), weight, group)
        leftover = beside_usual(np.log(measures.leftover), weight, group)
    table = pd.DataFrame(
        {
            "class": np.clip(odds, -_SUREST, _SUREST),
            "evidence": np.clip(measures.evidence / usual, -1, 3),
            "likeness": np.clip(measures.likeness, -1, 2),
            "leftover": leftover,
            "faint": np.maximum(-deviation, 0),
            "strong": np.maximum(deviation, 0),
            "mean": np.abs(beside_usual(measures.mean, weight, group)),
        }
    )
    table[~known] = np.nan
    return table
