"""Topologies: devices that XLA's compilers know and this machine need not have."""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator

import jax
from jax.experimental import topologies

from qc_jax.accelerators.chips import Target
from qc_jax.errors import InputError

# By platform: the modules that JAX's compiler for it comes in, and the extra that brings them.
_COMPILERS = {
    "tpu": (("libtpu",), "tpu"),
    "gpu": (("jax_cuda12_plugin", "jax_cuda13_plugin"), "cuda"),
}
_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",  # what is computed here
    "TPU_SKIP_MDS_QUERY": "1",  # no machine of a cloud is asked what it is
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_LOG_DIR": "disabled",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # compiling takes no TPU
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",
}
_NO_AUTOTUNING = "--xla_gpu_autotune_level=0"  # which would time kernels on the GPU


def prepare() -> None:
    """Set what the compilers read when JAX first wakes them: before anything is computed."""
    os.environ.update(_ENVIRONMENT)
    jax.config.update("jax_platforms", "cpu")  # JAX may have read the environment already
    flags = os.environ.get("XLA_FLAGS", "")
    if _NO_AUTOTUNING not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_NO_AUTOTUNING}".strip()


def missing(platform: str) -> str | None:
    """Return the line that says how to get the compiler of 'tpu' or 'gpu'; None where it is."""
    modules, extra = _COMPILERS[platform]
    if any(importlib.util.find_spec(name) for name in modules):
        return None
    return (
        f"{modules[0]}, the compiler for {platform.upper()}s, is not installed; "
        f"`pip install 'qc-jax[{extra}]'` brings it"
    )


def devices(target: Target) -> list[jax.Device]:
    """Return the chips of a target, to compile for, process after process; see `prepare`.

    Raises:
      InputError: the compiler is not installed, or does not know such chips.
    """
    lacking = missing(target.chip.platform)
    if lacking:
        raise InputError(f"{target.name}: {lacking}")
    try:
        with quiet():
            if target.chip.platform == "gpu":
                found = topologies.get_topology_desc(
                    target.kind,
                    platform="cuda",
                    target_config=_gpu_config(target),
                    topology=f"1x{target.processes}x{target.chips // target.processes}",
                )
            else:
                found = topologies.get_topology_desc(
                    f"{target.kind}:{'x'.join(map(str, target.shape))}",
                    platform="tpu",
                    chips_per_host_bounds=[*target.local, 1][:3],
                    # Its two cores are one device to JAX, as on the machines that have them.
                    **({"chip_config_name": "megacore"} if target.kind == "v4" else {}),
                )
    except jax.errors.JaxRuntimeError as error:
        first_line = str(error).splitlines()[0]
        raise InputError(f"{target.name}: the compiler does not know it: {first_line}") from error
    return sorted(found.devices, key=lambda device: (device.process_index, device.id))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what libraries that are not Python's write to standard error in the block."""
    sys.stderr.flush()
    own = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def _gpu_config(target: Target) -> str:
    """Return XLA's GpuTargetConfig, a protocol buffer as text."""
    chip, has = target.chip, target.chip.details
    return f"""
        gpu_device_info {{
          threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
          shared_memory_per_block: 49152 shared_memory_per_core: {has["shared"]}
          shared_memory_per_block_optin: {has["shared_block"]}
          registers_per_core_limit: 65536 registers_per_block_limit: 65536
          core_count: {has["cores"]} fpus_per_core: {has["lanes"]} clock_rate_ghz: {has["clock"]}
          block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
          memory_bandwidth: {chip.bandwidth:.0f} device_memory_size: {chip.memory:.0f}
          l2_cache_size: {has["l2"]}
          cuda_compute_capability {{ major: {has["major"]} minor: {has["minor"]} }}
        }}
        platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 8 }}
        device_description_str: "{chip.title}"
    """
