"""Pairs by the `dftb+` program: its input written, the program run, its outputs kept and read.

A pair has a directory of its own, as in the published data, and the whole is a tree that
`read_tree` reads. An attempt runs beside it in a hidden directory that takes the pair's place when
the program has ended, so that no file of an earlier attempt is ever taken for one of this.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import psutil

from qc_jax.chem import elements
from qc_jax.data import files
from qc_jax.dftb import skf_directory
from qc_jax.engines.dftbplus import input_file, process
from qc_jax.engines.dftbplus.pair import read_pair
from qc_jax.engines.dftbplus.process import PROGRAM
from qc_jax.engines.engine import EngineError, FailureKind
from qc_jax.engines.pool import PooledEngine, PoolOptions
from qc_jax.engines.record import Record
from qc_jax.engines.sanity import NEED_DIAGNOSTICS, SanityChecks
from qc_jax.engines.store import differing
from qc_jax.errors import InputError

START_RATIO = 1.1  # where the search starts, over the sum of the covalent radii; as published
_LEAST_FREE_BYTES = 1_000_000  # outputs of a pair take 50,000
INPUT, RUN = "dftb_in.hsd", "run.json"


@dataclasses.dataclass(frozen=True)
class Options(PoolOptions):
    """The options of this engine."""

    skf: str | None = dataclasses.field(
        default=None, metadata={"help": "directory of the Slater-Koster files (A-B.skf)"}
    )
    raw: str | None = dataclasses.field(
        default=None, metadata={"help": "directory that keeps the program's outputs"}
    )
    template: str | None = dataclasses.field(
        default=None, metadata={"help": "text of the program's input, with $fields"}
    )
    angular_momenta: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"help": "highest shells of elements, like S:d,O:p"}
    )

    def create(
        self, symbols: Sequence[str] | None = None, workspace: str | None = None
    ) -> "DftbplusEngine":
        """Return the engine for all pairs of some elements.

        Args:
          symbols: elements; all that have a homonuclear file unless given.
          workspace: where outputs are kept without `raw`; where it exists it must be of a run with
            the same settings.

        Raises:
          InputError: the program is not there, files are missing or damaged, `raw` is taken.
        """
        if self.skf is None:
            raise InputError(
                "engine 'dftbplus' needs --skf=DIR, a directory of Slater-Koster files like H-O.skf"
            )
        raw = self.raw or workspace
        if raw is None:
            raise InputError("engine 'dftbplus' needs --raw=DIR, where it keeps the outputs")
        momenta = skf_directory.parse_momenta(self.angular_momenta, "angular_momenta")
        executable, version = process.find_program()
        engine = DftbplusEngine(
            skf_directory.open_set(self.skf, symbols, momenta),
            os.path.abspath(raw),
            input_file.read_template(self.template),
            executable,
            version,
            workers=self.workers,
            timeout_s=self.timeout,
        )
        _check_raw(engine.raw, engine.provenance())
        return engine


@dataclasses.dataclass(frozen=True)
class DftbplusEngine(PooledEngine):
    """Pairs by DFTB+; implements `engine.Engine`. `Options.create` makes one, all checked.

    Attributes:
      parameters: the Slater-Koster files.
      raw: directory of the outputs, one directory a pair.
      template: text of the input (`input_file.FIELDS`).
      executable: path of the program.
      version: what it says that it is.
      gates: which pairs may stand in a table; those that need evidence cannot be checked.
    """

    parameters: skf_directory.ParameterSet
    raw: str
    template: str
    executable: str
    version: str
    gates: SanityChecks = dataclasses.field(default_factory=SanityChecks)
    name: ClassVar[str] = "dftbplus"
    grace_s: ClassVar[float] = 10.0  # the program is ended by who started it

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the elements it was made for."""
        return tuple(self.parameters.angular_momenta)

    def provenance(self) -> dict[str, Any]:
        """Return program, version, input and parameters."""
        return {
            "engine": self.name,
            "version": self.version,
            "slater_koster": {"files": self.parameters.files, "sha256": self.parameters.sha256},
            "angular_momenta": dict(self.parameters.angular_momenta),
            "template": self.template,
            "start_ratio": START_RATIO,
            "gates_not_checked": list(NEED_DIAGNOSTICS),
        }

    def compute(self, name: str) -> Record:
        """Return the pair as the program relaxes it.

        Raises:
          EngineError: the program failed, or took too long, or what it wrote can't be trusted.
        """
        attempt = self._attempt(name)
        code = process.run(self.executable, attempt, self.timeout_s)
        directory = os.path.join(self.raw, name)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory)
        os.rename(attempt, directory)
        if code != 0 and shutil.disk_usage(self.raw).free < _LEAST_FREE_BYTES:
            raise InputError(f"{self.raw}: no space left for the program's outputs")
        if code is None:
            raise FailureKind.TIMEOUT.error(f"{PROGRAM} was not ready after {self.timeout_s:g} s")
        if code < 0:
            words = process.last_words(directory)
            raise FailureKind.CRASH.error(f"{PROGRAM} was ended by signal {-code} after: {words}")
        try:
            record = read_pair(directory)
        except EngineError as error:
            if not code or error.failure.kind is not FailureKind.FILES:
                raise
        else:
            if not code:
                return record
        words = process.last_words(directory)
        raise FailureKind.EXIT.error(f"{PROGRAM} left with exit code {code} after: {words}")

    def _attempt(self, name: str) -> str:
        """Make a new directory with the input of the pair, and nothing else."""
        os.makedirs(self.raw, exist_ok=True)
        _sign(self.raw, self.provenance())
        for entry in os.listdir(self.raw):
            left = re.fullmatch(rf"\.{name}\.(\d+)", entry)
            if left and (int(left[1]) == os.getpid() or not _is_running(int(left[1]))):
                shutil.rmtree(os.path.join(self.raw, entry))
        # A worker that outlives its run by a moment must not share the directory with the next one.
        attempt = os.path.join(self.raw, f".{name}.{os.getpid()}")
        os.mkdir(attempt)
        os.symlink(
            os.path.abspath(self.parameters.directory),
            os.path.join(attempt, input_file.SKF_LINK),
        )
        radii = [elements.element(symbol).covalent_radius_ang for symbol in name.split("_")]
        text = input_file.render(
            self.template, name, START_RATIO * sum(radii), self.parameters.angular_momenta
        )
        files.write_text(os.path.join(attempt, INPUT), text)
        return attempt


