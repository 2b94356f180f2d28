"""The published file, `dataset_combined.npz`: read without trusting it, and written."""

from qc_jax.engines.published.columns import LABELS
from qc_jax.engines.published.reader import PUBLISHED_DOI, PUBLISHED_FILE, PUBLISHED_MD5, read
from qc_jax.engines.published.writer import write

__all__ = [
    "LABELS",
    "PUBLISHED_DOI",
    "PUBLISHED_FILE",
    "PUBLISHED_MD5",
    "read",
    "write",
]
