"""Fit the particle score of `boxwood select-particles --auto`, and test it.

python benchmarks/fit_particle_score.py test FOLDER [--picture FILE]
python benchmarks/fit_particle_score.py fit FOLDER

FOLDER is what `fit_class_score.py make` filled. fit: on the first FITTED runs of all molecules, into
particle_coefficients.py. test: leave one molecule out and fit on the others; area under the receiver
operating characteristic (AUC) against the truth, precision and recall at 0.5, beside those of keeping the
particles of the selected classes; and which part of the second picks is found.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from fit_class_score import FITTED, area_under_curve, fitted, probability
from junk_sets import KINDS, JunkSet

from boxwood.class2d import particle_coefficients
from boxwood.class2d.particle_score import FEATURES, particle_features
from boxwood.jobs.context import JobContext
from boxwood.jobs.particle_cleaning import NEAREST, measure
from boxwood.jobs.particle_places import centres_angstrom
from boxwood.jobs.saved_iteration import read_iteration
from boxwood.picking.duplicates import best_of_duplicates

COEFFICIENTS = Path(particle_coefficients.__file__)


@dataclass(frozen=True)
class Picks:
    """All picks of all sets: features, score of their class, kind (0 is a particle), molecule, run."""

    features: pd.DataFrame
    class_score: np.ndarray
    kind: np.ndarray
    molecule: np.ndarray
    run: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Picks":
        parts = [_of_set(path.parent) for path in sorted(folder.glob("*/good.npz"))]
        features, *rest = zip(*parts, strict=True)
        return cls(pd.concat(features, ignore_index=True), *(np.concatenate(part) for part in rest))


def _of_set(folder: Path) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    with np.load(folder / "good.npz") as file:
        saved = read_iteration(Path(str(file["model"])))
    table = saved.particles.table
    index = table["rlnClassNumber"].to_numpy(int) - 1
    score = saved.scores().score
    with_context = JobContext(folder.as_posix(), threads=1)
    measures = measure(saved, with_context)
    with_context.close()
    features = particle_features(measures, index, score, table["rlnMicrographName"].to_numpy())
    n, name = len(table), folder.name
    return features, score[index], truth(saved, folder).kind, np.full(n, name[:-1]), np.full(n, int(name[-1]))


def truth(saved, folder: Path) -> JunkSet:  # type: ignore[no-untyped-def]
    """Of the particles in the order of the iteration's files."""
    made = JunkSet.read(folder)
    order = saved.particles.table["rlnImageName"].str.split("@").str[0].to_numpy(int) - 1
    place = np.argsort(order)
    twin = np.where(made.twin[order] >= 0, place[made.twin[order]], -1)
    return JunkSet(folder, made.kind[order], twin, made.mask_diameter, made.pixel_size)


def held_out(picks: Picks) -> np.ndarray:
    """The score of every pick by a model that has not seen its molecule, nor the last runs."""
    score = np.zeros(len(picks.kind))
    for name in np.unique(picks.molecule):
        mine = picks.molecule == name
        seen = ~mine & (picks.run < FITTED)
        score[mine] = probability(fitted(picks.features[seen], picks.kind[seen] == 0), picks.features[mine])
    return score


def test(folder: Path, picture: Path | None) -> None:
    picks = Picks.read(folder)
    true = picks.kind == 0
    scores = {"score": held_out(picks), "classes": picks.class_score}
    new = picks.run >= FITTED
    print("mean over runs, all and new: AUC, precision, recall")
    for part in [*np.unique(picks.molecule), "together"]:
        rows = []
        for score in scores.values():
            for some in (new | True, new):
                runs = [m for m in _runs(picks, part) if some[m].any()]
                rows.append(np.mean([_quality(score[m], true[m]) for m in runs], axis=0))
        text = "; ".join(" ".join(f"{v:.3f}" for v in row) for row in rows)
        print(f"  {part:12s} score {text}".replace("; ", " | "))
    for name, score in scores.items():
        kept = [f"{kind} {np.mean(score[picks.kind == i] >= 0.5):.2f}" for i, kind in enumerate(KINDS)]
        print(f"  kept by {name}: {', '.join(kept)}")
    found = np.array([_second_picks(path.parent) for path in sorted(folder.glob("*/good.npz"))]).sum(axis=0)
    print(f"second picks found {found[0]} of {found[1]}; single particles that go {found[2]} of {found[3]}")
    if picture:
        draw(picture, picks, scores)


