"""Tight binding (DFTB) in JAX: pseudo-atoms, two-centre integrals, charges and energies."""

import importlib
from typing import Any

# Public name → the module that holds it, imported on first use.
_HOMES: dict[str, str] = {
    "Calculator": "qc_jax.dftb.calculator",
    "covered_symbols": "qc_jax.dftb.parameters",
    "energy_function": "qc_jax.dftb.calculator",
    "NotConverged": "qc_jax.dftb.convergence",
    "pair_tables": "qc_jax.dftb.tables",
    "PairTables": "qc_jax.dftb.tables",
    "hubbards": "qc_jax.dftb.pseudo",
    "parameter_function": "qc_jax.dftb.differentiable",
    "parameter_gradient": "qc_jax.dftb.differentiable",
    "pseudo_atom": "qc_jax.dftb.pseudo",
    "pseudo_atom_tangent": "qc_jax.dftb.pseudo",
    "pseudo_atoms": "qc_jax.dftb.pseudo",
    "PseudoAtom": "qc_jax.dftb.pseudo",
    "slater_koster_tables": "qc_jax.dftb.tables",
    "Solution": "qc_jax.dftb.solver",
    "solve": "qc_jax.dftb.solver",
    "solve_all": "qc_jax.dftb.solver",
    "two_center": "qc_jax.dftb.integrals",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
