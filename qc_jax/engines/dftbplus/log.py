"""dftb.log: what the program printed, where somebody kept it. It alone tells of errors."""

import dataclasses
import itertools
import re

from qc_jax.engines.engine import Failure, FailureKind

_RELEASE = re.compile(r"^\W*DFTB\+ +(?:release +)?(\S.*?)[ \r]*\n", re.MULTILINE)
_STEP = re.compile(r"^\*\*\* +Geometry step: (\d+) *\r?\n", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Log:
    """What dftb.log says.

    Attributes:
      release: of DFTB+, like '25.1', or None.
      failure: why the outputs can't be trusted, or None.
      last_step: of the geometry optimisation, or None.
    """

    release: str | None
    failure: Failure | None
    last_step: int | None


def parse(text: str) -> Log:
    """Read the text of a dftb.log; whatever it lacks is None."""
    release = _RELEASE.search(text)
    steps = list(_STEP.finditer(text))
    return Log(
        release=release[1] if release else None,
        failure=_failure(text, text[steps[-1].end() :] if steps else text),
        last_step=int(steps[-1][1]) if steps else None,
    )


def error(text: str) -> str | None:
    """Return what the program says behind 'ERROR!', on one line, or None where it does not."""
    lines = [line.strip() for line in text.splitlines()]
    if "ERROR!" not in lines:
        return None
    said = itertools.takewhile(_is_said, lines[lines.index("ERROR!") + 1 :])
    return "; ".join(line.removeprefix("->").strip() for line in said)


def _is_said(line: str) -> bool:
    return line.startswith("->")


def _failure(text: str, last_step: str) -> Failure | None:
    said = error(text)
    if said is not None:
        kind = FailureKind.PROGRAM
        if "SCC" in said:
            kind = FailureKind.SCC
        elif "atom" in said.lower():
            kind = FailureKind.GEOMETRY
        return Failure(kind, f"'{said}' in dftb.log")
    # An earlier step may do without convergence (ConvergentSccOnly = No), the last one may not.
    for kind, sign in (
        (FailureKind.SCC, "SCC is NOT converged"),
        (FailureKind.GEOMETRY, "Geometry did NOT converge"),
    ):
        if sign in last_step:
            return Failure(kind, f"'{sign}' in dftb.log")
    if re.search(r"^Periodic boundaries: +Yes", text, re.MULTILINE):
        return Failure(
            FailureKind.PERIODIC, "periodic boundaries in dftb.log, expected two atoms alone"
        )
    return None
