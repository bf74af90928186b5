"""One declaration gives checked values, arguments, joboptions and documentation."""

import argparse
import math
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.errors import InputError
from boxwood.options import Options, option
from boxwood.options.arguments import ArgumentParser, add_arguments, as_command, given_values
from boxwood.options.joboptions import Switched, joboptions
from boxwood.options.reference import markdown

RECENTRE = Switched("do_recenter", {"recenter_x": "0", "recenter_y": "0", "recenter_z": "0"})


@dataclass(frozen=True, kw_only=True)
class Example(Options):
    particles: Path = option("particles", group="I/O", input="particles", joboption="fn_img", flag="--i")
    classes: int = option("classes", 50, at_least=1, at_most=999, joboption="nr_classes")
    iterations: int = option("iterations", 25, at_least=1, joboption=("nr_iter", "nr_iter_em"))
    diameter: float = option("diameter", 200.0, unit="Å", above=0, joboption="particle_diameter")
    limit: float | None = option("limit", None, unit="Å", above=0, joboption="highres_limit")
    zero_mask: bool = option("zeros | noise", True, joboption="do_zero_mask")
    keep: tuple[int, ...] = option("classes to keep", (), at_least=1)
    names: tuple[str, ...] = option("names", ())
    recenter: tuple[float, float, float] | None = option("x y z", None, joboption=RECENTRE)
    prior: str = option("prior", "fixed", choices=("fixed", "relion"))
    lowpass: float | None = option("low-pass", refused="there are no references")


def parse(*words):
    parser = ArgumentParser(prog="boxwood example")
    add_arguments(parser, Example)
    return Example.make(given_values(parser.parse_args(words), Example))


values = st.fixed_dictionaries(
    {"particles": st.from_regex(r"[A-Za-zÅ][\w ./]{0,20}", fullmatch=True).map(Path)},
    optional={
        "classes": st.integers(1, 999),
        "diameter": st.floats(0, 1e6, exclude_min=True),
        "limit": st.none() | st.floats(1e-3, 1e3),
        "zero_mask": st.booleans(),
        "keep": st.lists(st.integers(1, 99), max_size=5).map(tuple),
        "names": st.lists(st.from_regex(r"[a-z][\w, ]{0,9}", fullmatch=True), max_size=3).map(tuple),
        "recenter": st.none() | st.tuples(*3 * [st.floats(-1e3, 1e3)]),
        "prior": st.sampled_from(["fixed", "relion"]),
    },
)


@settings(max_examples=40)
@given(values)
def test_the_command_line_gives_the_same_values(given_options):
    options = Example(**given_options)
    assert parse(*as_command(options)) == options


def test_values_have_their_declared_types():
    options = Example(particles="p.star", diameter=3, keep=[1, 2], names="a.mrc", recenter=["1", 2, 3.5])
    assert options.particles == Path("p.star") and type(options.diameter) is float
    assert options.keep == (1, 2) and options.names == ("a.mrc",) and options.recenter == (1.0, 2.0, 3.5)
    with pytest.raises(FrozenInstanceError):
        options.classes = 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"classes": 0}, "classes is 0; it must be a whole number from 1 to 999"),
        ({"classes": 2.5}, "classes is 2.5; it must be a whole number from 1 to 999"),
        ({"classes": True}, "classes is True; it must be a whole number from 1 to 999"),
        ({"diameter": math.nan}, "diameter is nan; it must be a number above 0 Å"),
        ({"diameter": "wide"}, "diameter is 'wide'; it must be a number above 0 Å"),
        ({"diameter": None}, "diameter is None; it must be a number above 0 Å"),
        ({"zero_mask": "perhaps"}, "zero_mask is 'perhaps'; it must be yes or no"),
        ({"keep": (1, 0)}, "keep is (1, 0); it must be whole numbers of at least 1"),
        ({"recenter": (1, 2)}, "recenter is (1, 2); it must be 3 numbers"),
        ({"prior": "flat"}, "prior is 'flat'; it must be one of fixed, relion"),
        ({"particles": ""}, "particles is ''; it must be a file name"),
        ({"lowpass": 20}, "lowpass cannot be set: there are no references"),
        ({"colour": 1}, "option 'colour' is unknown; known are particles, classes, "),
        ({"particles": None}, "please give particles (particles)"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(wrong, said):
    with pytest.raises(InputError) as refused:
        Example.make({"particles": "p.star", **wrong})
    assert str(refused.value).startswith(said)


def test_lists_of_numbers_may_have_commas_and_booleans_a_no():
    options = parse(
        "--particles", "p.star", "--keep", "1,4,7", "--no-zero-mask", "--recenter", "1", "-2", "3"
    )
    assert options.keep == (1, 4, 7) and options.recenter == (1, -2, 3) and not options.zero_mask
    assert parse("--particles", "p.star", "--keep", "1", "4,", "7").keep == (1, 4, 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clases", "3"], "--clases is unknown; did you mean --classes?"),
        (["--xyz"], "--xyz is unknown; `boxwood example --help` lists the options"),
        (
            ["--classes"],
            "argument --classes: expected one argument; `boxwood example --help` lists what there is",
        ),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(words, said):
    with pytest.raises(InputError) as refused:
        parse("--particles", "p.star", *words)
    assert str(refused.value) == said


@pytest.mark.parametrize(("generation", "name"), [(3, "nr_iter"), (4, "nr_iter_em"), (5, "nr_iter_em")])
def test_joboptions_are_those_of_relion(generation, name):
    options = Example(particles="a b.star", recenter=(1.5, 2, 3), diameter=180)
    assert joboptions(options, generation) == {
        "fn_img": "a b.star",
        "nr_classes": "50",
        name: "25",
        "particle_diameter": "180",
        "highres_limit": "-1",
        "do_zero_mask": "Yes",
        "do_recenter": "Yes",
        "recenter_x": "1.5",
        "recenter_y": "2",
        "recenter_z": "3",
    }


def test_the_reference_lists_every_option_once():
    text = markdown(Example)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(Example.declared()) - 1
    assert "| `--particles` | a file name | required | particles | `fn_img` `--i` |" in rows
    assert "| `--[no-]zero-mask` | yes or no | Yes | zeros \\| noise | `do_zero_mask` |" in rows
    assert "Not accepted: `--lowpass`: there are no references." in text.splitlines()


def test_help_has_units_and_defaults():
    parser = argparse.ArgumentParser()
    add_arguments(parser, Example)
    text = " ".join(parser.format_help().split())
    assert "--diameter A diameter (default: 200 Å)" in text
    assert "--particles FILE particles (required)" in text
    assert "lowpass" not in text
