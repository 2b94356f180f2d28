import json
import pathlib

import jax
import numpy as np
import pytest

from qc_jax.dftb import PseudoAtom, integrals, pseudo_atom, quadrature, radial, two_center
from qc_jax.errors import InputError

FIXTURE = np.load(pathlib.Path(__file__).parents[1] / "fixtures" / "ptbp_integrals.npz")
COLUMNS = ("dds", "ddp", "ddd", "pds", "pdp", "pps", "ppp", "sds", "sps", "sss")


@pytest.fixture(scope="module")
def slater_atom() -> PseudoAtom:
    """Orbitals r^l exp(-r) and no density, whose integrals are known in closed form."""
    grid = np.geomspace(1e-5, 100, 3000)
    norms = {"1s": 4.0, "2p": 4 / 3, "3d": 8 / 45}  # of u² = norm · r^(2l+2) exp(-2r)
    orbitals = {
        shell: np.sqrt(norm) * grid ** (power + 1) * np.exp(-grid)
        for power, (shell, norm) in enumerate(norms.items())
    }
    empty = np.zeros_like(grid)
    return PseudoAtom("H", 1, "exact", tuple(orbitals), {}, grid, orbitals, empty, 1 / grid)


def test_integrals_of_slater_functions(slater_atom):
    r = np.array([0.5, 1.4, 4.0, 8.0])
    found = two_center(slater_atom, slater_atom, r, form="exact")
    overlap, kinetic = found["sss_1s_1s"]  # H is T alone: the potential and density are none
    expected = np.exp(-r) * (1 + r + r**2 / 3)
    np.testing.assert_allclose(overlap, expected, atol=1e-6)
    np.testing.assert_allclose(kinetic, -expected / 2 + np.exp(-r) * (1 + r), atol=1e-5)
    pi = np.exp(-r) * (1 + r + 0.4 * r**2 + r**3 / 15)
    np.testing.assert_allclose(found["ppp_2p_2p"][0], pi, atol=1e-6)
    sigma = np.exp(-r) * (1 + r + r**2 / 5 - 2 * r**3 / 15 - r**4 / 15)
    np.testing.assert_allclose(found["pps_2p_2p"][0], sigma, atol=1e-6)
    for name, (value, _) in found.items():  # the other way round, by parity
        kind, first, second = name.split("_")
        other = found[f"{kind[1]}{kind[0]}{kind[2]}_{second}_{first}"][0]
        parity = (-1) ** ("spd".index(kind[0]) + "spd".index(kind[1]))
        np.testing.assert_allclose(value, parity * other, atol=1e-9)
    assert len(found) == 14


def test_both_rules_measure_the_half_plane():
    for ratio in (0.1, 0.7, 1.2):
        sums = []
        for points in (quadrature.published_points(ratio), quadrature.gauss_points(ratio)):
            near, far = np.hypot(points.x, points.z), np.hypot(points.x, points.z - ratio)
            sums.append(np.sum(points.weight * np.exp(-8 * (near**2 + far**2))))
        exact = np.exp(-4 * ratio**2) * np.sqrt(np.pi / 16) / 32  # a Gaussian about the middle
        np.testing.assert_allclose(sums[1], exact, rtol=5e-5)
        np.testing.assert_allclose(sums[0], exact, rtol=5e-2)  # a coarse rule


def test_gradient_term_is_the_divergence_of_cubic_fields():
    """A field that is a bicubic polynomial is fitted exactly, padding or not."""
    points = quadrature.published_points(0.6)
    more = points.padded(quadrature.MOST_PUBLISHED)
    with jax.enable_x64(True):
        x, z = 2 * more.x, 2 * more.z  # bohr
        found = integrals._gradient_term(more, 2.0, x**3 * z**2, x * z - 2 * z**3)
    expected = -2 * (3 * x**2 * z**2 + x - 6 * z**2)
    np.testing.assert_allclose(found[: len(points.x)], expected[: len(points.x)], atol=1e-8)


