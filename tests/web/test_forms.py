"""Forms: every declared option is there, checked as on the command line, and started without a shell."""

import shlex

import numpy as np
import pytest

from boxwood.errors import InputError
from boxwood.jobs.api import Project
from boxwood.jobs.picking_model import write_model
from boxwood.jobs.registry import JOBS, load_job
from boxwood.picking.adaptive import AdaptiveModel
from boxwood.web.forms import Running, command_of, files_for, make_form, read_form, startable, words_of
from boxwood.web.picking import open_source
from boxwood.web.runs import command_words
from boxwood.web.suggestions import particle_diameter, suggested

PICK = {"micrographs": "micrographs_ctf.star", "min_diameter": "150", "max_diameter": "180"}


def filled(workspace, job, **texts):
    return read_form(workspace, load_job(job), texts)


def test_every_job_but_those_that_make_projects_has_a_form():
    assert {job["name"] for job in startable()} == set(JOBS) - {"demo", "simulate"}


@pytest.mark.parametrize("name", [job["name"] for job in startable()])
def test_a_form_has_every_option_that_can_be_set(workspace, name):
    job = load_job(name)
    form = make_form(workspace, job, continuing=True)
    shown = [field["name"] for tab in form["tabs"] for field in tab["fields"]]
    wanted = [option.name for option in job.options.declared() if not option.refused]
    assert sorted(shown) == sorted(wanted)
    for tab in form["tabs"]:
        for field in tab["fields"]:
            assert field["help"] and field["type"] in ("bool", "int", "float", "str", "path", "list")


@pytest.mark.parametrize("name", JOBS)
def test_what_an_option_needs_is_declared(name):
    options = {option.name: option for option in load_job(name).options.declared()}
    for option in options.values():
        for need in option.needs.split(" or "):
            needed, _, value = need.partition("=")
            if needed and needed != "continue":
                assert needed in options, option.name
                assert not value or value in options[needed].choices, option.name


def test_the_tabs_are_those_of_the_tutorial(workspace):
    titles = {
        name: [tab["title"] for tab in make_form(workspace, load_job(name), False)["tabs"]]
        for name in ("autopick", "extract", "class2d")
    }
    assert titles["autopick"] == ["I/O", "Laplacian", "autopicking", "Adaptive", "References"]
    assert titles["extract"] == ["I/O", "extract", "CTF"]
    assert titles["class2d"] == ["I/O", "CTF", "Optimisation", "Sampling", "Compute"]


def test_fields_tell_unit_range_and_what_relion_calls_them(workspace):
    form = make_form(workspace, load_job("autopick"), False)
    fields = {field["name"]: field for tab in form["tabs"] for field in tab["fields"]}
    smallest = fields["min_diameter"]
    assert (smallest["unit"], smallest["at_least"], smallest["required"]) == ("Å", 2.5, False)
    assert smallest["expected"] == "a number of at least 2.5 Å"
    assert smallest["relion"] == "Min. diameter for LoG filter (A)"
    assert smallest["flag"] == "--min-diameter"
    assert "read_fom_maps" not in fields  # only when a job goes on
    assert fields["references"]["label"] == "References"


def test_the_tab_of_references_is_there_where_templates_pick(workspace):
    """Its fields say that they are for templates, and make the options of a job that picks with them."""
    tabs = {tab["title"]: tab["fields"] for tab in make_form(workspace, load_job("autopick"), False)["tabs"]}
    fields = {field["name"]: field for field in tabs["References"]}
    assert {field["needs"] for field in fields.values()} == {"method=template", "score=relion"}
    assert list(fields["score"]["choices"]) == ["whitened", "relion"]
    texts = {
        "micrographs": "micrographs_ctf.star",
        "method": "template",
        "references": "Select/job004/class_averages.star",
    }
    (workspace.root / texts["references"]).parent.mkdir(parents=True, exist_ok=True)
    (workspace.root / texts["references"]).write_text("")
    found = filled(workspace, "autopick", **texts, score="relion", angular_sampling="10")
    assert not found.errors and found.options is not None
    options = found.options
    assert (options.method, options.score, options.angular_sampling) == ("template", "relion", 10)


def test_files_that_fit_are_proposed_the_newest_first(workspace):
    assert files_for(workspace, "particles")[0] == "Extract/job002/particles.star"
    assert files_for(workspace, "coordinates") == ["AutoPick/job001/coords_suffix_autopick.star"]
    assert files_for(workspace, "class2d_model") == ["Class2D/job003/run_it003_model.star"]
    assert files_for(workspace, "micrographs")[0] == "micrographs_ctf.star"


