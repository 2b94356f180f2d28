"""Vision only: a baseline of QuantumCanvas (arXiv 2512.01519), the ViT of all channels.

Ten channels and three layers give the published number of parameters.
"""

from qc_jax.models import vit
from qc_jax.models._base import channels


class Model(vit.Model):
    """The ViT with all ten channels and three layers; they leak dipole and charges."""

    channels: tuple[int, ...] = channels(*range(10))
    layers: int = 3
