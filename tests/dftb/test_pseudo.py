"""Pseudo-atoms against numbers of another program (Hotcent 2 with libxc)."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qc_jax.dftb
from qc_jax.data import files
from qc_jax.dftb import exact_atom, pseudo
from qc_jax.dftb.parameters import parameters
from qc_jax.errors import InputError

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "ptbp" / "atoms.json"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE, str(tmp_path))
    monkeypatch.setattr(pseudo, "_made", {})


def free_levels(symbol):
    element = parameters(symbol)
    radii = [pseudo.free_radius(symbol), element.r0_wave]
    atoms = pseudo.run_atoms([element, element], radii, [pseudo.FREE_POWER, element.power])
    order = list(element.configuration)
    return atoms, {shell: atoms.levels[0, order.index(shell)] for shell in element.valence}


# Of every block and period one; the table's Mg, Al, Si, P, Ca, Sr and Cr are of another box.
BLOCKS = ("Li", "O", "Cl", "Fe", "Br", "Ag", "La", "Au", "Ra")


@pytest.mark.parametrize(
    "symbol", ["H", *(pytest.param(symbol, marks=pytest.mark.slow) for symbol in BLOCKS)]
)
def test_free_atom_has_the_onsite_energies_of_the_table(symbol):
    element = parameters(symbol)
    atoms, levels = free_levels(symbol)
    held = np.array(list(element.configuration.values()))
    norms = np.trapezoid(
        atoms.orbitals[0, : len(held)] ** 2, pseudo.grid_of(element, atoms.density.shape[1])
    )
    np.testing.assert_allclose(norms, 1, atol=1e-10)
    assert held.sum() == element.atomic_number
    for shell, level in levels.items():
        assert abs(level - element.onsite[shell[1]]) < 2e-6, shell


@pytest.mark.parametrize(
    "symbol",
    ["H", *(pytest.param(s, marks=pytest.mark.slow) for s in ("C", "O", "Al", "Cl", "Ag", "Au"))],
)
def test_pseudo_atoms_are_the_other_programs(symbol):
    if not SHARED.exists():
        pytest.skip("needs the reference atoms of ../shared")
    reference = json.loads(SHARED.read_text())
    if symbol not in reference["atoms"]:
        pytest.skip(f"{symbol} is not among the reference atoms")
    r, of = np.array(reference["radii_bohr"]), reference["atoms"][symbol]
    atom = qc_jax.dftb.pseudo_atom(symbol)
    for shell, level in of["eigenvalues_confined_hartree"].items():
        assert abs(atom.levels[shell] - level) < 1e-6
        expected = np.array(of["radial_function"][shell])
        expected *= np.sign(expected[0])
        np.testing.assert_allclose(
            atom.radial(shell, r), expected, rtol=0, atol=1e-6 * abs(expected).max()
        )
    np.testing.assert_allclose(atom.density(r), of["density"], rtol=1e-5)
    expected = np.array(of["neutral_atom_potential"])
    np.testing.assert_allclose(atom.neutral_potential(r), expected, rtol=1e-5, atol=1e-7)


def test_a_second_call_reads_the_cache(monkeypatch):
    first = pseudo.pseudo_atom("H")
    monkeypatch.setattr(pseudo, "_made", {})
    monkeypatch.setattr(pseudo, "run_atoms", None)
    second = pseudo.pseudo_atom("H")
    assert second is not first and second.levels == first.levels
    np.testing.assert_array_equal(second.orbitals["1s"], first.orbitals["1s"])


@pytest.mark.slow
def test_exact_form_is_near_the_published_and_has_derivatives():
    exact, published = pseudo.pseudo_atom("H", "exact"), pseudo.pseudo_atom("H")
    assert 5e-5 < abs(exact.levels["1s"] - published.levels["1s"]) < 5e-4
    assert abs(np.trapezoid(exact.orbitals["1s"] ** 2, exact.grid) - 1) < 1e-4
    r = np.geomspace(0.1, 6, 50)  # the published functions are flat about the nucleus
    np.testing.assert_allclose(exact.radial("1s", r), published.radial("1s", r), atol=5e-3)
    element, step = parameters("H"), 1e-2
    with jax.enable_x64(True):
        grid = exact_atom.make_grid(1, element.r0_wave, element.power)
        levels = pseudo.solve_exact(
            pseudo.exact_configuration(element),
            element.r0_wave + step * jnp.array([-2, -1, 1, 2]),
            element.power,
            jax.tree.map(lambda x: jnp.stack([x] * 4), grid),
        ).levels[:, 0]
    slope = pseudo.pseudo_atom_tangent("H", "r0_wave").levels["1s"]
    # The levels settle to 1e-8 hartree.
    assert abs(slope - np.dot([1, -8, 8, -1], np.asarray(levels)) / (12 * step)) < 3e-6


@pytest.mark.slow
def test_exact_form_has_nists_levels_of_carbon():
    # S. Kotochigova et al., Phys. Rev. A 55, 191 (1997), LDA, non-relativistic.
    element = parameters("C")
    with jax.enable_x64(True):
        grid = exact_atom.make_grid(6, 200.0, 4.0)
        atom = pseudo.solve_exact(
            pseudo.exact_configuration(element),
            jnp.array([200.0]),
            4.0,
            jax.tree.map(lambda x: x[None], grid),
            functional="lda",
            light=1e8,
        )
        levels, energy = np.asarray(atom.levels[0]), float(atom.energy[0])
    np.testing.assert_allclose(levels, [-9.947718, -0.500866, -0.199186], atol=2e-6)
    assert abs(energy + 37.425749) < 2e-6


@pytest.mark.slow
@pytest.mark.parametrize("symbol", ["H", "C", "Fe"])
def test_hubbards_are_those_of_the_table(symbol):
    for shell, value in pseudo.hubbards(symbol).items():
        assert abs(value - parameters(symbol).hubbard[shell]) < 1e-4, shell


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"element 'U'; expected one of: H, He, .*Ra, Th"):
        pseudo.pseudo_atom("U")
    with pytest.raises(InputError, match=r"form of pseudo-atoms 'both'; choose one of: exact"):
        pseudo.pseudo_atom("H", form="both")
    with pytest.raises(InputError, match=r"valence shell of H '2p'; choose one of: 1s"):
        pseudo.pseudo_atom("H").radial("2p", 1.0)
