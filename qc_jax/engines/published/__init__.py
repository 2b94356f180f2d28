"""The published file, `dataset_combined.npz`: read without trusting it, and written."""

from qc_jax.engines.published.columns import LABELS, count_kinds
from qc_jax.engines.published.reader import PUBLISHED_DOI, PUBLISHED_FILE, PUBLISHED_MD5, read
from qc_jax.engines.published.writer import write

__all__ = [
    "LABELS",
    "PUBLISHED_DOI",
    "PUBLISHED_FILE",
    "PUBLISHED_MD5",
    "count_kinds",
    "read",
    "write",
]