@pytest.mark.parametrize(
    ("texts", "field", "sentence"),
    [
        (
            {"min_diameter": "-5"},
            "min_diameter",
            "Min diameter is '-5'; it must be a number of at least 2.5 Å",
        ),
        (
            {"min_diameter": "wide"},
            "min_diameter",
            "Min diameter is 'wide'; it must be a number of at least 2.5 Å",
        ),
        ({"seed": "1.5"}, "seed", "Seed is '1.5'; it must be a whole number of at least 0"),
        ({"micrographs": "none.star"}, "micrographs", "there is no none.star in the project"),
        ({"micrographs": "/etc/passwd"}, "micrographs", "/etc/passwd leads out of the project"),
        ({"micrographs": "../x.star"}, "micrographs", "../x.star leads out of the project"),
    ],
)
def test_a_wrong_value_is_named_at_its_field(workspace, texts, field, sentence):
    found = filled(workspace, "autopick", **{**PICK, **texts})
    assert found.options is None
    assert list(found.errors) == [field]
    assert found.errors[field].startswith(sentence)


def test_wrong_combinations_are_named_for_the_form(workspace):
    found = filled(workspace, "autopick", **{**PICK, "max_diameter": "100"})
    assert not found.errors
    assert found.problem.startswith("Max diameter is 100 Å, less than Min diameter")
    assert found.fields == ("max_diameter", "min_diameter")
    without = filled(workspace, "autopick", micrographs="micrographs_ctf.star")
    assert "Min diameter and Max diameter are not given" in without.problem
    assert without.fields == ("min_diameter", "max_diameter")
    empty = filled(workspace, "class2d")
    assert "please give Particles (" in empty.problem
    assert set(empty.fields) == {"particles", "mask_diameter"}


def test_what_was_typed_is_not_taken_for_an_option(workspace):
    quoted = filled(workspace, "autopick", **PICK, seed="min_diameter").errors["seed"]
    assert quoted.startswith("Seed is 'min_diameter'; ")
    path = filled(workspace, "class2d", particles="a/mask_diameter.star", mask_diameter="100")
    assert path.errors["particles"] == "there is no a/mask_diameter.star in the project"


def test_what_means_nothing_is_left_out(workspace):
    texts = {"particles": "Extract/job002/particles.star", "mask_diameter": "150", "mini_batches": "7"}
    plain = filled(workspace, "class2d", **texts)
    assert plain.options.mini_batches == 200
    assert filled(workspace, "class2d", **texts, algorithm="vdam").options.mini_batches == 7
    skipped = filled(workspace, "class2d", **texts, align=False, psi_step="999")
    assert skipped.options is not None and not skipped.errors
    assert filled(workspace, "class2d", **texts, psi_step="999").errors


def test_the_command_line_gives_what_was_filled_in(workspace):
    found = filled(
        workspace, "select-micrographs", micrographs="micrographs_ctf.star", names="a b.mrc\nc,d.mrc"
    )
    command = command_of(found, Running("my alias", threads=2))
    assert shlex.split(command) == [
        *("boxwood", "select-micrographs", "--micrographs", "micrographs_ctf.star"),
        *("--names", "a b.mrc", "c,d.mrc", "--alias=my alias", "--threads=2"),
    ]
    assert command_of(filled(workspace, "autopick", **PICK), Running()).endswith("--max-diameter 180.0")
    assert command_of(filled(workspace, "autopick"), Running()) == ""


def test_numbers_of_a_list_may_have_commas(workspace):
    model = "Class2D/job003/run_it003_model.star"
    assert filled(workspace, "select-classes", model=model, classes="1, 2").options.classes == (1, 2)


@pytest.mark.parametrize("value", ["--output=/tmp/elsewhere", "--help", "-x", "--where=1"])
def test_no_value_can_pass_for_an_option(workspace, value):
    job = load_job("select-micrographs")
    for texts in ({"where": value}, {"names": f"a.mrc\n{value}"}):
        found = read_form(workspace, job, {"micrographs": "micrographs_ctf.star", **texts})
        with pytest.raises(InputError, match="looks like an option"):
            words_of(found, Running())
        assert command_of(found, Running()) == ""
    options = job.options.make({"micrographs": value, "first": 1})
    with pytest.raises(InputError):
        command_words(job, options, {"micrographs", "first"})


@pytest.mark.parametrize("job", ["demo", "simulate", "rm", "..%2Fx", "run-job", "project"])
def test_only_jobs_with_a_form_are_started(client, workspace, job):
    body = {"values": {}, "alias": "", "continue": "", "threads": 1}
    assert client.post(f"/api/form/{job}/start", json=body).status_code in (400, 404, 405)
    assert workspace.runs.all() == []


