"""The names that other programs go by: what they take and give, for light elements and heavy."""

import numpy as np
import pytest

from qc_jax.dftb import pseudo_atom, solve_all, two_center
from qc_jax.dftb.parameters import parameters

HEAVY = [("Ag", "Au"), ("Ra", "Th"), ("La", "O")]
PAIRS = [("O", "H"), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in HEAVY)]
FORMS = ["published", pytest.param("exact", marks=pytest.mark.slow)]
pair_and_form = [
    pytest.mark.parametrize(("a", "b"), PAIRS),
    pytest.mark.parametrize("form", FORMS),
]


def of_pairs(function):
    for mark in pair_and_form:
        function = mark(function)
    return function


@of_pairs
def test_pseudo_atoms(a, b, form):
    r = np.geomspace(1e-3, 30, 4000)
    for symbol in (a, b):
        atom, element = pseudo_atom(symbol, form=form), parameters(symbol)
        assert tuple(atom.levels) == element.valence
        assert all(-2 < level < 3 for level in atom.levels.values())  # hartree
        for shell in element.valence:
            radial = atom.radial(shell, r)
            assert np.trapezoid((r * radial) ** 2, r) == pytest.approx(1, abs=2e-3), shell
            assert isinstance(float(atom.radial(shell, 1.0)), float)
        electrons = np.trapezoid(4 * np.pi * r**2 * atom.density(r), r)
        assert electrons == pytest.approx(element.atomic_number, rel=2e-3)
        potential = atom.neutral_potential(r)
        assert potential[0] * r[0] == pytest.approx(-element.atomic_number, rel=0.15)
        assert abs(potential[-1]) < 1e-4 and np.all(potential < 1e-4)


@of_pairs
def test_two_center(a, b, form):
    """Both orders say the same but for T's side; far beyond the orbitals all is zero."""
    distances = [0.2, 0.41, 3.0, 5.5, 60.0]  # bohr; files begin at 0.4 and end at 14.4
    ahead, back = two_center(a, b, distances, form=form), two_center(b, a, distances, form=form)
    first, second = (parameters(symbol).valence for symbol in (a, b))
    spd = "spd"
    expected = {
        f"{one[1]}{other[1]}{'spd'[m]}_{one}_{other}"
        for one in first
        for other in second
        for m in range(1 + min(spd.index(one[1]), spd.index(other[1])))
    }
    assert ahead.keys() == expected
    for name, (overlap, hamiltonian) in ahead.items():
        kind, one, other = name.split("_")
        sign = (-1) ** (spd.index(kind[0]) + spd.index(kind[1]))
        reverse = back[f"{kind[1]}{kind[0]}{kind[2]}_{other}_{one}"]
        assert overlap.shape == hamiltonian.shape == (5,)
        assert np.isfinite([overlap, hamiltonian]).all()
        np.testing.assert_allclose(overlap, sign * reverse[0], atol=1e-9, err_msg=name)
        limit = 1e-9 if form == "exact" else 5e-3  # T acts on the second atom's orbital
        np.testing.assert_allclose(hamiltonian[2:], sign * reverse[1][2:], atol=limit, err_msg=name)
        assert overlap[-1] == hamiltonian[-1] == 0
        single = two_center(a, b, 3.0, form=form)[name]
        assert float(single[0]) == overlap[2] and float(single[1]) == hamiltonian[2]


@of_pairs
def test_solve(a, b, form):
    electrons = {s: parameters(s).valence_electrons for s in (a, b)}
    near, far = 2.4, 40.0  # Å; the tables of the published form end at 7.6
    molecules = [
        ((a, b), near),
        ((b, a), near),
        ((a, b), [[0, 0, 0], [0, near, 0]]),
        ((a, b), far),
        ((a,), [[0, 0, 0]]),
        ((b,), [[0, 0, 0]]),
    ]
    answers = solve_all(molecules, form=form)
    for found in answers:
        n, count = len(found.symbols), sum(electrons[s] for s in found.symbols)
        assert found.total_energy_ev >= found.mermin_free_energy_ev
        assert np.all(np.diff(found.levels_ev) >= 0)
        assert found.occupations.shape == found.levels_ev.shape
        assert found.occupations.sum() == pytest.approx(count, abs=1e-8)
        assert found.populations.shape == (n, 16)
        neutral = [electrons[s] for s in found.symbols]
        np.testing.assert_allclose(
            found.populations.sum(axis=1) + found.charges_e, neutral, atol=1e-7
        )
        np.testing.assert_allclose(found.forces_ev_ang.sum(axis=0), 0, atol=1e-9)
        dipole = found.charges_e @ found.positions_ang * 4.80320
        np.testing.assert_allclose(found.dipole_d, dipole, atol=1e-3)
    ahead, back, turned, apart, *atoms = answers
    assert ahead.distance_ang == turned.distance_ang == near and apart.distance_ang == far
    limit = 1e-6 if form == "exact" else 0.1  # eV: of the published form orders differ
    assert back.total_energy_ev == pytest.approx(ahead.total_energy_ev, abs=limit)
    np.testing.assert_allclose(back.charges_e[::-1], ahead.charges_e, atol=limit)
    np.testing.assert_allclose(turned.levels_ev, ahead.levels_ev, atol=1e-8)
    np.testing.assert_allclose(turned.forces_ev_ang[:, 1], ahead.forces_ev_ang[:, 2], atol=1e-8)
    assert apart.band_energy_ev != ahead.band_energy_ev and apart.repulsive_energy_ev == 0
    alone = sum(atom.total_energy_ev for atom in atoms)
    assert apart.total_energy_ev < alone + 1e-3
