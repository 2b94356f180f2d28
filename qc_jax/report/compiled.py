"""Programs compiled for devices that are not here, as tables for the terminal."""

import math
from collections.abc import Sequence

from qc_jax.accelerators.chips import Target
from qc_jax.accelerators.programs import Compiled
from qc_jax.report.tables import show

_COLUMNS = (
    *("model", "stack", "chips", "compile s", "MB of chip", "Mflop/step", "MB/step", "kernels"),
    *("told MB", "XLA µs", "roofline µs", "limit", "fit", "pays to"),
)


def show_compiled(target: Target, programs: Sequence[Compiled]) -> None:
    """Print a table of the programs for one device, and what does not run on it."""
    chip = target.chip
    there = chip.memory * chip.usable
    rows = [row(program, there) for program in programs if program.work is not None]
    peaks = ", ".join(f"{name} {peak / 1e12:.4g}" for name, peak in chip.peak.items())
    shared = f"of {target.processes} process" + "es" * (target.processes > 1)
    if rows:
        show(f"{target.name}: {target.chips} × {chip.title} {shared}", _COLUMNS, rows)
    for program in programs:
        if program.reason:
            print(f"{program.name}: {program.reason}")
    print(
        f"{chip.title}: {there / 1e9:.4g} GB, {chip.bandwidth / 1e12:.4g} TB/s, Tflop/s: {peaks} "
        f"({chip.source})"
    )


def row(program: Compiled, there: float) -> tuple[str, ...]:
    """Return the cells of a program; `there` is the memory of a device, bytes."""
    work, estimate = program.work, program.estimate
    assert work is not None
    told = sum(bytes for _, bytes in work.collectives.values())
    return (
        program.name,
        f"{program.trainings} of {program.of}",
        str(program.chips),
        f"{program.compile_seconds:.1f}",
        f"{program.memory / 1e6:,.0f}, {100 * program.memory / there:.2g} %",
        f"{program.operations / 1e6:,.1f}",
        f"{work.bytes / 1e6:,.1f}",
        str(work.kernels),
        f"{told / 1e6:.3g}" if told else "-",
        "-" if math.isnan(program.xla_seconds) else f"{program.xla_seconds * 1e6:,.0f}",
        f"{estimate.seconds * 1e6:,.0f}" if estimate else "-",
        estimate.limit if estimate else "-",
        f"{program.largest_stack:,}",
        str(program.pays_up_to) if estimate else "-",
    )