@pytest.mark.parametrize(
    "change",
    [
        {"values": {**PICK, "min_diameter": "no"}},
        {"values": {**PICK, "no_such": "1"}},
        {"values": {**PICK, "micrographs": "$(touch /tmp/x)"}},
        {"values": {**PICK, "micrographs": ["a", "b"]}},
        {"values": PICK, "alias": "a/../b"},
        {"values": PICK, "alias": "$(x)"},
        {"values": PICK, "threads": -1},
        {"values": PICK, "threads": "2; rm"},
        {"values": PICK, "continue": "Class2D/job003"},
        {"values": PICK, "continue": "../elsewhere"},
        {"values": "x"},
        {},
    ],
)
def test_nothing_is_started_from_a_wrong_form(client, workspace, change):
    body = {"values": {}, "alias": "", "continue": "", "threads": 1, **change}
    answer = client.post("/api/form/autopick/start", json=body if change else None)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert workspace.runs.all() == []


def test_a_form_that_continues_shows_what_was_and_sends_what_changed(client, workspace):
    form = client.get("/api/form/class2d", params={"continue": "Class2D/job003"}).json()
    assert form["values"]["classes"] == "2"
    earlier = {
        "particles": "Extract/job002/particles.star",
        "classes": 2,
        "iterations": 3,
        "mask_diameter": 160.0,
    }
    texts = {**form["values"], "iterations": "25"}
    found = read_form(workspace, load_job("class2d"), texts, {**form["values"], **earlier})
    # 25 is the default, but not what the job had
    assert words_of(found, Running(going_on="Class2D/job003")) == [
        *("class2d", "--iterations", "25", "--continue=Class2D/job003"),
    ]
    emptied = read_form(workspace, load_job("class2d"), {**texts, "mask_diameter": ""}, form["values"])
    assert "cannot be emptied" in emptied.errors["mask_diameter"]


def test_a_form_like_an_earlier_job(client):
    form = client.get("/api/form/autopick", params={"like": "AutoPick/job001"}).json()
    assert form["values"]["min_diameter"] == "150" and form["values"]["threshold_offset"] == "1"
    wrong = client.get("/api/form/autopick", params={"like": "Extract/job002"})
    assert wrong.status_code == 400 and "no job of `boxwood autopick`" in wrong.json()["error"]


def test_boxes_are_suggested_from_what_was_picked(workspace, copy):
    star = "micrographs_ctf.star"
    job = "AutoPick/job001"  # 150 to 180 A, 3.54 A a pixel
    for coordinates in (job, f"{job}/coords_suffix_autopick.star"):
        found = suggested(workspace, "extract", {"micrographs": star, "coordinates": coordinates})
        assert {name: value["text"] for name, value in found.items()} == {
            "box_size": "64",  # the next good length to 1.25 x 180 / 3.54 = 63.6
            "background_diameter": "51",
        }
        assert "180 Å of AutoPick/job001" in found["box_size"]["why"]
    finer = suggested(workspace, "extract", {"coordinates": job, "pixel_size": "1.77"})
    assert finer["box_size"]["text"] == "128"
    by_hand = Project(copy).manual_pick(micrographs=star, diameter=200).output.relative_to(copy)
    assert (
        suggested(workspace, "extract", {"coordinates": str(by_hand)})["background_diameter"]["text"] == "56"
    )
    usual = Project(copy).manual_pick(micrographs=star).output.relative_to(copy)
    for nothing in (
        {},
        {"coordinates": str(usual)},
        {"coordinates": "AutoPick/job099"},
        {"coordinates": "../x"},
    ):
        assert suggested(workspace, "extract", nothing) == {}
    assert suggested(workspace, "class2d", {"particles": "Extract/job002/particles.star"}) == {}


def test_what_was_learned_suggests_a_box_too(workspace, copy, monkeypatch):
    folder = copy / "AutoPick/job001"
    told = {"method": "adaptive", "diameter": "auto"}
    monkeypatch.setattr("boxwood.web.suggestions.told_values", lambda *_: told)
    source = open_source(workspace, "AutoPick/job001")
    assert particle_diameter(workspace, source) is None
    write_model(
        folder / "picking_model.star", AdaptiveModel(160.0, 20.0, 144.0, False, np.ones(3), 1.0, 1.0, 1.0)
    )
    assert particle_diameter(workspace, source) == pytest.approx(144)
    told["diameter"] = "170"
    assert particle_diameter(workspace, source) == 170
