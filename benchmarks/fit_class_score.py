"""Fit the class score of `boxwood select-classes --auto` on simulated sets with false picks, and test it.

python benchmarks/fit_class_score.py make FOLDER [--molecules NAME ...] [--runs NUMBER ...]
python benchmarks/fit_class_score.py test FOLDER [--picture FILE] [--limit CORRELATION]
python benchmarks/fit_class_score.py fit FOLDER

make: simulate sets of MOLECULES with 30 % false picks (junk_sets.py), and classify each by expectation
maximisation or mini-batches, at several boxes, pixel sizes and signal-to-noise ratios. fit: on the first
FITTED runs of all molecules, into score_coefficients.py. test: leave one molecule out, fit on the others,
score its classes; area under the receiver operating characteristic (AUC) per molecule, of all runs and of
those that nothing was fitted to or chosen by, and whether a score of p is right p of the time.

A class is good if most of its particles are particles, and its average has a correlation above LIKE with a
projection of the map (map_agreement.py). Data: ../shared/data beside the project or $BOXWOOD_DATA.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from junk_sets import MOLECULES, molecule, write_set
from map_agreement import MapAgreement
from real_data import DATA
from scipy.optimize import minimize
from scipy.stats import rankdata

from boxwood.class2d import score_coefficients
from boxwood.class2d.class_features import FEATURES, class_features
from boxwood.class2d.selection import FARTHEST, ScoreModel
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.jobs.saved_iteration import read_iteration

# Box (px), signal-to-noise ratio, largest offset of picks (diameters), and how it is classified.
RUNS = (
    (56, 0.20, 0.05, {"algorithm": "em"}),
    (48, 0.15, 0.10, {"algorithm": "em"}),
    (64, 0.12, 0.05, {"algorithm": "vdam", "mini_batches": 60}),
    (48, 0.30, 0.08, {"algorithm": "vdam", "mini_batches": 60}),
    (52, 0.25, 0.07, {"algorithm": "em"}),
    (60, 0.18, 0.06, {"algorithm": "em"}),
    (54, 0.22, 0.06, {"algorithm": "vdam", "mini_batches": 60}),
)
FITTED = 5
CLASSES = 20
# Correlation with a projection that makes an average like it: 4 of 134 classes of false picks reach it.
LIKE = 0.6
COEFFICIENTS = Path(score_coefficients.__file__)


def is_good(purity: np.ndarray, correlation: np.ndarray, limit: float) -> np.ndarray:
    return (purity > 0.5) & (correlation > limit)


def make(folder: Path, names: list[str], numbers: list[int]) -> None:
    for number in numbers:
        for name in names:
            place = folder / f"{name}{number}"
            if (place / "good.npz").exists():
                continue
            start = time.process_time()
            box, snr, offset, how = RUNS[number]
            mol = molecule(name, DATA / "maps")
            seed = 100 * number + MOLECULES.index(name)
            made = write_set(place, mol, box=box, snr=snr, offset=offset * mol.diameter, seed=seed)
            values = {
                "particles": place / "particles.star", "classes": CLASSES, "seed": seed,
                "mask_diameter": made.mask_diameter, **how,
            }  # fmt: skip
            result = run_job(load_job("class2d"), values, output=place / "Class2D")
            model = Path(result.files["model"])
            averages = read_stack(model.with_name(model.name.replace("model.star", "classes.mrcs")))[:]
            table = ParticleSet.read(model.with_name(model.name.replace("model", "data"))).table
            found = table["rlnClassNumber"].to_numpy(int) - 1
            order = table["rlnImageName"].str.split("@").str[0].to_numpy(int) - 1
            true = (made.kind == 0)[order]
            particles = np.bincount(found[found >= 0], minlength=CLASSES)
            purity = np.bincount(found[(found >= 0) & true], minlength=CLASSES) / np.maximum(particles, 1)
            agreement = MapAgreement(
                mol.density, box, made.pixel_size, made.mask_diameter, directions=100, largest_shift_px=3,
                band_angstrom=(70.0, max(12.0, 2.2 * made.pixel_size)),
            )  # fmt: skip
            correlation = agreement(averages, np.ones(CLASSES)).correlation
            np.savez(place / "good.npz", purity=purity, correlation=correlation, model=str(model))
            count, seconds = is_good(purity, correlation, LIKE).sum(), time.process_time() - start
            print(f"{name} {number}: {count} good of {CLASSES}, {seconds:.0f} s CPU", flush=True)


# What the score is made of, besides `halves`.
TERMS = ("contrast", "border", "centre", "size", "detail", "placing")
PENALTY = 2.0


@dataclass(frozen=True)
class Judged:
    """All classes of all sets: features, whether they are good, molecule and number of the run."""

    features: pd.DataFrame
    good: np.ndarray
    molecule: np.ndarray
    run: np.ndarray

    @classmethod
    def read(cls, folder: Path, limit: float = LIKE) -> "Judged":
        tables, good, names = [], [], []
        for path in sorted(folder.glob("*/good.npz")):
            with np.load(path) as file:
                table = class_features(read_iteration(Path(str(file["model"]))).files())
                seen = table.notna().all(axis=1).to_numpy()
                tables.append(table[seen])
                good.append(is_good(file["purity"], file["correlation"], limit)[seen])
                names += [path.parent.name] * int(seen.sum())
        return cls(
            pd.concat(tables, ignore_index=True),
            np.concatenate(good),
            np.array([name[:-1] for name in names]),
            np.array([int(name[-1]) for name in names]),
        )

    def of_runs(self, below: int) -> "Judged":
        some = self.run < below
        return Judged(self.features[some], self.good[some], self.molecule[some], self.run[some])


def fitted(features: pd.DataFrame, good: np.ndarray) -> ScoreModel:
    """Logistic regression with a quadratic penalty on the weights of standardised features."""
    mean, deviation = features.mean().to_numpy(), features.std().to_numpy()
    x = np.clip((features.to_numpy() - mean) / deviation, -FARTHEST, FARTHEST)

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        z = b[0] + x @ b[1:]
        off = 1 / (1 + np.exp(-z)) - good
        value = np.logaddexp(0, np.where(good, -z, z)).sum() + PENALTY / 2 * (b[1:] ** 2).sum()
        return value, np.append(off.sum(), x.T @ off + PENALTY * b[1:])

    b = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    terms = zip(features.columns, mean.tolist(), deviation.tolist(), b[1:].tolist(), strict=True)
    return ScoreModel(float(b[0]), {name: (m, d, w) for name, m, d, w in terms})


def probability(model: ScoreModel, features: pd.DataFrame) -> np.ndarray:
    return 1 / (1 + np.exp(-model.intercept - model.log_odds(features).sum(axis=1).to_numpy()))


def area_under_curve(score: np.ndarray, good: np.ndarray) -> float:
    """Of the receiver operating characteristic: how often a good class has a higher score than a bad one."""
    rank = rankdata(score)
    count = good.sum()
    if not 0 < count < len(good):
        return float("nan")
    return float((rank[good].sum() - count * (count + 1) / 2) / (count * (~good).sum()))


def held_out(judged: Judged, terms: tuple[str, ...]) -> np.ndarray:
    """The score of every class by a model that has not seen its molecule, nor the last runs."""
    score = np.zeros(len(judged.good))
    for name in np.unique(judged.molecule):
        mine = judged.molecule == name
        seen = ~mine & (judged.run < FITTED)
        model = fitted(judged.features.loc[seen, list(terms)], judged.good[seen])
        score[mine] = probability(model, judged.features.loc[mine, list(terms)])
    return score


def test(folder: Path, picture: Path | None, limit: float) -> None:
    judged = Judged.read(folder, limit)
    good = judged.good
    vdam = np.array([RUNS[number][3]["algorithm"] == "vdam" for number in judged.run])
    parts = {"all": vdam | True, "em": ~vdam, "vdam": vdam, "new runs": judged.run >= FITTED}
    scores = {"with halves": held_out(judged, (*TERMS, "halves")), "without": held_out(judged, TERMS)}
    for name, score in scores.items():
        print(f"{name}: AUC of {', '.join(parts)}; right at 0.5; classes, good ones")
        groups = {part: judged.molecule == part for part in np.unique(judged.molecule)}
        for part, mine in {**groups, "together": vdam | True}.items():
            areas = " ".join(
                f"{area_under_curve(score[mine & m], good[mine & m]):.3f}" for m in parts.values()
            )
            right = np.mean((score[mine] >= 0.5) == good[mine])
            print(f"  {part:12s} {areas}  {right:.3f}  {mine.sum():4d} {good[mine].sum():4d}")
        print("  " + ", ".join(f"{part} {count}" for part, count in reliability(score, good).items()))
    if picture:
        draw(picture, judged, scores["with halves"])


def reliability(score: np.ndarray, good: np.ndarray) -> dict[str, str]:
    """Which part of the classes is good, by their score."""
    fifth = np.minimum((score * 5).astype(int), 4)
    return {
        f"{i / 5:.1f}-{(i + 1) / 5:.1f}:": f"{good[fifth == i].mean():.2f} of {(fifth == i).sum()}"
        for i in np.unique(fifth)
    }


def draw(path: Path, judged: Judged, score: np.ndarray) -> None:
    """Receiver operating characteristics of the molecules, and how often classes of a score are good."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
    for name in np.unique(judged.molecule):
        mine = judged.molecule == name
        order = np.argsort(-score[mine])
        good = judged.good[mine][order]
        area = area_under_curve(score[mine], judged.good[mine])
        left.plot(np.cumsum(~good) / (~good).sum(), np.cumsum(good) / good.sum(), label=f"{name} {area:.3f}")
    left.set(xlabel="part of the bad classes selected", ylabel="part of the good classes selected",
             title="Each molecule scored by a fit on the others")  # fmt: skip
    left.legend(title="area under the curve", fontsize=8)
    edges = np.linspace(0, 1, 11)
    which = np.clip(np.digitize(score, edges) - 1, 0, 9)
    count = np.bincount(which, minlength=10)
    mean, part = (np.bincount(which, v, 10) / np.maximum(count, 1) for v in (score, judged.good))
    error = np.sqrt(part * (1 - part) / np.maximum(count, 1))
    used = count > 0
    right.plot([0, 1], [0, 1], color="0.7")
    right.errorbar(mean[used], part[used], error[used], fmt="o", color="C0")
    for x, y, n in zip(mean[used], part[used], count[used], strict=True):
        right.annotate(str(n), (x, y), textcoords="offset points", xytext=(6, -10), fontsize=8)
    right.set(xlabel="score", ylabel="part that is good", title="What a score means (number of classes)")
    figure.tight_layout()
    figure.savefig(path, dpi=90)


