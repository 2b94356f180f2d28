"""Models by name: what can be asked for, what is refused, what is told about them."""

import re

import jax
import numpy as np
import pytest

from qc_jax import models
from qc_jax.data.targets import INPUTS
from qc_jax.errors import InputError
from qc_jax.models._base import Range, channels, hyper_parameters
from qc_jax.train import transfer


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("foo", {}, "unknown model 'foo'; choose one of: .*egnn, .*gcn, .*schnet"),
        ("egnn", {"width": 3}, "unknown hyper-parameter of egnn 'width'; choose one of: hidden"),
        ("egnn", {"parent": None}, "unknown hyper-parameter of egnn 'parent'"),
        ("egnn", {"hidden": "many"}, "hidden of egnn: expected int like 94, got 'many'"),
        ("egnn", {"layers": 0}, "layers of egnn: expected at least 1, got 0"),
        ("egnn", {"layers": True}, "layers of egnn: expected int like 7, got True"),
        ("egnn", {"move_atoms": 1}, "move_atoms of egnn: expected bool like True, got 1"),
        ("schnet", {"cutoff": 0}, "cutoff of schnet: expected above 0, got 0.0"),
        ("schnet", {"cutoff": "5"}, "cutoff of schnet: expected float like 5.0, got '5'"),
        ("schnet", {"readout": "max"}, "readout of schnet 'max'; choose one of: add, mean"),
        ("schnet", {"readout": ["add"]}, "readout of schnet"),
        ("gcn", {"dropout": 1.0}, "dropout of gcn: expected at least 0 and below 1, got 1.0"),
        ("schnet", {"gaussians": 1}, "gaussians of schnet: expected at least 2, got 1"),
        ("schnet", {"hidden": 1}, "hidden of schnet: expected at least 2, got 1"),
        ("gotennet", {"max_degree": 3}, "expected at least 1 and at most 2, got 3"),
        ("nequip", {"average_neighbors": 0}, "of nequip: expected above 0, got 0.0"),
        ("gcn", {"cutoff": float("inf")}, "cutoff of gcn: expected above 0, got inf"),
        (
            "gcn",
            {"dropout": float("nan")},
            "dropout of gcn: expected at least 0 and below 1, got nan",
        ),
    ],
)
def test_wrong_hyper_parameters(name, overrides, words):
    with pytest.raises(InputError, match=words):
        models.create(name, **overrides)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((0, 10), "expected some of 0 to 9, each once, got (0, 10)"),
        ((-1,), "each once, got (-1,)"),
        ([3, 3], "each once, got (3, 3)"),
        ((), "each once, got ()"),
        ((1.0,), "expected a tuple of int like (0, 1), got (1.0,)"),
        (3, "expected a tuple of int like (0, 1), got 3"),
        ("012", "expected a tuple of int like (0, 1), got '012'"),
    ],
)
def test_wrong_channels(imaginary, value, words):
    with pytest.raises(InputError, match=re.escape(words)):
        models.create("imaginary", channels=value)


def test_tuples_come_as_lists_from_json(imaginary):
    assert models.create("imaginary", channels=[4, 2]).channels == (4, 2)


def test_what_does_not_go_together(imaginary):
    with pytest.raises(InputError, match="3 heads cannot share width 8"):
        models.create("imaginary", heads=3)


def test_a_layer_may_be_left_out_where_the_default_says_so(imaginary):
    assert models.create("imaginary", extra_layers=0).extra_layers == 0
    with pytest.raises(InputError, match="extra_layers of imaginary: expected at least 0, got -1"):
        models.create("imaginary", extra_layers=-1)


class Imaginary(models.Architecture):
    """Imaginary Network: hyper-parameters of kinds that no other has."""

    channels: tuple[int, ...] = channels(0, 1)
    heads: int = 2
    width: int = 8
    extra_layers: int = 0
    outputs: int = 1

    def check(self):
        if self.width % self.heads:
            raise InputError(f"{self.heads} heads cannot share width {self.width}")


@pytest.fixture
def imaginary(registry):
    models.register("imaginary", Imaginary)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.available())
def test_the_least_value_of_each_range_works(name):
    """Or is refused together with the others' values: no hyper-parameter ends in a traceback."""
    model, batch = models.resolve(name), models.sample()
    for key, field in hyper_parameters(model).items():
        if field.type not in (int, float, tuple[int, ...]) or model.closed_form:
            continue
        if key == "max_atomic_number":  # the sample's oxygen is then refused before a model sees it
            continue
        limits = field.metadata.get("qc_jax_range")
        if field.type is int:
            least = limits.at_least if isinstance(limits, Range) else min(1, field.default)
        if field.type is float:
            least = 1e-3 if isinstance(limits, Range) and limits.above == 0 else 0.0
        if field.type == tuple[int, ...]:
            least = (0,) if isinstance(limits, frozenset) else (1,) * len(field.default)
        try:
            made = models.create(name, **{key: least})
        except InputError:
            continue
        outputs = jax.jit(lambda made=made: made.init_with_output(jax.random.key(0), batch)[0])()
        assert np.isfinite(outputs).all(), (key, least)


@pytest.mark.parametrize("name", models.available())
def test_description(name):
    got = models.describe(name)
    assert got.name == name and got.title
    closed_form = models.create(name).closed_form
    assert closed_form or re.search(r"arXiv \d{4}\.\d{4,5}|doi:? ?10\.\S+|openreview", got.paper)
    assert got.inputs and set(got.inputs) <= set(INPUTS)
    model = models.create(name)
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), models.sample()))
    assert got.parameters == sum(
        np.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"])
    )


@pytest.mark.parametrize("name", ["multimodal", "film_cnn", "qsn_v2", "quantumshellnet", "vit"])
def test_the_heads_layers(name):
    """Whatever has a number an output is of them."""
    model = models.create(name)
    one, two = (
        jax.eval_shape(lambda of=of: of.init(jax.random.key(0), models.sample()))["params"]
        for of in (model, model.clone(outputs=2))
    )
    last = {key for key in one if one[key] != two[key]}
    assert last == {key for key in last if transfer.kind(f"params/{key}", model.head_layers)}
    assert last and any(not transfer.kind(f"params/{key}", model.head_layers) for key in one)


def test_what_a_description_says():
    got = models.describe("schnet")
    assert got.title == "SchNet" and "1712.06113" in got.paper
    assert got.inputs == ("atomic_numbers", "positions")
    assert got.leaked_targets == ("repulsive_energy_ev", "distance_ang")
    assert got.options == models.defaults("schnet")
    assert models.describe("gcn").leaked_targets == ()
    distances = models.create("gcn", edge_features="distance")
    assert distances.inputs == got.inputs
    assert distances.no_forces_reason.endswith("of positions: its ReLUs make forces jump")
    with pytest.raises(InputError, match="unknown model 'foo'"):
        models.describe("foo")


@pytest.mark.parametrize("name", models.available())
def test_defaults_can_be_asked_for_again(name):
    defaults = models.defaults(name)
    assert "outputs" not in defaults
    assert models.create(name, **defaults) == models.create(name)
