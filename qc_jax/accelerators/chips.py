"""Chips: what the makers publish of the TPUs and GPUs that programs are compiled for."""

import dataclasses
import math
import re
from collections.abc import Mapping

from qc_jax.errors import InputError, choose

GIB = 2.0**30
_TPU = "https://docs.cloud.google.com/tpu/docs"
_NVIDIA = "https://www.nvidia.com/en-us/data-center"
# XLA's cost model gives the operations of small models 0.5 to 0.8 µs each, on average (jax 0.10.2).
_TPU_LAUNCH = 0.75e-6
# Published by nobody: kernels one after another on one stream take 2 to 5 µs each.
_GPU_LAUNCH = 2.5e-6
_PLANES = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = (
    *("1x1x1", "2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8"),
    *("8x8x16", "8x16x16", "16x16x16"),
)
_GPU_HOST = 8  # GPUs of one machine
_ADAPTER = 50e9  # one adapter of 400 Gbit/s a GPU, as in DGX H100
_PREALLOCATED = 0.75  # of a GPU's memory, as XLA_PYTHON_CLIENT_MEM_FRACTION is by default


@dataclasses.dataclass(frozen=True)
class Chip:
    """One kind of accelerator.

    Attributes:
      platform: 'tpu' or 'gpu'.
      title: its full name.
      memory: bytes of its main memory (HBM).
      usable: the part of it that JAX takes unless told otherwise.
      bandwidth: bytes a second between the chip and that memory.
      peak: operations a second of matrix products by `TrainConfig.precision`. A TPU multiplies
        bfloat16: XLA makes a float32 product of six of those, JAX's 'tensorfloat32' of three.
      link: bytes a second that it sends to its neighbours, all links together, one direction.
      network: likewise to GPUs of other machines.
      launch: seconds that an operation or a kernel takes at least.
      source: where the numbers are published.
      shapes: the topologies of a TPU that can be had.
      details: of a GPU, as the compiler asks for them.
    """

    platform: str
    title: str
    memory: float
    usable: float
    bandwidth: float
    peak: Mapping[str, float]
    link: float
    network: float
    launch: float
    source: str
    shapes: tuple[str, ...] = ()
    details: Mapping[str, float] = dataclasses.field(default_factory=dict)


def _tpu(
    title: str,
    memory: float,
    bandwidth: float,
    peak: float,
    link: float,
    page: str,
    shapes: tuple[str, ...],
) -> Chip:
    return Chip(
        *("tpu", title, memory * GIB, 1.0, bandwidth),
        {"float32": peak / 6, "tf32": peak / 3, "bfloat16": peak},
        *(link, link, _TPU_LAUNCH, f"{_TPU}/{page}", shapes),
    )


def _gpu(
    title: str,
    memory: float,
    bandwidth: float,
    peak: tuple[float, float, float],
    link: float,
    page: str,
    details: Mapping[str, float],
) -> Chip:
    return Chip(
        *("gpu", title, memory, _PREALLOCATED, bandwidth),
        dict(zip(("float32", "tf32", "bfloat16"), peak, strict=True)),
        *(link, _ADAPTER, _GPU_LAUNCH, f"{_NVIDIA}/{page}/"),
        details=details,
    )


_HOPPER: dict[str, float] = {
    **{"major": 9, "minor": 0, "cores": 132, "lanes": 128, "clock": 1.98},
    **{"l2": 52428800, "shared": 233472, "shared_block": 232448},
}
_AMPERE: dict[str, float] = {
    **{"major": 8, "minor": 0, "cores": 108, "lanes": 64, "clock": 1.41},
    **{"l2": 41943040, "shared": 167936, "shared_block": 166912},
}
# Of matrix products without sparsity: float32, TF32, bfloat16.
_A100 = (19.5e12, 156e12, 312e12)
_H100 = (66.9e12, 494.7e12, 989.4e12)
CHIPS: dict[str, Chip] = {
    "v4": _tpu("TPU v4", 32, 1.228e12, 275e12, 300e9, "v4", _CUBES),
    "v5e": _tpu("TPU v5e", 16, 0.819e12, 197e12, 200e9, "v5e", _PLANES),
    "v5p": _tpu("TPU v5p", 95, 2.765e12, 459e12, 600e9, "v5p", _CUBES),
    "v6e": _tpu("TPU v6e", 32, 1.638e12, 918e12, 400e9, "v6e", _PLANES),
    "a100": _gpu("NVIDIA A100 80 GB", 80e9, 2.039e12, _A100, 300e9, "a100", _AMPERE),
    "h100": _gpu("NVIDIA H100 SXM", 80e9, 3.35e12, _H100, 450e9, "h100", _HOPPER),
    "h200": _gpu("NVIDIA H200", 141e9, 4.8e12, _H100, 450e9, "h200", _HOPPER),
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Chips of one kind, and how they lie.

    Attributes:
      name: 'tpu:v5e:4x4' or 'gpu:h200:8', as it was asked for.
      chip: of which kind.
      kind: its name in `CHIPS`.
      shape: the topology of a TPU, like (4, 4), or (8,) GPUs.
    """

    name: str
    chip: Chip
    kind: str
    shape: tuple[int, ...]

    @property
    def chips(self) -> int:
        """Return how many there are."""
        return math.prod(self.shape)

    @property
    def local(self) -> tuple[int, ...]:
        """Return the shape of the chips of one process.

        One process has all GPUs of a machine; of several machines Slurm starts one a GPU
        (experiments/launch). It has the TPUs of one machine: four, or eight where v5e or v6e have
        no more.
        """
        if self.chip.platform == "gpu":
            return self.shape if self.chips <= _GPU_HOST else (1,)
        if len(self.shape) == 2 and self.chips <= 8:
            return self.shape
        return tuple(min(side, most) for side, most in zip(self.shape, (2, 2, 1), strict=False))

    @property
    def processes(self) -> int:
        """Return how many processes share them."""
        return self.chips // math.prod(self.local)

    @property
    def link(self) -> float:
        """Return bytes a second that a chip sends where all chips add something up."""
        return self.chip.link if self.processes == 1 else min(self.chip.link, self.chip.network)


def parse(text: str) -> Target:
    """Return what --device asks for.

    Raises:
      InputError: it is of no known form, kind or shape; the message lists those that are.

    Example:
      >>> parse("tpu:v5e:4x4").chips
      16
    """
    match = re.fullmatch(r"(\w+):(\w+):([\dx]+)", text)
    if not match:
        raise InputError(f"--device: expected tpu:KIND:TOPOLOGY or gpu:KIND:NUMBER, got {text!r}")
    platform, kind, shape = match.groups()
    choose("platform", platform, ("tpu", "gpu"))
    choose(f"{platform} kind", kind, (name for name in CHIPS if CHIPS[name].platform == platform))
    chip = CHIPS[kind]
    if platform == "tpu":
        if shape not in chip.shapes:
            known = ", ".join(chip.shapes)
            raise InputError(f"unknown topology {shape!r} of {chip.title}; choose one of: {known}")
        return Target(text, chip, kind, tuple(map(int, shape.split("x"))))
    count = int(shape) if shape.isdigit() else 0
    if count < 1 or (count > _GPU_HOST and count % _GPU_HOST):
        raise InputError(
            f"unknown number {shape!r} of {chip.title}; expected 1 to {_GPU_HOST}, or machines of "
            f"{_GPU_HOST}: 16, 24, 32 …"
        )
    return Target(text, chip, kind, (count,))
