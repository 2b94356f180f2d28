"""What every engine is: a program that computes pairs."""

from typing import Any, Protocol

from qc_jax.engines.gates import Gates
from qc_jax.engines.record import Answer


class EngineError(RuntimeError):
    """An engine found no solution for a pair; the message says why, in one line."""


class Engine(Protocol):
    """A program that computes pairs. It must be possible to pickle it."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """The elements it has parameters for."""
        ...

    @property
    def gates(self) -> Gates:
        """Which of its records may stand in a table."""
        ...

    def provenance(self) -> dict[str, Any]:
        """Everything that decides the numbers but the gates: program, version, settings."""
        ...

    def compute(self, name: str) -> Answer:
        """The pair at its energy minimum; of a scan (`scan.ScanEngine`) at many distances.

        Raises:
          EngineError: there is none.
        """
        ...
