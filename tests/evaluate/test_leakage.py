"""What a linear model finds in a single input, where that is known."""

import dataclasses

import numpy as np
import pytest

from qc_jax.data import splits
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.evaluate import leakage, statistics
from tests import planted


@pytest.fixture(scope="module")
def table():
    return planted.plant(open_table("gfn2_xtb").take(np.arange(0, 2671, 3)))


@pytest.fixture(scope="module")
def skills(table):
    """Skill on the test rows, by target and input."""
    found = {}
    split = splits.make_split("random", table, planted.TARGETS, 1)
    for source, values in leakage.inputs_of(table).items():
        linear = leakage.Linear({part: values[rows] for part, rows in split.parts().items()})
        for name in planted.TARGETS:
            labels = table.targets[name]
            floor = linear.score(labels[split.train], labels[split.validation])
            wrong = np.abs(floor.predicted - labels[split.test]).mean()
            median = np.abs(np.median(labels[split.train]) - labels[split.test]).mean()
            found[name, source] = statistics.skill(wrong, median)
    return found


def test_noise_has_no_skill(skills):
    of_noise = [skill for (name, _), skill in skills.items() if name == planted.NOISE]
    assert len(of_noise) == 7 and max(of_noise) < 0.05


def test_a_planted_leak_is_found_where_it_is(skills):
    found = {source for (name, source), s in skills.items() if name == planted.LEAK and s > 0.99}
    assert found == {"charges", "canvas"}


def test_what_is_linear_in_an_input_is_found_there(skills):
    limit = 1 - leakage.LEAKED
    # Some elements are in few training rows.
    assert skills[planted.ELEMENTS, "atomic_numbers"] > 0.95
    assert skills[planted.ELEMENTS, "atomic_numbers+positions"] > 0.95
    assert skills[planted.ELEMENTS, "positions"] < 0.3
    assert skills[planted.DISTANCE, "positions"] > limit
    assert skills[planted.DISTANCE, "charges"] < 0.3
    assert skills[planted.CHANNEL, "canvas"] > limit
    assert skills[planted.CHANNEL, "dipole"] < 0.3


def test_what_canvas_charges_and_dipole_are_known_to_leak(table):
    """Of the shipped labels."""
    split = splits.make_split("random", table, ("q_std",), 1)
    inputs = leakage.inputs_of(table)
    for name, source in (("dipole_mag_d", "canvas"), ("q_maxabs", "charges"), ("q_std", "canvas")):
        assert leakage.declared(name, source)
        values, labels = inputs[source], table.targets[name]
        linear = leakage.Linear({part: values[rows] for part, rows in split.parts().items()})
        floor = linear.score(labels[split.train], labels[split.validation])
        assert np.abs(floor.predicted - labels[split.test]).max() < 1e-3 * labels.max()
    assert leakage.declared("repulsive_energy_ev", "atomic_numbers+positions") == ("positions",)
    assert not leakage.declared("e_homo_ev", "canvas")


@pytest.mark.slow
@pytest.mark.parametrize("data", ["ptbp", "gfn2_xtb"])
def test_what_densities_are_known_to_leak(data):
    """Bond length, charges and dipole; and equal densities of HOMO and LUMO where the gap is 0."""
    table = open_table(data)
    inputs = leakage.inputs_of(table)["densities"]
    for name in ("distance_ang", "q_std", "dipole_mag_d", "dipole_z_d", "metal_like", "e_homo_ev"):
        split = splits.make_split("random", table, (name,), 1)
        labels = table.columns((name,))[:, 0]
        linear = leakage.Linear({part: inputs[rows] for part, rows in split.parts().items()})
        floor = linear.score(labels[split.train], labels[split.validation])
        wrong = np.abs(floor.predicted - labels[split.test]).mean()
        median = np.abs(np.median(labels[split.train]) - labels[split.test]).mean()
        leaks = bool(1 - wrong / median > 1 - leakage.LEAKED)
        declared = bool(leakage.declared(name, "densities"))
        assert declared is (name != "e_homo_ev")
        # The dipole of GFN2-xTB has parts within the atoms, which no sum of coefficients gives,
        # though the integral of the density does.
        assert leaks is (declared and (data, name[:6]) != ("gfn2_xtb", "dipole"))


def test_densities_are_an_input_of_tables_that_have_them(table):
    assert "densities" not in leakage.inputs_of(table)


def test_a_product_is_found_by_its_logarithm():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    labels = np.exp(4 * x[:, 0])
    linear = leakage.Linear({"train": x[:200], "validation": x[200:250], "test": x[250:]})
    floor = linear.score(labels[:200], labels[200:250])
    np.testing.assert_allclose(floor.predicted, labels[250:], rtol=1e-6)
    assert "logarithms" in floor.description and floor.parameters == 4


def test_what_is_not_known_is_not_read(table):
    populations = table.populations.copy()
    populations[0] = np.nan
    inputs = leakage.inputs_of(dataclasses.replace(table, populations=populations))
    assert np.isnan(inputs["populations"][0]).any() and np.isnan(inputs["canvas"][0]).any()
    assert all(np.isfinite(values[1:]).all() for values in inputs.values())
    nothing = {"train": np.ones((3, 1)), "validation": np.ones((0, 1)), "test": np.ones((3, 1))}
    with pytest.raises(InputError, match="no validation row has this input"):
        leakage.Linear(nothing)
