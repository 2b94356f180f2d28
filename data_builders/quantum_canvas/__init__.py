"""Register the dataset `quantum_canvas` with TFDS."""

from qc_jax.datasets.quantum_canvas import Builder

__all__ = ["Builder"]