HEADER = '''"""Coefficients of the class score, written by benchmarks/fit_class_score.py; do not edit.

Fitted on {classes} classes ({good} good) of {sets} simulated sets with 30 % false picks:
{molecules}. A term adds
weight (value - mean) / deviation to the log-odds that a class is good; the fraction is limited to 3 either
way. What each feature is, is said in `boxwood.class2d.class_features`.
"""

'''


def fit(folder: Path) -> None:
    judged = Judged.read(folder).of_runs(FITTED)
    sets = len(set(zip(judged.molecule.tolist(), judged.run.tolist(), strict=True)))
    text = HEADER.format(classes=len(judged.good), good=judged.good.sum(), sets=sets,
                         molecules=", ".join(np.unique(judged.molecule)))  # fmt: skip
    text += "# (intercept, {feature: (mean, standard deviation, weight)})\n"
    for name, terms in (("WITH_HALVES", (*TERMS, "halves")), ("WITHOUT_HALVES", TERMS)):
        model = fitted(judged.features[list(terms)], judged.good)
        rows = "".join(
            f'        # {FEATURES[term].meaning}\n        "{term}": ({m:.4f}, {d:.4f}, {w:.3f}),\n'
            for term, (m, d, w) in model.terms.items()
        )
        text += f"{name} = (\n    {model.intercept:.3f},\n    {{\n{rows}    }},\n)\n"
    COEFFICIENTS.write_text(text)
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("make", "test", "fit"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--molecules", nargs="+", default=list(MOLECULES), choices=MOLECULES)
    parser.add_argument("--runs", nargs="+", type=int, default=list(range(len(RUNS))))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--limit", type=float, default=LIKE)
    chosen = parser.parse_args()
    if chosen.what == "make":
        make(chosen.folder, chosen.molecules, chosen.runs)
    elif chosen.what == "test":
        test(chosen.folder, chosen.picture, chosen.limit)
    else:
        fit(chosen.folder)


if __name__ == "__main__":
    main()
