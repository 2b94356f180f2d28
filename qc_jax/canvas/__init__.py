"""The canvas: a two-atom system as an image of ten channels, and the numbers behind it."""

from qc_jax.canvas.basis import CHANNELS, FEATURES, Feature
from qc_jax.canvas.decode import decode
from qc_jax.canvas.features import features, features_from
from qc_jax.canvas.render import render

__all__ = ["CHANNELS", "FEATURES", "Feature", "decode", "features", "features_from", "render"]
