"""The transformer's parts that architectures share, equal to PyTorch's layers of these names."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models._layers import Dropout
from qc_jax.models._start import dense, layer_norm, zero_bias
from qc_jax.models._torch import Tensor


class Attention(nn.Module):
    """Each asking token's mean over the asked ones' values, weighted by softmax(q·k/√d) per head.

    PyTorch's MultiheadAttention, after A. Vaswani et al., NeurIPS 2017 (arXiv 1706.03762).
    """

    heads: int
    dropout: float  # of the weights

    @nn.compact
    def __call__(
        self,
        asking: Float[Array, "batch asking features"],
        asked: Float[Array, "batch asked features"],
        batch: Batch,
        train: bool,
    ) -> Float[Array, "batch asking features"]:
        """Return what the asking tokens gather from those that are asked."""
        width = asking.shape[-1]
        # Those of queries, keys and values side by side: PyTorch starts them as one matrix.
        kernel = self.param("kernel", nn.initializers.xavier_uniform(), (width, 3 * width))
        bias = self.param("bias", nn.initializers.zeros, 3 * width)
        queries = asking @ kernel[:, :width] + bias[:width]
        keys, values = jnp.split(asked @ kernel[:, width:] + bias[width:], 2, axis=-1)

        def heads(x: jax.Array) -> jax.Array:
            return x.reshape(*x.shape[:-1], self.heads, width // self.heads)

        root = math.sqrt(width // self.heads)
        scores = jnp.einsum("bqhd,bkhd->bhqk", heads(queries / root), heads(keys))
        weights = Dropout(self.dropout)(nn.softmax(scores), batch, train)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, heads(values))
        return dense(width, bias_init=zero_bias, name="out")(mixed.reshape(asking.shape))


class EncoderLayer(nn.Module):
    """Attention among all tokens, then an MLP with ReLU of each; either's sum is normalised.

    PyTorch's TransformerEncoderLayer as it is by default.
    """

    heads: int
    mlp: int
    dropout: float

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "batch tokens features"],
        batch: Batch,
        train: bool,
        first: int | None = None,
    ) -> Float[Array, "batch kept features"]:
        """Return the tokens, one layer on, or only the `first` of them, where no other is read."""
        dropout = Dropout(self.dropout)
        kept = tokens[:, :first]
        attended = Attention(self.heads, self.dropout, name="attention")(kept, tokens, batch, train)
        kept = layer_norm(name="norm_0")(kept + dropout(attended, batch, train))
        hidden = dropout(nn.relu(dense(self.mlp, name="mlp_0")(kept)), batch, train)
        hidden = dense(tokens.shape[-1], name="mlp_1")(hidden)
        return layer_norm(name="norm_1")(kept + dropout(hidden, batch, train))


def check_heads(model: str, width: int, heads: int) -> None:
    """Raise InputError where the heads of `model` cannot share the width."""
    if width % heads:
        raise InputError(f"{model}: expected a width that its {heads} heads can share, got {width}")


def torch_attention(ours: str, theirs: str) -> dict[str, str | Tensor]:
    """Return the names in `TORCH` of the weights of an `Attention` at the path `ours`."""
    return {
        f"{ours}/kernel": Tensor(f"{theirs}.in_proj_weight", np.transpose),
        f"{ours}/bias": Tensor(f"{theirs}.in_proj_bias"),
        f"{ours}/out": f"{theirs}.out_proj",
    }


def torch_encoder_layer(ours: str, theirs: str) -> dict[str, str | Tensor]:
    """Return the names in `TORCH` of the weights of an `EncoderLayer` at the path `ours`."""
    return {
        **torch_attention(f"{ours}/attention", f"{theirs}.self_attn"),
        f"{ours}/norm_0": f"{theirs}.norm1",
        f"{ours}/mlp_0": f"{theirs}.linear1",
        f"{ours}/mlp_1": f"{theirs}.linear2",
        f"{ours}/norm_1": f"{theirs}.norm2",
    }
