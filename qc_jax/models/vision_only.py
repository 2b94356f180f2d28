"""Vision only: a baseline of QuantumCanvas (arXiv 2512.01519), the ViT of all channels.

Ten channels and three layers give the published number of parameters.
"""

from qc_jax.models import vit


class Model(vit.Model):
    """The ViT with all ten channels and three layers; they give dipole and charges away."""

    channels: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    layers: int = 3


TORCH = vit.TORCH
