"""What every test shares: NaNs stop a test, a small real table, and a way to start Python."""

import os
import subprocess
import sys
from collections.abc import Callable

import jax
import numpy as np
import pytest

from qc_jax.data.table import PairTable, open_table

# Rows of the shipped table: every block of the periodic table, single bonds to triple ones, ionic,
# metallic and van der Waals pairs, homonuclear ones, and He_He without a LUMO.
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
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """Starts Python as a user would: `run_python("-m", "experiments.train", ..., devices=2)`."""

    def run(*args: object, devices: int = 1, cwd: object = None, timeout: float = 300, **env: str):
        environment = os.environ | env
        if devices != 1:
            environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        return subprocess.run(
            [sys.executable, *map(str, args)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment,
            timeout=timeout,
        )

    return run
