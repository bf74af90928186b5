"""The public benchmark scores the truth as the best there can be, and nonsense as nonsense."""

import numpy as np
import public2d
import pytest

from boxwood.io.star import read_star, write_star


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    public2d.make(folder, public2d.SIZES["tiny"])
    return folder


def result(folder, label):
    table = next(iter(read_star(folder / "truth.star").values()))
    table["rlnClassNumber"] = label(table["boxwoodView"].to_numpy(int))
    path = folder / "result_data.star"
    write_star(path, {"particles": table.drop(columns="boxwoodView")})
    return path


def test_the_truth_scores_best(tiny):
    found = public2d.score(tiny, result(tiny, lambda view: view + 2))
    assert found["purity"] == found["mutual_information"] == found["junk_auc"] == 1
    assert found["psi_error_deg"] < 1e-3
    assert found["offset_error_angstrom"] < 1e-3
    assert found["resolution_angstrom"] < 30


def test_random_classes_score_as_such(tiny):
    rng = np.random.default_rng(0)
    found = public2d.score(tiny, result(tiny, lambda view: rng.integers(1, 4, len(view))))
    assert found["purity"] < 0.35
    assert found["mutual_information"] < 0.05
    assert abs(found["junk_auc"] - 0.5) < 0.1


def test_results_of_other_particles_are_refused(tiny):
    path = result(tiny, lambda view: view + 2)
    tables = read_star(path)
    tables["particles"]["rlnImageName"] = [
        f"{i + 1:06d}@others.mrcs" for i in range(len(tables["particles"]))
    ]
    write_star(path, tables)
    with pytest.raises(SystemExit, match="no image of"):
        public2d.score(tiny, path)
