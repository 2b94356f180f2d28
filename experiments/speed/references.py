"""The PyTorch networks of tests/references, which are in a clone alone."""

import importlib
import importlib.util
import types

from qc_jax.errors import InputError

_PACKAGE = "tests.references"


def module(name: str) -> types.ModuleType | None:
    """Return the module of a model's reference network, or another one; None where there is none.

    Raises:
      InputError: this is no clone, or a package that they need is not installed.
    """
    try:
        if importlib.util.find_spec(_PACKAGE) is None:
            raise ModuleNotFoundError(name=_PACKAGE)
    except ModuleNotFoundError as error:
        raise InputError(
            "--reference: the PyTorch networks are in tests/references of a clone; start "
            "`python -m experiments.speed` in the clone's folder"
        ) from error
    if importlib.util.find_spec(f"{_PACKAGE}.{name}") is None:
        return None
    try:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        install = importlib.import_module(_PACKAGE).INSTALL
        raise InputError(
            f"--reference: {error.name} is not installed, which the PyTorch networks need; "
            f"{install}"
        ) from error


def timing() -> types.ModuleType:
    """Return what trains and predicts with them, as `module` does."""
    found = module("timing")
    assert found is not None, "it is there, beside the networks"
    return found
