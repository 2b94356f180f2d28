"""What every test shares: NaNs stop a test, a small real table, and a way to start Python."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import jax
import numpy as np
import pytest

from qc_jax.data.table import PairTable, open_table
from tests.zygote import Zygote

# Compilation is what tests cost: what one test has compiled the others, and the scripts they start,
# take from here; and it is done quickly, as what is then computed is little.
_COMPILED = tempfile.mkdtemp(prefix="qc_jax_compiled_")
atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
jax.config.update("jax_compilation_cache_dir", _COMPILED)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_disable_most_optimizations", True)
SCRIPT_ENVIRONMENT = {
    "JAX_COMPILATION_CACHE_DIR": _COMPILED,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}
# Halves what is left of it. Not under a newer JAX: a flag that it does not know ends the process.
_FLAG = "--xla_cpu_use_fusion_emitters=false"
if jax.__version_info__ <= (0, 10, 2) and _FLAG not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}"
# Threads wait for each other longer than they work on small matrices.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# Rows of the shipped table: every block of the periodic table, single bonds to triple ones, ionic,
# metallic and van der Waals pairs, homonuclear ones.
SMALL_TABLE_NAMES = (
    "Ag_Al",
    "Al_Al",
    "Ar_Ar",
    "Au_Cu",
    "Br_K",
    "C_C",
    "C_H",
    "C_N",
    "C_O",
    "Cl_H",
    "Cl_Na",
    "F_F",
    "F_H",
    "Fe_O",
    "H_H",
    "H_Li",
    "H_O",
    "He_He",
    "La_O",
    "N_N",
    "O_Ti",
    "P_Si",
    "Pb_S",
    "Zn_Zn",
)


@pytest.fixture(autouse=True)
def _debug_nans():
    """A NaN that JAX makes fails the test; `with jax.debug_nans(False):` where one is wanted."""
    jax.config.update("jax_debug_nans", True)


@pytest.fixture(scope="session")
def small_table() -> PairTable:
    """About 24 real pairs of the shipped table, in its order; read only."""
    table = open_table("gfn2_xtb")
    rows = np.flatnonzero(np.isin(table.names, SMALL_TABLE_NAMES))
    assert len(rows) >= 20, f"the shipped table holds only {table.names[rows]} of the small one"
    return table.take(rows)


@pytest.fixture(scope="session")
def run_python(tmp_path_factory) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """Starts Python as a user would: `run_python("-m", "experiments.train", ..., devices=2)`.

    A module is run in a fork of a process that has its libraries, unless an environment variable
    is given that those read when they are imported.
    """
    zygote = None
    folder = tmp_path_factory.mktemp("outputs")

    def run(*args: object, devices: int = 1, cwd: object = None, timeout: float = 300, **env: str):
        nonlocal zygote
        environment = os.environ | SCRIPT_ENVIRONMENT | env
        if devices != 1:
            count = f"--xla_force_host_platform_device_count={devices}"
            environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {count}"
        first, *words = map(str, args)
        if first == "-m" and not any(name.startswith(("JAX_", "PYTHON")) for name in env):
            zygote = zygote or Zygote(os.environ | SCRIPT_ENVIRONMENT)
            return zygote.run(words, folder, cwd, environment, timeout)
        return subprocess.run(
            [sys.executable, first, *words],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment,
            timeout=timeout,
        )

    yield run
    if zygote is not None:
        zygote.close()


@pytest.fixture(scope="session")
def tfds_data_dir(tmp_path_factory) -> str:
    """A TFDS data_dir with quantum_canvas/ptbp of the shipped table, prepared; read only."""
    import tensorflow_datasets as tfds

    import qc_jax.datasets  # noqa: F401  (registers the dataset)

    data_dir = str(tmp_path_factory.mktemp("tfds"))
    tfds.builder("quantum_canvas/ptbp", data_dir=data_dir).download_and_prepare()
    return data_dir


@pytest.fixture
def tfds_of_small_table(monkeypatch, small_table) -> PairTable:
    """What is built of quantum_canvas/ptbp meanwhile holds the small table, for speed."""
    from qc_jax.datasets import quantum_canvas

    monkeypatch.setattr(quantum_canvas, "open_table", lambda name: small_table)
    return small_table