def _is_running(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not yet asked for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _sign(raw: str, run: Mapping[str, Any]) -> None:
    """Say in the tree who made it, so that no other run takes it for its own."""
    path = os.path.join(raw, RUN)
    if not os.path.exists(path):
        own = f"{path}.{os.getpid()}"  # several workers may be here at once, with the same text
        files.write_text(own, json.dumps(run, indent=2, sort_keys=True))
        os.replace(own, path)


def _check_raw(raw: str, run: Mapping[str, Any]) -> None:
    """Raise InputError where outputs that are not of this run would be replaced."""
    path = os.path.join(raw, RUN)
    advice = "choose another directory for the raw outputs (--raw), or delete it"
    try:
        if not os.listdir(raw):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{raw}: cannot be read: {error.strerror}; {advice}") from error
    if not os.path.lexists(path):
        raise InputError(f"{raw}: holds something else than outputs of this engine; {advice}")
    try:
        begun = files.read_json(path)
    except InputError as error:
        raise InputError(f"{error}; {advice}") from error
    if not isinstance(begun, dict):
        raise InputError(f"{path}: expected a run's settings, got {begun!r:.40}; {advice}")
    if differ := differing(begun, run):
        raise InputError(f"{raw}: holds outputs of a run with other {', '.join(differ)}; {advice}")
