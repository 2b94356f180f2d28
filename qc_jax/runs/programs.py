"""Programs that XLA has compiled, kept between processes in the user's cache directory."""

import hashlib
import os
import platform

import jax

from qc_jax.data import files

_SECONDS = 0.2  # what compiles faster is not kept
_BYTES = 2**30  # the oldest are deleted beyond


def keep() -> None:
    """Let JAX keep what it compiles, and take from there what it has compiled before.

    Changes nothing where the user has told JAX its own directory (`JAX_COMPILATION_CACHE_DIR`), has
    switched its cache off (`JAX_ENABLE_COMPILATION_CACHE=false`) or keeps nothing (an empty
    `QC_JAX_CACHE`).
    """
    where = files.cache_directory("programs")
    if where is None or jax.config.values["jax_compilation_cache_dir"]:
        return
    where /= _machine()
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(where))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SECONDS)
    jax.config.update("jax_compilation_cache_max_size", _BYTES)


def _machine() -> str:
    """Return a key of the processor: a program for one may not run on another.

    JAX's own key of a program does not hold the processor's features, and homes are shared by the
    machines of a cluster.
    """
    known = platform.machine() + platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            known += next((line for line in file if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(known.encode()).hexdigest()[:16]
