"""Pseudo-atoms against numbers of another program (Hotcent 2 with libxc)."""

import json
import pathlib

import numpy as np
import pytest

import qc_jax.dftb
from qc_jax.dftb import cache, pseudo
from qc_jax.dftb.parameters import covered_symbols, parameters
from qc_jax.errors import InputError

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "ptbp" / "atoms.json"
# Their on-site energies in the table are of another box.
OTHER_BOX = ("Mg", "Al", "Si", "P", "Ca", "Sr", "Cr")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path))
    monkeypatch.setattr(pseudo, "_made", {})


def free_levels(symbol):
    element = parameters(symbol)
    radius, power = pseudo.FREE
    atoms = pseudo.run_atoms([element, element], [radius, element.r0_wave], [power, element.power])
    order = list(element.configuration)
    return atoms, {shell: atoms.levels[0, order.index(shell)] for shell in element.valence}


@pytest.mark.parametrize(
    "symbol", ["H", "He", *(pytest.param(s, marks=pytest.mark.slow) for s in covered_symbols()[2:])]
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
    if symbol in OTHER_BOX:
        return
    for shell, level in levels.items():
        assert abs(level - element.onsite[shell[1]]) < 2e-6, shell


@pytest.mark.parametrize(
    "symbol",
    ["H", *(pytest.param(s, marks=pytest.mark.slow) for s in ("C", "O", "Al", "Cl", "Ag", "Ti"))],
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


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"element 'U'; expected one of: H, He, .*Ra, Th"):
        pseudo.pseudo_atom("U")
    with pytest.raises(InputError, match=r"form of pseudo-atoms 'both'; choose one of: exact"):
        pseudo.pseudo_atom("H", form="both")
    with pytest.raises(InputError, match=r"valence shell of H '2p'; choose one of: 1s"):
        pseudo.pseudo_atom("H").radial("2p", 1.0)
