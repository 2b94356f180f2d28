"""SchNet and ResNet-18, fused: a model of QuantumCanvas (arXiv 2512.01519).

The published model sees three of the canvas's ten channels, and so does this one unless `channels`
says otherwise. Its ResNet starts from ImageNet's weights, this one from random ones, unless it is
given those: see `image_weights`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models import _resnet, _torch, sample, schnet
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._layers import Dropout
from qc_jax.models._pair import pictures
from qc_jax.models._start import dense

TORCH = {
    **_torch.below("schnet/", "schnet.", schnet.TORCH),
    # The stages of the published model's Sequential: convolution, norm, ReLU, pooling, and these.
    **_resnet.torch_names(
        "resnet/", "resnet.0", "resnet.1", tuple(f"resnet.{4 + i}" for i in range(_resnet.STAGES))
    ),
    "fusion_{i}": "fusion_mlp.{i}",
}


class Model(Architecture):
    """An MLP of the atoms' mean features, by SchNet (Å), beside the image's, by ResNet-18.

    The canvas leaks dipole and charges, in those of its channels that are read. SchNet's own
    last layers are there and idle, as in the published model; so are most of the 3 × 3 kernels
    where a canvas has become one pixel: 6.9 of the 11.6 million weights.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    glorot_layers: ClassVar[tuple[str, ...]] = tuple(
        f"schnet/{pattern}" for pattern in schnet.Model.glorot_layers
    )
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = channels(0, 1, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of the ResNet's four stages
    hidden: int = field(96, at_least=2)  # this and the next four are SchNet's
    filters: int = 96
    interactions: int = 6
    gaussians: int = field(50, at_least=2)
    cutoff: float = field(5.0, above=0)
    fusion: tuple[int, ...] = (256, 128, 64)
    dropout: float = field(0.1, at_least=0, below=1)
    max_atomic_number: int = 99

    def check(self) -> None:
        """Raise InputError where the ResNet has another number of stages."""
        if len(self.widths) != _resnet.STAGES:
            raise InputError(
                f"multimodal: expected {_resnet.STAGES} widths, one a stage, got {self.widths}"
            )

    @property
    def head_layers(self) -> tuple[str, ...]:
        """Return the last layer, by its name."""
        return (f"fusion_{3 * len(self.fusion)}",)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs."""
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
        return dense(self.outputs, name=self.head_layers[0])(x)

    def torch_constants(self) -> dict[str, Any]:
        """Return the centres of SchNet's Gaussians, which tell the cutoff."""
        geometry = schnet.Model(gaussians=self.gaussians, cutoff=self.cutoff, parent=None)
        constants = geometry.torch_constants()
        return {f"schnet.{name}": value for name, value in constants.items()}


# What torchvision's resnet18 calls its weights, and those that are left out.
_IMAGE_NAMES = _resnet.torch_names(
    "", "conv1", "bn1", tuple(f"layer{1 + i}" for i in range(_resnet.STAGES))
)
LAST_LAYER = ("fc.weight", "fc.bias")


def image_weights(model: Model, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that torchvision's resnet18 has: weights and averages.

    A file of ImageNet's, that any machine with torchvision can write:

        weights = torchvision.models.resnet18(weights="IMAGENET1K_V1").state_dict()
        np.savez("resnet18.npz", **{name: tensor.numpy() for name, tensor in weights.items()})

    `qc_jax.train.loop.fit(…, initial=image_weights(…))` starts from them, and so does
    `experiments.train` with --config.image_weights=resnet18.npz.

    Args:
      model: to start from them.
      state_dict: arrays or tensors by torchvision's names. The last layer, 'fc', which tells the
        classes of ImageNet, is not in the model and left out.

    Raises:
      InputError: the model does not read three channels, or the weights do not fit its ResNet: the
        message lists what is missing, unexpected or of another shape.
    """
    if len(model.channels) != 3:
        raise InputError(
            f"weights of ImageNet are of pictures with three channels; expected three in "
            f"multimodal, got channels {model.channels}"
        )
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), sample()))
    image = {name: collection["resnet"] for name, collection in shapes.items()}
    given = {name: value for name, value in state_dict.items() if name not in LAST_LAYER}
    found = _torch.convert("multimodal's ResNet-18", image, _IMAGE_NAMES, {}, given)
    return {name: {"resnet": collection} for name, collection in found.items()}
