"""DFTB+: reads what the program has written."""

from qc_jax.engines.dftbplus.pair import read_pair
from qc_jax.engines.dftbplus.tree import read_tree

__all__ = ["read_pair", "read_tree"]
