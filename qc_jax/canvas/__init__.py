"""The canvas: a system of two or more atoms as an image of ten channels, and its numbers."""

from qc_jax.canvas.basis import CHANNELS, FEATURES, Feature
from qc_jax.canvas.decode import SOUND_RESIDUAL, decode
from qc_jax.canvas.features import canvases, features, features_from, molecule_features
from qc_jax.canvas.render import columns_of, render, separate

__all__ = [
    "CHANNELS",
    "FEATURES",
    "SOUND_RESIDUAL",
    "Feature",
    "canvases",
    "columns_of",
    "decode",
    "features",
    "features_from",
    "molecule_features",
    "render",
    "separate",
]
