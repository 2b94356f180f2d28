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

from qc_jax.chem import elements
from qc_jax.engines.dftbplus import input_file, process, slater_koster
from qc_jax.engines.dftbplus.pair import read_pair
from qc_jax.engines.dftbplus.process import PROGRAM
from qc_jax.engines.engine import EngineError
from qc_jax.engines.gates import NEED_EVIDENCE, Gates
from qc_jax.engines.journal import differing
from qc_jax.engines.record import Record
from qc_jax.errors import InputError

# A pair takes about a tenth of a second; one that takes this long hangs. It is less than the pool
# waits (`generate.TIMEOUT_S`), so that the program is ended by who started it.
TIMEOUT_S = 590.0
START_RATIO = 1.1  # where the search starts, over the sum of the covalent radii; as published
INPUT, RUN = "dftb_in.hsd", "run.json"
UNREADABLE = "files"  # the kind of what `read_pair` raises where outputs are missing


@dataclasses.dataclass(frozen=True)
class DftbplusEngine:
    """Pairs by DFTB+; implements `engine.Engine`. `create` makes one, and checks everything.

    Attributes:
      parameters: the Slater-Koster files.
      raw: directory of the outputs, one directory a pair.
      template: text of the input (`input_file.FIELDS`).
      executable: path of the program.
      version: what it says that it is.
      timeout_s: when a pair is given up.
      gates: which pairs may stand in a table; those that need evidence cannot be checked.
    """

    parameters: slater_koster.ParameterSet
    raw: str
    template: str
    executable: str
    version: str
    timeout_s: float = TIMEOUT_S
    gates: Gates = dataclasses.field(default_factory=Gates)
    name: ClassVar[str] = "dftbplus"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The elements it was made for."""
        return tuple(self.parameters.angular_momenta)

    def provenance(self) -> dict[str, Any]:
        """Program, version, input and parameters."""
        return {
            "engine": self.name,
            "version": self.version,
            "slater_koster": {"files": self.parameters.files, "sha256": self.parameters.sha256},
            "angular_momenta": dict(self.parameters.angular_momenta),
            "template": self.template,
            "start_ratio": START_RATIO,
            "gates_not_checked": list(NEED_EVIDENCE),
        }

    def compute(self, name: str) -> Record:
        """The pair as the program relaxes it.

        Raises:
          EngineError: the program failed, or took too long, or what it wrote can't be trusted.
        """
        attempt = self._attempt(name)
        code = process.run(self.executable, attempt, self.timeout_s)
        directory = os.path.join(self.raw, name)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory)
        os.rename(attempt, directory)
        if code is None:
            raise EngineError(f"timeout: {PROGRAM} was not ready after {self.timeout_s:g} s")
        if code < 0:
            words = process.last_words(directory)
            raise EngineError(f"crash: {PROGRAM} was ended by signal {-code} after: {words}")
        failure = f"exit: {PROGRAM} left with exit code {code} after: "
        try:
            record = read_pair(directory)
        except EngineError as error:
            if code and str(error).startswith(UNREADABLE):
                raise EngineError(failure + process.last_words(directory)) from error
            raise
        if code:
            raise EngineError(failure + process.last_words(directory))
        return record

    def _attempt(self, name: str) -> str:
        """A new directory with the input of the pair, and nothing else."""
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
        with open(os.path.join(attempt, INPUT), "w", encoding="utf-8") as file:
            file.write(text)
        return attempt


def _is_running(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet asked for does not (on Linux)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it has just ended, or this is no Linux and nothing tells
        return not os.path.isdir("/proc/self")


def _sign(raw: str, run: Mapping[str, Any]) -> None:
    """Says in the tree who made it, so that no other run takes it for its own."""
    path = os.path.join(raw, RUN)
    if not os.path.exists(path):
        own = f"{path}.{os.getpid()}"  # several workers may be here at once, with the same text
        with open(own, "w", encoding="utf-8") as file:
            json.dump(run, file, indent=2, sort_keys=True)
        os.replace(own, path)


def _check_raw(raw: str, run: Mapping[str, Any]) -> None:
    """Raises InputError where outputs that are not of this run would be replaced."""
    path = os.path.join(raw, RUN)
    advice = "choose another directory for the raw outputs (--raw), or delete it"
    try:
        if not os.listdir(raw):
            return
        with open(path, encoding="utf-8") as file:
            begun = json.load(file)
    except FileNotFoundError as error:
        if os.path.exists(raw):
            raise InputError(
                f"{raw}: holds something else than outputs of this engine; {advice}"
            ) from error
        return
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {advice}") from error
    if differ := differing(begun, run):
        raise InputError(f"{raw}: holds outputs of a run with other {', '.join(differ)}; {advice}")


def create(
    *,
    skf: str | None = None,
    raw: str | None = None,
    symbols: Sequence[str] | None = None,
    template: str | None = None,
    angular_momenta: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> DftbplusEngine:
    """The engine for all pairs of some elements, after all that can be wrong has been looked at.

    Args:
      skf: directory of Slater-Koster files.
      raw: directory for the outputs; where it exists it must be of a run with the same settings.
      symbols: elements; all that have a homonuclear file unless given.
      template: path of a text for the input (`input_file.FIELDS`); that of the published data
        unless given.
      angular_momenta: 's', 'p', 'd' or 'f' by element, where the files do not tell.
      timeout_s: when a pair is given up.

    Raises:
      InputError: the program is not there, files are missing or damaged, `raw` is taken.
    """
    if skf is None:
        raise InputError(
            "engine 'dftbplus' needs --skf=DIR, a directory of Slater-Koster files like H-O.skf"
        )
    if raw is None:
        raise InputError("engine 'dftbplus' needs --raw=DIR, where it keeps the outputs")
    executable, version = process.find_program()
    engine = DftbplusEngine(
        slater_koster.open_set(skf, symbols, angular_momenta),
        os.path.abspath(raw),
        input_file.read_template(template),
        executable,
        version,
        timeout_s,
    )
    _check_raw(engine.raw, engine.provenance())
    return engine
