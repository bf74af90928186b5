"""A score of class averages, 0 to 1, and the reasons for it.

The score is the probability that a class is good: that most of its particles are particles, and that its
average looks like a projection of the molecule (docs/selection.md). It is a logistic regression on a few
plain measurements (`boxwood.class2d.class_features`), whose coefficients
(`boxwood.class2d.score_coefficients`) were fitted on simulated sets with false picks. No trained network
stands behind it, and its values are not those of other programs.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from boxwood.class2d.class_features import FEATURES, ClassFiles, class_features
from boxwood.class2d.score_coefficients import WITH_HALVES, WITHOUT_HALVES
from boxwood.typing import AnyArray, DoubleArray, IntArray

# A feature farther than this from the mean of those it was fitted on says no more, in standard deviations.
FARTHEST = 3.0
# A reason is given if it moves the log-odds by so much.
TELLING = 0.3
EMPTY = "nothing to see: it has no particles, or a flat average"


@dataclass(frozen=True)
class ScoreModel:
    """A logistic regression.

    Attributes
    ----------
    intercept : float
    terms : mapping
        Feature to (mean, standard deviation, weight): its log-odds are weight (value - mean) / deviation.
    """

    intercept: float
    terms: dict[str, tuple[float, float, float]]

    def log_odds(self, features: pd.DataFrame) -> pd.DataFrame:
        """What each term adds for each class, (K, terms); nan where the features are."""
        parts = {
            name: weight * np.clip((features[name] - mean) / deviation, -FARTHEST, FARTHEST)
            for name, (mean, deviation, weight) in self.terms.items()
        }
        return pd.DataFrame(parts, index=features.index)

    def probability(self, log_odds: pd.DataFrame) -> DoubleArray:
        """What the terms make together; 0 where one is nan."""
        total = self.intercept + log_odds.sum(axis=1, skipna=False).to_numpy(np.float64)
        return np.where(np.isnan(total), 0.0, 1 / (1 + np.exp(-np.nan_to_num(total))))


@dataclass(frozen=True)
class ClassScores:
    """Scores of all classes and what they are made of.

    Attributes
    ----------
    score : (K,) float64
        Probability that a class is good; 0 for one without an image.
    features, log_odds : DataFrame
        A row per class, from 1; a column per feature, and per term of the model.
    """

    score: DoubleArray
    features: pd.DataFrame
    log_odds: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Score, features and reasons: one row per class, indexed by class number from 1."""
        return self.features.assign(score=self.score, reasons=self.reasons())

    def reasons(self, most: int = 3) -> list[str]:
        """For every class what speaks most for or against it, in words."""
        return [self._reason(number, most) for number in self.features.index]

    def _reason(self, number: int, most: int) -> str:
        parts = self.log_odds.loc[number]
        if parts.isna().any():
            return EMPTY
        telling = parts[parts.abs() >= TELLING].sort_values(key=np.abs, ascending=False).head(most)
        return "; ".join(
            ("+ " if value > 0 else "- ") + (FEATURES[name].good if value > 0 else FEATURES[name].poor)
            for name, value in telling.items()
        )


def score_classes(files: ClassFiles) -> ClassScores:
    """Judge the classes of one iteration; with the agreement of halves where the files have it."""
    features = class_features(files)
    model = ScoreModel(*(WITH_HALVES if "halves" in features else WITHOUT_HALVES))
    log_odds = model.log_odds(features)
    return ClassScores(model.probability(log_odds), features, log_odds)


def choose_classes(
    score: AnyArray, sizes: AnyArray, min_score: float, at_least_classes: int = 0, at_least_particles: int = 0
) -> IntArray:
    """Indices from 0 of the classes with a score of `min_score` or more, in their order.

    Where they are fewer than `at_least_classes`, or have fewer particles than `at_least_particles`, the best
    of the others join them; never one with a score of 0.

    Parameters
    ----------
    score, sizes : (K,)
        Scores, and numbers of particles.
    """
    order = np.argsort(-np.asarray(score), kind="stable")
    order = order[np.asarray(score)[order] > 0]
    good = int((np.asarray(score)[order] >= min_score).sum())
    held = np.cumsum(np.asarray(sizes)[order])
    enough = int(np.searchsorted(held, at_least_particles)) + 1 if at_least_particles > 0 else 0
    return np.sort(order[: max(good, at_least_classes, enough)])
