"""What a run has computed so far, in a file that survives the run being killed.

JSON lines: the first says what the run computes and how, each other one holds a pair. Lines are
only ever appended, so that the last one alone can be torn.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from typing import Any

from qc_jax.engines.record import Answer, Record, Scan
from qc_jax.errors import InputError


def _from_json(data: Mapping[str, Any]) -> Answer:
    return Scan.from_json(data) if "points" in data else Record.from_json(data)


def differing(begun: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """The keys in which a run differs from one that was read from JSON, sorted."""
    run = json.loads(json.dumps(dict(run)))
    return sorted(key for key in {*begun, *run} if begun.get(key, ...) != run.get(key, ...))


class Journal:
    """The journal of one run, open for appending; use it in a `with` statement.

    Attributes:
      path: of the file.
      answers: by pair, the record or why there is none.
    """

    def __init__(self, path: str, run: Mapping[str, Any]):
        """Opens the journal at `path`, or begins it.

        Args:
          path: of the file.
          run: what decides the records: elements, engine, version, settings; plain JSON.

        Raises:
          InputError: it cannot be written, is of another run, damaged, or in use.
        """
        self.path = path
        self.answers: dict[str, Answer | str] = {}
        try:
            self._file = open(path, "a+b")  # noqa: SIM115 (closed by `close`)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(run)
        except BlockingIOError as error:
            self._file.close()
            raise InputError(f"{path}: another run is writing this table") from error
        except OSError as error:
            self._file.close()
            raise InputError(f"{path}: cannot be read or locked: {error.strerror}") from error
        except InputError:
            self._file.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def _read(self, run: Mapping[str, Any]) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.truncate(whole)  # what is behind was torn by a kill
        lines = content[:whole].splitlines()
        if not lines:
            self._append(dict(run))
            return
        number = 1
        try:
            begun = json.loads(lines[0])
            for number, line in enumerate(lines[1:], start=2):  # noqa: B007 (told below)
                entry = json.loads(line)
                record = entry["record"]
                self.answers[entry["name"]] = (
                    entry["failure"] if record is None else _from_json(record)
                )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: line {number} is damaged ({error}); delete the file to start afresh"
            ) from error
        if differ := differing(begun, run):
            raise InputError(
                f"{self.path}: begun by a run with other {', '.join(differ)}; finish that run, "
                "delete the file, or choose another --out"
            )

    def add(self, name: str, answer: Answer | str) -> None:
        """Keeps a pair's record, or why there is none."""
        self.answers[name] = answer
        if isinstance(answer, str):
            self._append({"name": name, "record": None, "failure": answer})
        else:
            self._append({"name": name, "record": answer.to_json()})

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()

    def remove(self) -> None:
        """Deletes the file."""
        os.remove(self.path)
