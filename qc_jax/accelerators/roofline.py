"""Rooflines: the least that a step can take on a device, by the numbers that its maker publishes.

S. Williams, A. Waterman, D. Patterson, Communications of the ACM 52, 65 (2009), with two terms
more: an operation takes at least as long as it takes to start, and chips that share a batch add up
gradients around a ring (P. Patarasuk, X. Yuan, J. Parallel Distrib. Comput. 69, 117, 2009).
"""

import math
from typing import NamedTuple

from qc_jax.accelerators.chips import Target
from qc_jax.accelerators.hlo import Work

# Matrix units of a chip, each of 128 × 128 multiplications and additions a cycle (`Chip.source`):
# its peak over them is its clock. That of v6e does not follow from what is published.
_UNITS = {"v4": 8, "v5e": 4, "v5p": 8}


class Estimate(NamedTuple):
    """Seconds of a step on each of the devices.

    Attributes:
      arithmetic: all of it at the peak of matrix products.
      memory: to read and write what its kernels do.
      launches: to start them.
      collectives: to tell the other chips.
      seconds: of a step: the longest of the first three, and the collectives.
      limit: what takes longest.
    """

    arithmetic: float
    memory: float
    launches: float
    collectives: float
    seconds: float
    limit: str


def estimate(target: Target, precision: str, chips: int, operations: float, work: Work) -> Estimate:
    """Return how long a step takes at least.

    Args:
      target: the devices.
      precision: of `TrainConfig`.
      chips: that take part in the program.
      operations: of arithmetic on one device.
      work: on one device.
    """
    chip = target.chip
    own = {
        "arithmetic": operations / chip.peak[precision],
        "memory": work.bytes / chip.bandwidth,
        "launches": work.kernels * chip.launch,
    }
    passes = 2 * (chips - 1) / chips
    told = sum(bytes for _, bytes in work.collectives.values()) * passes / target.link
    told += sum(count for count, _ in work.collectives.values()) * chip.launch
    parts = own | {"collectives": told}
    seconds = max(own.values()) + told
    return Estimate(**parts, seconds=seconds, limit=max(parts, key=lambda name: parts[name]))


def pays_up_to(estimate: Estimate, chips: int, most: int) -> int:
    """Return the number of chips above which each of them mostly waits.

    The arithmetic or memory traffic of all chips together, spread thinner and thinner, takes as
    long there as starting operations and telling the others, which more chips do not shorten.

    Args:
      estimate: of a step on each of `chips`.
      chips: that it is of.
      most: that the batch or the trainings can use.
    """
    work = chips * max(estimate.arithmetic, estimate.memory)
    return min(most, max(1, int(work / (estimate.launches + estimate.collectives))))


def clock(target: Target) -> float:
    """Return the cycles a second of a TPU, by its published peak and matrix units; or NaN."""
    units = _UNITS.get(target.kind, 0)
    return target.chip.peak["bfloat16"] / (units * 2 * 128**2) if units else math.nan


def xla_seconds(target: Target, work: Work) -> float:
    """Return how long XLA says that work takes; NaN where it says nothing."""
    return work.cycles / clock(target) if work.cycles else math.nan
