"""The work directory of one training: config.json, metrics.jsonl, checkpoints/, result.json."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qc_jax.data import files
from qc_jax.errors import InputError

# Fields that the configurations of earlier versions do not have, and what they stand for there.
ADDED: Mapping[str, Any] = {
    "canvas_size": 32,
    "force_weight": 0.0,
    "keep": "best",
    "layer_lr": "",
    "neighbor_cutoff": 0.0,
    "scale_on": "train",
    "stream": False,
    "train_fraction": 1.0,
    "train_rows": 0,
}


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


class Workdir:
    """One directory, one run.

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
    def checkpoints(self) -> Path:
        """Where orbax writes."""
        return self.path / "checkpoints"

    def claim(self, config: Mapping[str, Any]) -> None:
        """Makes this the directory of the run with `config`, or finds that it already is.

        Raises:
          InputError: it holds another run or other files; nothing is touched then.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: expected a directory, got a file")
        if (self.path / self._config_name).exists():
            # As it would be read again: JSON has lists for tuples.
            there = {**ADDED, **_flat(self.config())}
            asked = {**ADDED, **_flat(json.loads(json.dumps(config)))}
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
            return
        if not self.writes:
            raise InputError(
                f"{self.path}: this process does not see what the first process wrote; expected a "
                "directory on a file system that all share"
            )
        # A run that was killed while it claimed its directory leaves a partial file.
        unfinished = {self._config_name + files.PARTIAL}
        if self.path.exists() and {path.name for path in self.path.iterdir()} - unfinished:
            raise InputError(
                f"{self.path} is not empty and holds no run; choose another work directory"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error
        files.write_json(self.path / self._config_name, dict(sorted(config.items())))

    def lock(self) -> None:
        """Keeps other processes from training here until this one has ended, killed or not.

        Raises:
          InputError: another process trains here.
        """
        if not self.writes:
            return
        # Never closed: the lock is gone when the process is.
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # as POSIX leaves open
            raise InputError(
                f"{self.path}: another process trains here; wait for its end, or choose another "
                "work directory"
            ) from None
        except OSError:  # a file system without locks
            return

    def config(self) -> dict[str, Any]:
        """The run's configuration."""
        return self._read(self._config_name, "a work directory of experiments.train")

    def result(self) -> dict[str, Any] | None:
        """What `write_result` wrote; None while the run is not finished."""
        if not (self.path / "result.json").exists():
            return None
        return self._read("result.json", "the result of experiments.train")

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes result.json: the run is finished."""
        if self.writes:
            files.write_json(self.path / "result.json", dict(result))

    def failure(self) -> str | None:
        """What `write_failure` wrote; None where the run did not fail."""
        if not (self.path / "failure.json").exists():
            return None
        return self._read("failure.json", "a run that failed")["error"]

    def write_failure(self, error: str) -> None:
        """Writes failure.json: the run ended without a result and is not tried again."""
        if self.writes:
            files.write_json(self.path / "failure.json", {"error": error})

    def metrics(self, epochs: int) -> list[dict[str, Any]]:
        """The first `epochs` lines of metrics.jsonl; later ones, of lost work, are cut off."""
        path = self.path / "metrics.jsonl"
        # The last line may be torn by a kill; what a checkpoint covers was complete before it.
        lines = path.read_text().splitlines()[:epochs] if path.exists() else []
        if len(lines) < epochs:
            raise InputError(
                f"{path}: expected {epochs} epochs, as in the checkpoint, got {len(lines)}"
            )
        if self.writes:
            files.write_text(path, "".join(line + "\n" for line in lines))
        return [json.loads(line) for line in lines]

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Adds one epoch to metrics.jsonl."""
        if not self.writes:
            return
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")

    def _read(self, name: str, what: str) -> dict[str, Any]:
        if not (self.path / name).exists():
            raise InputError(f"{self.path} is not {what}: it holds no {name}")
        return files.read_json(self.path / name)
