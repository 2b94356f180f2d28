"""Layers as PyTorch makes and starts them, biases at zero.

Weights of a model start as those of its reference do, with these or as its file says. SchNet, GCN
and EGNN start as Flax's layers do: of SchNet that was measured to end far better. `as_torch` starts
them, and all biases, as the references do.
"""

import contextlib
import fnmatch
import functools
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax

from qc_jax.models._base import Architecture
from qc_jax.models._layers import Dense

kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
dense = functools.partial(Dense, kernel_init=kernel_init)
embed = functools.partial(nn.Embed, embedding_init=nn.initializers.normal(1))
# The fast variance, a difference of squares, loses digits.
layer_norm = functools.partial(nn.LayerNorm, epsilon=1e-5, use_fast_variance=False)
# Biases are left open where their kernels are, unless a layer says that they are not, or are.
zero_bias, open_bias = nn.initializers.constant(0), nn.initializers.constant(0)

_glorot = nn.initializers.xavier_uniform()
_LEFT_OPEN = (nn.linear.default_kernel_init, kernel_init)


@contextlib.contextmanager
def as_torch(model: Architecture) -> Iterator[None]:
    """Start what a model leaves to its library as PyTorch does, in its `init` in the `with` block.

    Weights and biases of a layer lie within ±1/√inputs, embeddings have deviation 1; layers of
    `Architecture.glorot_layers` start by Glorot's rule with biases at zero. Layers whose start the
    model's file says itself keep it.
    """

    def intercept(call: Callable[..., Any], args: Any, options: Any, context: Any) -> Any:
        made, module = call(*args, **options), context.module
        if context.method_name != "__call__" or not module.is_initializing():
            return made

        def put(name: str, start: nn.initializers.Initializer) -> None:
            old = module.get_variable("params", name)
            key = module.make_rng("params")
            module.put_variable("params", name, start(key, old.shape, old.dtype))

        if isinstance(module, nn.Embed):
            if module.embedding_init is nn.linear.default_embed_init:
                put("embedding", nn.initializers.normal(1))
            return made
        kernel_open = getattr(module, "kernel_init", getattr(module, "start", None)) in _LEFT_OPEN
        path = "/".join(module.path)
        glorot = any(fnmatch.fnmatch(path, pattern) for pattern in model.glorot_layers)
        if kernel_open:
            put("kernel", _glorot if glorot else kernel_init)
        start = getattr(module, "bias_init", None)
        with_kernel = kernel_open and not glorot and start is not zero_bias
        if (with_kernel or start is open_bias) and module.has_variable("params", "bias"):
            kernel = module.get_variable("params", "kernel")
            reach = (kernel.size // kernel.shape[-1]) ** -0.5
            put(
                "bias",
                lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -reach, reach),
            )
        return made

    with nn.intercept_methods(intercept):
        yield
