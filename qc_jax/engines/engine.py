"""What every engine is, and how it says that a pair has no answer."""

import dataclasses
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from qc_jax.engines.record import Record, Scan

if TYPE_CHECKING:
    from qc_jax.engines.sanity import SanityChecks
    from qc_jax.engines.scan import Grid, ScanConfig

Progress = Callable[[int, int], None]  # pairs that are ready, and all that are asked for


class FailureKind(enum.StrEnum):
    """Why a pair is left out: what went wrong in the calculation, its files, or its numbers."""

    # The calculation.
    SCF = "SCF"
    SCC = "SCC"  # of charges, as DFTB calls its own
    GEOMETRY = "geometry"
    NO_MINIMUM = "no minimum"
    PROGRAM = "program"
    TIMEOUT = "timeout"
    CRASH = "crash"
    EXIT = "exit"
    ERROR = "error"
    # Its outputs.
    FILES = "files"
    NAME = "name"
    LOG = "log"
    PERIODIC = "periodic"
    BANDS = "bands"
    # Numbers that cannot be those of a pair (`sanity.SanityChecks`).
    NUMBERS = "numbers"
    CHARGE = "charge"
    CHARGES = "charges"
    POPULATIONS = "populations"
    ENERGY = "energy"
    BOND_LENGTH = "bond length"
    DIPOLE = "dipole"
    EDGE = "edge"
    GRADIENT = "gradient"
    MINIMUM = "minimum"
    CONTINUITY = "continuity"

    def error(self, detail: str) -> "EngineError":
        """Return the exception that says so."""
        return EngineError(self, detail)


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why there is no answer for a pair; as text 'kind: detail', one line."""

    kind: FailureKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class EngineError(RuntimeError):
    """An engine found no answer for a pair.

    Attributes:
      failure: why.
    """

    def __init__(self, kind: FailureKind, detail: str):
        super().__init__(kind, detail)  # so that it can be pickled
        self.failure = Failure(kind, detail)

    def __str__(self) -> str:
        return str(self.failure)


Answer = Record | Scan | Failure  # what an engine says about one pair


class Engine(Protocol):
    """A program that computes pairs."""

    @property
    def name(self) -> str:
        """Return the engine's name, as users type it."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the elements that it has parameters for."""
        ...

    @property
    def gates(self) -> "SanityChecks":
        """Return which of its records may stand in a table."""
        ...

    def provenance(self) -> dict[str, Any]:
        """Return everything that decides the numbers but the gates, as plain JSON.

        'engine' and 'version' are among the keys.
        """
        ...

    def compute(self, name: str) -> Record | Scan:
        """Return the pair at its energy minimum; of a `scan.ScanEngine`, at many distances.

        Raises:
          EngineError: there is none.
        """
        ...

    def compute_all(self, names: Sequence[str], progress: Progress) -> Iterator[tuple[str, Answer]]:
        """Yield each pair with its answer, in the order in which they are ready.

        Args:
          names: pairs, like 'Ag_Al', each once.
          progress: called with the number of pairs that are ready and of all, after the last of
            them was taken.

        Raises:
          InputError: something ails the machine or the settings rather than a pair.
        """
        ...


class Scanner(Engine, Protocol):
    """An engine that can scan bond lengths."""

    def scan(self, name: str, grid: "Grid", config: "ScanConfig") -> Scan:
        """Return the pair at the distances of the grid.

        Raises:
          EngineError: it has no sound minimum to start from.
        """
        ...

    def scan_all(
        self, names: Sequence[str], grid: "Grid", config: "ScanConfig", progress: Progress
    ) -> Iterator[tuple[str, Answer]]:
        """Yield each pair with its scan, as `compute_all` does."""
        ...


class EngineOptions(Protocol):
    """What a user can set of an engine: a frozen dataclass called `Options` in its module.

    Its fields are flags of `experiments/generate.py`: text, numbers, booleans or tuples of text,
    each with `metadata={"help": ...}`.
    """

    def create(self, symbols: Sequence[str] | None, workspace: str | None) -> Engine:
        """Return the engine, after everything that can be wrong has been looked at.

        Args:
          symbols: elements that it is to compute; all that it knows unless given.
          workspace: a directory that it may make, for files that it keeps.

        Raises:
          InputError: an option is wrong, or the program behind the engine is not there.
        """
        ...
