"""Register the dataset `qm9_files` with TFDS."""

from qc_jax.datasets.qm9 import Builder

__all__ = ["Builder"]