def _runs(picks: Picks, part: str) -> list[np.ndarray]:
    """Rows of every run of a molecule, or of all."""
    mine = (picks.molecule == part) | (part == "together")
    pairs = sorted(set(zip(picks.molecule[mine].tolist(), picks.run[mine].tolist(), strict=True)))
    return [np.flatnonzero((picks.molecule == m) & (picks.run == r)) for m, r in pairs]


def _quality(score: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    kept = score >= 0.5
    return (
        area_under_curve(score, true),
        float(true[kept].mean()) if kept.any() else 1.0,
        float(kept[true].mean()),
    )


def _second_picks(folder: Path) -> tuple[int, int, int, int]:
    """Pairs of picks of one particle of which one goes, and all; single particles that go, and all."""
    with np.load(folder / "good.npz") as file:
        saved = read_iteration(Path(str(file["model"])))
    made = truth(saved, folder)
    x, y = centres_angstrom(saved.particles)
    gone = (
        best_of_duplicates(
            x, y, saved.particles.table["rlnMicrographName"], NEAREST * made.mask_diameter, np.zeros(len(x))
        )
        >= 0
    )
    second = np.flatnonzero(made.twin >= 0)
    either = gone[second] | gone[made.twin[second]]
    single = made.kind == 0
    single[second] = single[made.twin[second]] = False
    return int(either.sum()), len(second), int(gone[single].sum()), int(single.sum())


def draw(path: Path, picks: Picks, scores: dict[str, np.ndarray]) -> None:
    """Receiver operating characteristics of the new runs, by the score and by classes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True)
    titles = ("Score of the particle", "Score of its class")
    for axis, title, score in zip(axes, titles, scores.values(), strict=True):
        for name in np.unique(picks.molecule):
            mine = (picks.molecule == name) & (picks.run >= FITTED)
            order = np.argsort(-score[mine], kind="stable")
            true = (picks.kind[mine] == 0)[order]
            area = area_under_curve(score[mine], picks.kind[mine] == 0)
            axis.plot(
                np.cumsum(~true) / (~true).sum(), np.cumsum(true) / true.sum(), label=f"{name} {area:.3f}"
            )
        axis.set(xlabel="part of the false picks kept", title=title)
        axis.legend(title="area under the curve", fontsize=8)
    axes[0].set_ylabel("part of the particles kept")
    figure.tight_layout()
    figure.savefig(path, dpi=90)


HEADER = '''"""Coefficients of the particle score, written by benchmarks/fit_particle_score.py; do not edit.

Fitted on {picks} picks ({true} of them particles) of simulated sets of
{molecules}.
A term adds weight (value - mean) / deviation to the log-odds that a pick is a particle; the fraction is
limited to 3 either way.
"""

'''


def fit(folder: Path) -> None:
    picks = Picks.read(folder)
    some = picks.run < FITTED
    model = fitted(picks.features[some], picks.kind[some] == 0)
    rows = "".join(
        f'        # {FEATURES[term].meaning}\n        "{term}": ({m:.4f}, {d:.4f}, {w:.3f}),\n'
        for term, (m, d, w) in model.terms.items()
    )
    text = HEADER.format(
        picks=some.sum(), true=(picks.kind[some] == 0).sum(), molecules=", ".join(np.unique(picks.molecule))
    )
    text += "# (intercept, {feature: (mean, standard deviation, weight)})\n"
    text += f"PARTICLES = (\n    {model.intercept:.3f},\n    {{\n{rows}    }},\n)\n"
    COEFFICIENTS.write_text(text)
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("test", "fit"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "test":
        test(chosen.folder, chosen.picture)
    else:
        fit(chosen.folder)


if __name__ == "__main__":
    main()
