"""Liveness: the memory that a traced program needs at most at a time, without compiling it."""

import math
from collections.abc import Iterator
from typing import Any

from jax.extend.core import Literal


def peak_bytes(jaxpr: Any) -> float:
    """Return the most bytes that the arrays of a jaxpr take at a time, its inputs left out.

    Each operation's results are there from its turn until their last use, as if none were fused
    with the next one. XLA's own account of epochs of this package's models was 0.5 to 0.8 of it.

    Args:
      jaxpr: of `jax.make_jaxpr(function)(...).jaxpr`.
    """
    last: dict[Any, int] = {}
    for place, equation in enumerate(jaxpr.eqns):
        last |= dict.fromkeys(_variables(equation.invars), place)
    last |= dict.fromkeys(_variables(jaxpr.outvars), len(jaxpr.eqns))
    alive: dict[Any, float] = {}
    ending: dict[int, list[Any]] = {}
    now = most = 0.0
    for place, equation in enumerate(jaxpr.eqns):
        made = {variable: _bytes(variable.aval) for variable in equation.outvars}
        inside = max((peak_bytes(inner) for inner in _inner(equation)), default=0.0)
        now += sum(made.values())
        most = max(most, now + inside)
        alive |= made
        for variable in made:
            ending.setdefault(last.get(variable, place), []).append(variable)
        now -= sum(alive.pop(variable) for variable in ending.pop(place, ()))
    return most


def _variables(of: Any) -> list[Any]:
    return [variable for variable in of if not isinstance(variable, Literal)]


def _inner(equation: Any) -> Iterator[Any]:
    """Yield the jaxprs that an operation runs: bodies of loops, branches, functions."""
    for value in equation.params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(one, "jaxpr", one)  # closed, or not
            if hasattr(inner, "eqns"):
                yield inner


def _bytes(aval: Any) -> float:
    # Random keys have no size of their own: two words each.
    return float(math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 8))
