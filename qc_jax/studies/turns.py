"""Ratios of run times that hold on a busy machine: the candidates take turns, medians count."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np


def take_turns(
    work: Mapping[str, Callable[[], Any]], rounds: int, most_seconds: float = math.inf
) -> dict[str, np.ndarray]:
    """Return the seconds [rounds] that each of `work` took.

    Each runs once in every round, in a random order, and once beforehand, so that compilation is
    not in it. It is timed until what it returns is
    ready. What it returned is freed outside its time and before the next one starts.

    Args:
      work: the candidates.
      rounds: at most.
      most_seconds: no round starts, but for the first one, after that long.
    """
    begun = time.perf_counter()
    for call in work.values():
        jax.block_until_ready(call())
    seconds: dict[str, list[float]] = {name: [] for name in work}
    rng = np.random.default_rng(0)
    for done in range(rounds):
        if done and time.perf_counter() - begun > most_seconds:
            break
        # In a fixed order one would always find the caches and threads as the same other left them.
        for name in rng.permutation(list(work)):
            call = work[name]
            start = time.perf_counter()
            result = jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - start)
            del result
    return {name: np.array(taken) for name, taken in seconds.items()}