def _check_published(first: str, second: str) -> None:
    distances, rows = FIXTURE["distances"], FIXTURE[f"published:{first}-{second}"]
    found = two_center(first, second, distances)
    for name, (overlap, hamiltonian) in found.items():
        kind = name.split("_")[0]
        if kind not in COLUMNS:  # stands in the table of the other direction
            continue
        column = COLUMNS.index(kind)
        held = np.abs(rows[:, column + 10]) > 1e-6
        np.testing.assert_allclose(overlap[held], rows[held, column + 10], atol=1e-6)
        np.testing.assert_allclose(hamiltonian[held], rows[held, column], atol=1e-6)


def test_published_form():
    _check_published("H", "H")


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["O-H", "H-O", "O-O", "Ag-Al", "Al-Ag"])
def test_published_form_of_other_pairs(pair):
    _check_published(*pair.split("-"))


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["O-H", "O-O", "Ag-Al"])
def test_exact_quadrature_of_published_atoms(pair):
    first, second = (pseudo_atom(symbol) for symbol in pair.split("-"))
    rows = json.loads(str(FIXTURE["converged"]))[pair]
    found = two_center(first, second, [float(r) for r in rows], form="exact")
    tolerance = 1e-4 if pair == "Ag-Al" else 2e-5
    for k, values in enumerate(rows.values()):
        for name, (overlap, hamiltonian) in values.items():
            assert found[name][0][k] == pytest.approx(overlap, abs=tolerance)
            assert found[name][1][k] == pytest.approx(hamiltonian, abs=tolerance)


def test_directions_differ_by_the_kinetic_side(slater_atom):
    """T on the first atom's orbital is what the reverse order computes."""
    with jax.enable_x64(True):
        atom = integrals.prepare(slater_atom)
        points = integrals.points_at("published", 0.2)
        scale = 10.0
        found = integrals.pair_integrals(atom, atom, scale, 2.0, points, exact=False)
    parity = np.array([(-1) ** (a + b) for a, b, _ in integrals.INTEGRALS])
    swapped = [integrals.INTEGRALS.index((b, a, m)) for a, b, m in integrals.INTEGRALS]
    expected = parity * np.asarray(found.hamiltonian)[swapped]
    np.testing.assert_allclose(found.reverse, expected, atol=1e-9)
    assert np.abs(np.asarray(found.reverse) - np.asarray(found.hamiltonian)).max() > 1e-5


def test_bad_input(slater_atom):
    with pytest.raises(InputError, match="above 0 bohr"):
        two_center(slater_atom, slater_atom, [1.0, -2.0])
    with pytest.raises(InputError, match="unknown form 'best'"):
        two_center(slater_atom, slater_atom, 1.0, form="best")


def test_beyond_all_ranges_all_is_zero(slater_atom):
    assert two_center(slater_atom, slater_atom, 90.0)["sss_1s_1s"] == (0.0, 0.0)


@pytest.mark.slow
def test_gradients_by_the_orbitals(slater_atom):
    """An orbital scaled by 1 + t: integrals with it grow by t, its products with itself by 2 t."""
    with jax.enable_x64(True):
        values = radial.atom_values(slater_atom)
        points = integrals.points_at("exact", 0.2)

        def overlap_and_hamiltonian(t):
            orbitals = values.orbitals.at[0].multiply(1 + t)
            atom = radial.splines(values._replace(orbitals=orbitals))
            found = integrals.pair_integrals(atom, atom, 10.0, 2.0, points, exact=True)
            return found.overlap, found.hamiltonian

        value, slope = jax.jit(lambda t: jax.jvp(overlap_and_hamiltonian, (t,), (1.0,)))(0.0)
    times = np.array([(a == 0) + (b == 0) for a, b, _ in integrals.INTEGRALS])
    for one, rise in zip(value, slope, strict=True):
        np.testing.assert_allclose(rise, times * np.asarray(one), atol=1e-10)
