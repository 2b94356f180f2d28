"""Register the dataset `crysmtm` with TFDS."""

from qc_jax.datasets.crysmtm import Builder

__all__ = ["Builder"]
