"""SchNet and ResNet-18, fused: a model of QuantumCanvas (arXiv 2512.01519).

The published model sees three of the canvas's ten channels, and so does this one unless `channels`
says otherwise.
"""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models import _resnet, _torch, schnet
from qc_jax.models._layers import Dropout
from qc_jax.models._pair import pictures
from qc_jax.models._start import dense


class Model(nn.Module):
    """An MLP of the atoms' mean features, by SchNet (Å), beside the image's, by ResNet-18.

    The canvas gives dipole and charges away, in those of its channels that are read. SchNet's own
    last layers are there and idle, as in the published model; so are most of the 3 × 3 kernels
    where a canvas has become one pixel: 6.9 of the 11.6 million weights.
    """

    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = (0, 1, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of the ResNet's four stages
    hidden: int = 96  # this and the next four are SchNet's
    filters: int = 96
    interactions: int = 6
    gaussians: int = 50
    cutoff: float = 5.0
    fusion: tuple[int, ...] = (256, 128, 64)
    dropout: float = 0.1
    max_atomic_number: int = 99

    def check(self) -> None:
        """Raises InputError where the ResNet has another number of stages."""
        if len(self.widths) != _resnet.STAGES:
            raise InputError(
                f"multimodal: expected {_resnet.STAGES} widths, one a stage, got {self.widths}"
            )

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        """A Batch of B pairs → [B, outputs]."""
        geometry = schnet.Model(
            hidden=self.hidden,
            filters=self.filters,
            interactions=self.interactions,
            gaussians=self.gaussians,
            cutoff=self.cutoff,
            max_atomic_number=self.max_atomic_number,
            name="schnet",
        )
        if self.is_initializing():
            geometry(batch)  # makes its last layers, which nothing else calls
        atoms = batch.pool(geometry.atoms(batch), "mean")
        resnet = _resnet.ResNet18(self.widths, name="resnet")
        image = resnet(*pictures(batch, self.channels), batch, train)
        x = jnp.concatenate([atoms, image], axis=-1)
        # A layer's number is its place in the reference: linear, ReLU, dropout, and again.
        for i, width in enumerate(self.fusion):
            x = nn.relu(dense(width, name=f"fusion_{3 * i}")(x))
            x = Dropout(self.dropout)(x, batch, train)
        return dense(self.outputs, name=f"fusion_{3 * len(self.fusion)}")(x)


TORCH = {
    **_torch.below("schnet/", "schnet.", schnet.TORCH),
    # The stages of the published model's Sequential: convolution, norm, ReLU, pooling, and these.
    **_resnet.torch_names(
        "resnet/", "resnet.0", "resnet.1", tuple(f"resnet.{4 + i}" for i in range(_resnet.STAGES))
    ),
    "fusion_{i}": "fusion_mlp.{i}",
}


def torch_constants(model: Model) -> dict[str, Any]:
    """The centres of SchNet's Gaussians, which tell the cutoff."""
    geometry = schnet.Model(gaussians=model.gaussians, cutoff=model.cutoff)
    constants = schnet.torch_constants(geometry)
    return {f"schnet.{name}": value for name, value in constants.items()}
