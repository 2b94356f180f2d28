"""Devices: the only file that names pmap, which JAX may retire one day."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from qc_jax.errors import InputError
from qc_jax.train.steps import AXIS

T = TypeVar("T")


def local_devices(batch_size: int) -> int:
    """How many devices share a batch: all of this host's.

    Raises:
      InputError: they don't divide the batch.
    """
    devices = jax.local_device_count()
    if batch_size % devices:
        raise InputError(
            f"batch_size {batch_size} cannot be split over {devices} devices; "
            f"expected a multiple of {devices}"
        )
    return devices


def replicate(tree: T) -> T:
    """A copy of every array on every local device, along a new first axis."""
    devices = jax.local_devices()
    mesh = jax.sharding.Mesh(devices, (AXIS,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))

    def spread(leaf):
        host = np.asarray(leaf)
        return jax.device_put(np.broadcast_to(host, (len(devices), *host.shape)), sharding)

    return jax.tree.map(spread, tree)


def first(tree: T) -> T:
    """The first device's copy of replicated arrays, in host memory."""
    return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0))[0], tree)


def compile_parallel(function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """Compiles `function` for all local devices, once, for arguments shaped like `args`.

    The first argument's memory is given to the result.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pmap.*", category=DeprecationWarning)
        parallel = jax.pmap(function, axis_name=AXIS, donate_argnums=(0,))
        return parallel.lower(*args).compile()
