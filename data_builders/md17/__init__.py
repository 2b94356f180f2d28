"""Register the dataset `md17` with TFDS."""

from qc_jax.datasets.md17 import Builder

__all__ = ["Builder"]
