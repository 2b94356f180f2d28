"""Programs of tight binding for accelerators, on a machine that has none."""

import jax
import numpy as np
import pytest

from qc_jax.dftb import arrays, convergence, pseudo_atom, relax, solve
from qc_jax.dftb import pairs as two
from qc_jax.errors import InputError
from tests.dftb import reference


def programs(directory: str) -> dict:
    """The programs of single points and of relaxations of H2, each with its arguments."""
    found = convergence.load(directory, ["H"])
    rest = found.tables, found.repulsion
    molecule = jax.tree.map(lambda x: x[None], convergence.padded(["H", "H"], found))
    kt = np.float64(convergence.kt_of(300.0))
    walks = relax.begin(np.ones(2), np.ones((2, 2)))
    return {
        "point": (
            convergence.energies,
            (molecule, *rest, np.zeros((1, 2, 3)), kt, np.zeros((1, 2))),
        ),
        "relaxation": (
            relax._advance,
            (walks, two.build([("H", "H")] * 2, found), *rest, kt),
        ),
    }


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize("name", ["point", "relaxation"])
def test_every_operation_is_there(name, platform, tmp_path):
    reference.write(tmp_path, {"H-H": reference.of_fixture()[0]["H-H"]})
    with jax.enable_x64(True):
        function, arguments = programs(str(tmp_path))[name]
        text = function.trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
    # There a batch stays whole.
    assert "f64" in text and "lapack" not in text


def test_on_a_tpu_it_is_refused(monkeypatch):
    monkeypatch.setattr(arrays, "_platform", lambda: "tpu")
    for compute in (lambda: solve(["H", "H"], 0.75), lambda: pseudo_atom("H")):
        with pytest.raises(InputError, match="needs float64, which a TPU has not; run it in"):
            compute()
    monkeypatch.undo()
    with jax.default_device(jax.devices("cpu")[0]):
        arrays.check_device()
