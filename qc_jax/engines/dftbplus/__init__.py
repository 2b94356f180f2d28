"""DFTB+: its outputs read, and the program run."""

from qc_jax.engines.dftbplus.pair import read_pair
from qc_jax.engines.dftbplus.tree import read_tree

__all__ = ["read_pair", "read_tree"]
