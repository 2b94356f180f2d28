"""What a run has computed so far, in one SQLite file that survives the run being killed."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qc_jax.data import files
from qc_jax.engines.engine import Answer, Failure, FailureKind
from qc_jax.engines.record import Record, Scan
from qc_jax.errors import InputError

_READERS: dict[str, Callable[[Any], Answer]] = {
    "record": Record.from_json,
    "scan": Scan.from_json,
    "failure": lambda data: Failure(FailureKind(data["kind"]), data["detail"]),
}
_WAIT_S = 60.0  # for another process that writes to a shared store


def differing(begun: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """Return the keys in which a run differs from one that was read from JSON, sorted."""
    run = json.loads(json.dumps(dict(run)))
    return sorted(key for key in {*begun, *run} if begun.get(key, ...) != run.get(key, ...))


class AnswerStore:
    """The answers of one run by pair; use it in a `with` statement.

    An answer that was added stays, whatever happens to the process.

    Attributes:
      path: of the file.
    """

    def __init__(self, path: str, run: Mapping[str, Any], *, shared: bool = False):
        """Open the store at `path`, or begin it.

        Args:
          path: of the file.
          run: what decides the answers: elements, engine, version, settings; plain JSON.
          shared: whether several processes work on the run at once.

        Raises:
          InputError: it cannot be written, is of another run, damaged, or in use.
        """
        self.path = path
        if os.path.lexists(path):  # SQLite waits for ever at a named pipe
            with files.reading(path, "rb"):
                pass
        with self._explained():
            # The isolation level None leaves every statement a transaction of its own.
            self._file = sqlite3.connect(path, timeout=_WAIT_S if shared else 0.0)
            self._file.isolation_level = None
        try:
            with self._explained():
                if not shared:
                    self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
                # A killed process loses nothing by it; a power failure may.
                self._file.execute("PRAGMA synchronous = OFF")
                self._begin(run)
        except InputError:
            self._file.close()
            raise

    def _begin(self, run: Mapping[str, Any]) -> None:
        self._file.execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in self._file.execute("SELECT name FROM sqlite_master")}
        if not tables:
            self._file.execute("CREATE TABLE run (settings TEXT NOT NULL)")
            self._file.execute(
                "CREATE TABLE answers (name TEXT PRIMARY KEY, kind TEXT NOT NULL, "
                "content TEXT NOT NULL)"
            )
            self._file.execute("INSERT INTO run VALUES (?)", [json.dumps(dict(run))])
        self._file.execute("COMMIT")
        ((settings,),) = self._file.execute("SELECT settings FROM run").fetchall()
        if differ := differing(json.loads(settings), run):
            raise InputError(
                f"{self.path}: begun by a run with other {', '.join(differ)}; finish that run, "
                "delete the file, or choose another place"
            )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell in one line what SQLite, or what stands in the file, says."""
        try:
            yield
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise InputError(f"{self.path}: another run is writing this table") from error
            raise InputError(f"{self.path}: cannot be written: {error}") from error
        except InputError:
            raise
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path}: damaged ({error}); delete the file to start afresh"
            ) from error

    def __enter__(self) -> "AnswerStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def names(self) -> set[str]:
        """Return the pairs that have an answer."""
        with self._explained():
            return {name for (name,) in self._file.execute("SELECT name FROM answers")}

    def get(self, name: str) -> Answer | None:
        """Return the answer for a pair, to the last bit as it was added; None where none was.

        Raises:
          InputError: it is damaged.
        """
        with self._explained():
            row = self._file.execute(
                "SELECT kind, content FROM answers WHERE name = ?", [name]
            ).fetchone()
            return None if row is None else _READERS[row[0]](json.loads(row[1]))

    def add(self, name: str, answer: Answer) -> None:
        """Keep the answer for a pair.

        Raises:
          InputError: the disk is full.
        """
        content = vars(answer) if isinstance(answer, Failure) else answer.to_json()
        kind = type(answer).__name__.lower()
        with self._explained():
            self._file.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
                [name, kind, json.dumps(content)],
            )
