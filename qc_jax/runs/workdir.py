"""The work directory of one training.

config.json, metrics.jsonl, checkpoints/ and result.json; `qc_jax.runs.record` adds run.json and
pairs.npz, `qc_jax.runs.scoring` predictions.npz, `qc_jax.fit` start.json: from which weights.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock

from qc_jax.data import files
from qc_jax.errors import NUMBER, InputError, expect_fields
from qc_jax.runs.config import RunConfig
from qc_jax.train.observers import Observer

_HELD: dict[str, filelock.BaseFileLock] = {}  # by their paths; a lock is gone when the process is
# What the files that are read again hold at least.
_ERRORS = {...: {...: NUMBER}}  # by target and metric
_RESULT = {
    **{name: str for name in ("model", "dataset", "data_fingerprint", "split")},
    **{name: int for name in ("parameters", "epochs", "best_epoch")},
    "split_sizes": {name: int for name in ("train", "validation", "test")},
    "units": {...: str},
    "leaked_by": {...: [str]},
    "test": _ERRORS,
    "baselines": {...: _ERRORS},
    "left_out": {...: str},
    "seconds": {...: NUMBER},
    "versions": {...: str},
}
EPOCH = {"epoch": int, "seconds": NUMBER, "validation_mae": {...: NUMBER}}

# What the directory is that such a file stands in.
_WHAT = {"config.json": "the directory of a training", "sweep.json": "the directory of a sweep"}


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


class Workdir(Observer):
    """One directory, one run; as an observer it keeps checkpoints and metrics.jsonl.

    Args:
      path: of the directory.
      writes: whether this process is the one that writes there; elsewhere what would write does
        nothing.
      config_name: of the file that says whose directory it is; a sweep's is not that of a run.

    Raises:
      InputError: from every method, where a file is missing, damaged or of another run.
    """

    def __init__(
        self, path: str | os.PathLike, writes: bool = True, config_name: str = "config.json"
    ):
        self.path = Path(path)
        self.writes = writes
        self._config_name = config_name

    @property
    def checkpoints(self) -> Path:  # type: ignore[override]
        """Where orbax writes."""
        return self.path / "checkpoints"

    def claim(self, config: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        """Makes this the directory of the run with `config`, or finds that it already is.

        Args:
          config: of the run.
          defaults: of fields that are not in a directory that was made before there were such.

        Raises:
          InputError: it holds another run or other files; nothing is touched then.
        """
        if self.is_of(config, defaults):
            return
        if not self.writes:
            raise InputError(
                f"{self.path}: this process does not see what the first process wrote; expected a "
                "directory on a file system that all share"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error
        files.write_json(self.path / self._config_name, dict(sorted(config.items())))

    def is_of(self, config: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> bool:
        """Whether this is the directory of the run with `config` already, which `claim` makes it.

        Raises:
          InputError: as `claim`.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: expected a directory, got a file")
        if (self.path / self._config_name).exists():
            there = _flat(self._read(self._config_name, _WHAT[self._config_name]))
            # As they would be read again: JSON has lists for tuples.
            usual, asked = (_flat(json.loads(json.dumps(one))) for one in (defaults or {}, config))
            there = {**usual, **there}
            different = [
                f"{key} is {there.get(key)!r} there, {asked.get(key)!r} asked"
                for key in sorted(there.keys() | asked.keys())
                if there.get(key) != asked.get(key)
            ]
            if different:
                raise InputError(
                    f"{self.path} holds another run ({'; '.join(different)}); "
                    "choose another work directory"
                )
            return True
        # A run that was killed while it claimed its directory leaves a partial file.
        unfinished = {self._config_name + files.PARTIAL}
        if self.path.exists() and {path.name for path in self.path.iterdir()} - unfinished:
            raise InputError(
                f"{self.path} is not empty and holds no run; choose another work directory"
            )
        return False

    def lock(self) -> None:
        """Keeps other processes from training here until this one has ended, killed or not.

        Raises:
          InputError: another process trains here.
        """
        # Nothing is trained where the result is there, perhaps in a directory for reading alone.
        if not self.writes or (self.path / "result.json").exists():
            return
        name = os.path.realpath(self.path / "lock")
        lock = _HELD.get(name) or filelock.FileLock(name, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise InputError(
                f"{self.path}: another process trains here; wait for its end, or choose another "
                "work directory"
            ) from None
        except NotImplementedError:  # a file system without locks
            return
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error
        _HELD[name] = lock

    def config(self) -> dict[str, Any]:
        """The fields of the configuration: of a run checked, all of them, as JSON holds them."""
        found = self._read(self._config_name, _WHAT[self._config_name])
        if self._config_name != "config.json":
            return found
        if "schema" not in found:
            raise InputError(f"{self.path / self._config_name}: expected a run's schema, got none")
        try:
            if isinstance(found.get("model"), str):  # that cards may give, and no run writes
                raise InputError(f"model: expected its hyper-parameters, got {found['model']!r}")
            return RunConfig.from_dict(found).to_dict()
        except InputError as error:
            raise InputError(f"{self.path / self._config_name}: {error}") from error

    def result(self) -> dict[str, Any] | None:
        """What `write_result` wrote; None while the run is not finished."""
        if not (self.path / "result.json").exists():
            return None
        return self._read("result.json", "the result of a training", _RESULT)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes result.json: the run is finished."""
        if self.writes:
            files.write_json(self.path / "result.json", dict(result))

    def failure(self) -> str | None:
        """What `write_failure` wrote; None where the run did not fail."""
        if not (self.path / "failure.json").exists():
            return None
        return str(self._read("failure.json", "a run that failed", {"error": str})["error"])

    def write_failure(self, error: str) -> None:
        """Writes failure.json: the run ended without a result and is not tried again."""
        if self.writes:
            files.write_json(self.path / "failure.json", {"error": error})

    def history(self, epochs: int) -> list[dict[str, Any]]:
        """The first `epochs` lines of metrics.jsonl; later ones, of lost work, are cut off."""
        path = self.path / "metrics.jsonl"
        # The last line may be torn by a kill; what a checkpoint covers was complete before it.
        lines = []
        if path.exists():
            with files.reading(path, errors="replace") as file:
                lines = file.read().splitlines()[:epochs]
        if len(lines) < epochs:
            raise InputError(
                f"{path}: expected {epochs} epochs, as in the checkpoint, got {len(lines)}"
            )
        found = [_line(path, number, line) for number, line in enumerate(lines, start=1)]
        if self.writes and path.exists():
            files.write_text(path, "".join(line + "\n" for line in lines))
        return found

    def on_epoch(self, line: Mapping[str, Any], resumed: bool = False) -> None:
        """Adds one epoch to metrics.jsonl, unless it stands there."""
        if resumed or not self.writes:
            return
        files.append_line(self.path / "metrics.jsonl", json.dumps(line))

    def _read(self, name: str, what: str, kind: Mapping[str, Any] | None = None) -> dict[str, Any]:
        path = self.path / name
        if not os.path.exists(path):  # unlike Path's it takes any text
            raise InputError(f"{self.path} is not {what}: it holds no {name}")
        found = files.read_json(path)
        expect_fields(str(path), found, kind or {})
        return found


def _line(path: Path, number: int, text: str) -> dict[str, Any]:
    """One epoch of metrics.jsonl."""
    try:
        found = json.loads(text)
        expect_fields("", found, EPOCH)
    except ValueError:  # an InputError is one
        raise InputError(
            f"{path}, line {number}: expected what epoch {number} measured, got {text!r:.60}"
        ) from None
    return found
