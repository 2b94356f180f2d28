"""Computations beside training, compiled for one chip: canvases, densities, tight binding."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.accelerators import hlo, roofline, topology
from qc_jax.accelerators.chips import Target
from qc_jax.accelerators.programs import Compiled, count_operations, why_not
from qc_jax.canvas import FEATURES, densities, render
from qc_jax.canvas.orbitals import FORMS, ORBITALS, PRODUCTS, Orbitals
from qc_jax.canvas.radial import KNOTS
from qc_jax.dftb import convergence
from qc_jax.train.parallel import bytes_of, shapes_of

# What is compiled, with its arguments or their shapes.
_Computation = tuple[Callable[..., Any], tuple[Any, ...]]

_ELEMENTS = 72  # with radial functions, about as many as PTBP covers
_KELVIN = 300.0


def _canvases(rows: int) -> _Computation:
    return render, (jax.ShapeDtypeStruct((rows, len(FEATURES)), jnp.float32),)


def _densities(rows: int) -> _Computation:
    def floats(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    shapes: dict[str, Any] = {
        "elements": jax.ShapeDtypeStruct((rows, 2), jnp.int32),
        "distance": floats(rows),
        "forms": floats(rows, len(FORMS), PRODUCTS.shape[1]),
        "amplitudes": floats(rows, 2, len(ORBITALS)),
        **dict.fromkeys(("sides", "charges", "hubbards"), floats(rows, 2)),
    }
    return densities.draw, (Orbitals(**shapes), floats(_ELEMENTS, KNOTS, 12))


def _tight_binding(rows: int) -> _Computation:
    """Return energies and gradients of pairs, all as H and O are."""
    pair = ("H", "O")
    found = convergence.load("ptbp", pair, pairs=[pair], smooth=True)
    one = convergence.padded(pair, found)
    molecules = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (rows, *np.shape(leaf))), one)
    places = np.zeros((rows, *convergence.place(np.zeros((2, 3))).shape))
    kt, start = np.float64(convergence.kt_of(_KELVIN)), np.zeros((rows, 2))
    rest = (found.tables, found.repulsion, places, kt, start)
    return convergence.energies, (molecules, *rest)


COMPUTATIONS: dict[str, Callable[[int], _Computation]] = {
    "canvas": _canvases,
    "densities": _densities,
    "dftb": _tight_binding,
}


def compile_one(target: Target, name: str, rows: int) -> Compiled:
    """Compile one of `COMPUTATIONS` for the first chip of a target; its step is all of it.

    Args:
      target: the chips.
      name: of the computation.
      rows: pairs in one call.

    Raises:
      InputError: the compiler is not installed.
    """
    chip = topology.devices(target)[0]
    made = Compiled(name, rows, rows, 1, 1, "")
    wide = name == "dftb"
    if wide and target.chip.platform == "tpu":
        return dataclasses.replace(made, reason="needs float64, which a TPU has not: not compiled")
    there = target.chip.memory * target.chip.usable
    place = jax.sharding.SingleDeviceSharding(chip)
    with jax.enable_x64(wide):
        function, args = COMPUTATIONS[name](rows)
        shapes = shapes_of(args, sharding=place)
        start = time.perf_counter()
        try:
            with topology.quiet():
                program = jax.jit(function).lower(*shapes).compile()
        except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
            return dataclasses.replace(made, reason=why_not(error, there))
        seconds = time.perf_counter() - start
        operations = count_operations(jax.jit(function).lower(*shapes_of(args)))
    module = hlo.parse(program.as_text() or "")
    work = hlo.work(module, module.entry)
    return dataclasses.replace(
        made,
        compile_seconds=seconds,
        memory=bytes_of(program),
        steps=1,
        operations=operations,
        work=work,
        xla_seconds=roofline.xla_seconds(target, work),
        estimate=roofline.estimate(target, "float32", 1, operations, work),
        largest_stack=int(rows * there / max(bytes_of(program), 1.0)),
        pays_up_to=1,
    )
