"""Linear algebra in batches, and that no program hands a CPU's LAPACK a batch."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.dftb import convergence, linalg, pseudo, relax
from qc_jax.dftb import pairs as two
from qc_jax.dftb.parameters import parameters
from tests.dftb import reference


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def test_batches_of_batches():
    rng = np.random.default_rng(0)
    a = np.eye(3) + 0.1 * rng.normal(size=(2, 4, 3, 3))
    b = rng.normal(size=(4, 3))
    run = jax.jit(jax.vmap(jax.vmap(linalg.solve), in_axes=(0, None)))
    expected = np.linalg.solve(a, np.broadcast_to(b, (2, 4, 3))[..., None])[..., 0]
    np.testing.assert_allclose(run(a, b), expected, rtol=1e-12)
    step = jax.jvp(lambda x: jax.vmap(linalg.inverse)(x), (a[0],), (a[1],))[1]
    inverse = np.linalg.inv(a[0])
    np.testing.assert_allclose(step, -inverse @ a[1] @ inverse, rtol=1e-10)


def batched_calls(lowered) -> list[str]:
    """LAPACK's calls in a program with a batch of more than one matrix among their operands."""
    calls = [line for line in lowered.as_text().splitlines() if "@lapack_" in line]
    assert calls
    matrices = r"tensor<(?:1x)*((?:\d+x){3,})f64>"
    return [line for line in calls if re.search(matrices, line.rpartition(":")[2])]


def _solver(found) -> list:
    molecule = convergence.padded(["H", "H"], found)
    many = jax.tree.map(lambda x: np.stack([x] * 64), molecule)
    places, guess = np.zeros((64, 2, 3)), np.zeros((64, 2))
    run = convergence.energies
    return batched_calls(run.lower(many, found.tables, found.repulsion, places, 1e-3, guess))


def _walks(found) -> list:
    walks = relax.begin(np.ones(64), np.ones((64, 2)))
    pairs = two.build([("H", "H")] * 64, found)
    return batched_calls(relax._advance.lower(walks, pairs, found.tables, found.repulsion, 1e-3))


def _atoms(_) -> list:
    grid = pseudo.exact_atom.make_grid(6, 3.0, 2.0)
    grids = jax.tree.map(lambda x: jnp.stack([x, x]), grid)
    configuration = pseudo.exact_configuration(parameters("C"))
    calls = batched_calls(pseudo.solve_exact.lower(configuration, jnp.ones(2), 2.0, grids))
    small = [line for line in calls if "tensor<2x6x" in line]  # Anderson's six steps
    assert small
    return [line for line in calls if line not in small]


@pytest.mark.parametrize(
    "batches", [_solver, *(pytest.param(x, marks=pytest.mark.slow) for x in (_walks, _atoms))]
)
def test_no_program_parts_a_batch_among_its_own_threads(batches, tmp_path):
    """jaxlib's LAPACK would do that, and where all threads wait for it there is no end."""
    reference.write(tmp_path, {"H-H": reference.of_fixture()[0]["H-H"]})
    assert not batches(convergence.load(str(tmp_path), ["H"]))


@pytest.mark.slow
def test_many_molecules_many_times(tmp_path):
    """Under load one of a hundred such runs did not end."""
    reference.write(tmp_path, reference.of_fixture()[0])
    code = (
        "import sys, numpy as np, qc_jax.dftb\n"
        "points = [(['O', 'O'], float(r)) for r in np.linspace(0.8, 3, 120)]\n"
        "for _ in range(300): qc_jax.dftb.solve_all(points, sys.argv[1])"
    )
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=600)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
