"""Arrays: their type, NumPy's or JAX's (jaxtyping's shapes stand around it), and their device."""

from typing import Any

import jax.numpy as jnp

from qc_jax.errors import InputError

Array = Any


def check_device() -> None:
    """Raise InputError where JAX's default device is a TPU, which has no float64."""
    if _platform() == "tpu":
        raise InputError(
            "tight binding needs float64, which a TPU has not; run it in a block "
            "`with jax.default_device(jax.devices('cpu')[0]):`"
        )


def _platform() -> str:
    return next(iter(jnp.zeros(()).devices())).platform
