"""Programs of tight binding for accelerators, on a machine that has none."""

import importlib.util
import os
import subprocess
import sys

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
            convergence.energies_and_gradients,
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


def compile_for_a_tpu(name: str, directory: str) -> None:
    """Compile a program for one chip of a v5e by libtpu, in a process of its own."""
    from jax.experimental import topologies

    chip = topologies.get_topology_desc("v5e:2x2", platform="tpu").devices[0]
    sharding = jax.sharding.SingleDeviceSharding(chip)

    def shape(x):
        return jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype, sharding=sharding)

    with jax.enable_x64(True):
        function, arguments = programs(directory)[name]
        compiled = function.lower(*jax.tree.map(shape, arguments)).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 16e9


@pytest.mark.slow  # minutes: float64 is made of pairs of float32
@pytest.mark.skipif(not importlib.util.find_spec("libtpu"), reason="needs pip install 'jax[tpu]'")
@pytest.mark.parametrize("name", ["point", "relaxation"])
def test_it_compiles_for_a_tpu(name, tmp_path):
    reference.write(tmp_path, {"H-H": reference.of_fixture()[0]["H-H"]})
    quiet = {"TPU_LOG_DIR": "disabled", "TPU_STDERR_LOG_LEVEL": "3", "TPU_MIN_LOG_LEVEL": "3"}
    code = (
        f"from tests.dftb import test_tpu; test_tpu.compile_for_a_tpu({name!r}, {str(tmp_path)!r})"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=os.environ | quiet | {"TPU_SKIP_MDS_QUERY": "1", "JAX_PLATFORMS": "cpu"},
        timeout=3000,
    )
