"""Layers as PyTorch makes and starts them, biases at zero.

Weights of a model start as those of its reference do, with these or as its file says. SchNet, GCN
and EGNN start as Flax's layers do: of SchNet that was measured to end far better.
"""

import functools

import flax.linen as nn

from qc_jax.models._layers import Dense

kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
dense = functools.partial(Dense, kernel_init=kernel_init)
embed = functools.partial(nn.Embed, embedding_init=nn.initializers.normal(1))
# The fast variance, a difference of squares, loses digits.
layer_norm = functools.partial(nn.LayerNorm, epsilon=1e-5, use_fast_variance=False)
