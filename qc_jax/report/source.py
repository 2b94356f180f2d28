"""Where a report's numbers come from: a work directory, or the package's own results."""

import dataclasses
import importlib.resources
import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from qc_jax.data import files
from qc_jax.errors import NUMBER, InputError, expect_fields
from qc_jax.evaluate import predictions
from qc_jax.report import leaderboard
from qc_jax.report.layout import counted
from qc_jax.runs import results, sweep
from qc_jax.runs.workdir import EPOCH, Workdir

PACKAGED = "leaderboard.parquet"
_COMMAND = {
    **{"command": str, "event": str, "time?": str, "machine?": str, "seconds?": NUMBER},
    **{"versions?": {...: str}, "left_out?": [str]},
}
_PLACE = re.compile(r"(--?(?:workdir|data_dir|out)[= ])('[^']*'|\S+)")
_PATH = re.compile(r"(?<=[=:,])(?:~|\.{0,2})/[^,]*")  # in a flag's value


@dataclasses.dataclass(frozen=True)
class Source:
    """Results, and what is known of how they came about.

    Attributes:
      title: whose they are.
      frame: the benchmark's rows of the long table.
      aside: the rows of trainings that only studies are about.
      studies: the rows of each study, by name.
      commands: the lines of commands.jsonl.
      unfinished: trainings that were begun and have neither a result nor a failure.
      left_out: by data fingerprint, the pairs that are not in the data, with the reason.
      workdirs: of the finished trainings, by name; none of packaged results.
      data_dirs: of TFDS, by data fingerprint.
      submitted: predictions of trainings that were handed in, by name; see `report.submission`.
    """

    title: str
    frame: pd.DataFrame
    aside: pd.DataFrame
    studies: Mapping[str, pd.DataFrame]
    commands: tuple[dict[str, Any], ...]
    unfinished: tuple[str, ...]
    left_out: Mapping[str, Mapping[str, str]]
    workdirs: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    data_dirs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    submitted: Mapping[str, predictions.Predictions] = dataclasses.field(default_factory=dict)

    @property
    def trained(self) -> pd.DataFrame:
        """The rows of results.csv."""
        return pd.concat([self.frame, self.aside], ignore_index=True)

    @property
    def partial(self) -> list[str]:
        """Lines that say in what these results are not complete; none where they are."""
        lines = []
        if self.unfinished:
            lines.append(f"{counted(len(self.unfinished), 'training')} begun and not finished")
        trained = self.trained
        failed = trained[trained.status != results.FINISHED].training.nunique()
        if failed:
            lines.append(f"{counted(failed, 'training')} failed")
        if self.commands and self.commands[-1].get("event") == "started":
            lines.append("the last command has not ended")
        return lines

    def predictions(self, training: str) -> predictions.Predictions | None:
        """What a training predicted; None where that is not kept.

        Raises:
          InputError: the file is damaged.
        """
        if training in self.submitted:
            return self.submitted[training]
        path = self._file(training, "predictions.npz")
        return predictions.read(path) if path is not None else None

    def epochs(self, training: str) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; none where that is not kept.

        Raises:
          InputError: a line is none.
        """
        path = self._file(training, "metrics.jsonl")
        return _lines(path, EPOCH) if path is not None else []

    def _file(self, training: str, name: str) -> Path | None:
        """Return the path of a file of a training's directory; None where there is none."""
        folder = self.workdirs.get(training)
        return folder / name if folder is not None and (folder / name).exists() else None


def read(path: str | os.PathLike) -> Source:
    """The results in a work directory: of `experiments.benchmark`, or of one training.

    Args:
      path: of the directory.

    Raises:
      InputError: there are none, or a file is damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such directory; expected the workdir of a benchmark")
    single = (path / "config.json").exists()
    folder = path / "trainings"
    for each in (folder, path / "studies"):
        if each.exists() and not each.is_dir():
            raise InputError(f"{each}: expected a directory, got a file")
    # A directory that another process is about to claim holds no config.json yet.
    all_of = {
        one.name: one
        for one in ([path] if single else sorted(folder.iterdir()) if folder.is_dir() else [])
        if (one / "config.json").exists()
    }
    table = path / "results.csv"
    studies = {
        file.stem: results.read(file).assign(study=file.stem)
        for file in sorted((path / "studies").glob("*.csv"))
    }
    if not (all_of or table.exists() or studies):
        raise InputError(
            f"{path}: expected results.csv, trainings/ or studies/, as experiments.benchmark, "
            "experiments.study or experiments.train write them, got none of them"
        )
    frame = results.read(table) if table.exists() else results.table([])
    known = set(frame.training)
    more: list[dict[str, Any]] = []
    done, unfinished = {}, []
    left_out: dict[str, dict[str, str]] = {}
    data_dirs: dict[str, str] = {}
    for name, one in all_of.items():
        workdir = Workdir(one, writes=False)
        config, result = workdir.config(), workdir.result()
        fingerprint = config["data_fingerprint"]
        data_dirs[fingerprint] = config.get("data_dir", "")
        if result is not None:
            done[name] = one
            left_out.setdefault(fingerprint, {}).update(result["left_out"])
        elif workdir.failure() is None:
            unfinished.append(name)
            continue
        # results.csv is written as a training ends: a kill may come in between, and a training that
        # is no part of a benchmark has none.
        if name not in known:
            more += sweep.lines(workdir)
    if more:
        frame = results.table([*frame.to_dict("records"), *more])
    own, aside = leaderboard.without_studies(frame, studies.values())
    return Source(
        title="this work directory",
        frame=own,
        aside=aside,
        studies=studies,
        commands=tuple(_lines(path / "commands.jsonl", _COMMAND)),
        unfinished=tuple(unfinished),
        left_out=left_out,
        workdirs=done,
        data_dirs=data_dirs,
    )


def with_tests(source: Source) -> Source:
    """The source with tests of the best two models, where its predictions allow them."""
    frame = leaderboard.with_tests(source.frame, source.predictions)
    return dataclasses.replace(source, frame=frame)


def package(source: Source, path: str | os.PathLike) -> int:
    """Writes a source as one Parquet file: all its rows, and how they came about.

    Predictions and training curves are not in it, nor where on this machine they were made.

    Returns:
      How many rows these are.

    Raises:
      InputError: it cannot be written.
    """
    frame = results.table(
        pd.concat([source.trained, *source.studies.values()], ignore_index=True).to_dict("records")
    )
    frame.attrs = {
        "commands": [
            {**line, "command": _without_places(line["command"])} for line in source.commands
        ],
        "unfinished": list(source.unfinished),
        "left_out": {key: dict(pairs) for key, pairs in source.left_out.items()},
    }
    results.write(path, frame)
    return len(frame)


def _without_places(command: str) -> str:
    """Return a command as it is shown elsewhere: of files the names, of directories DIR."""
    words = shlex.split(_PLACE.sub(r"\1DIR", command))
    return shlex.join(_PATH.sub(lambda path: PurePath(path[0]).name, word) for word in words)


def packaged() -> Source | None:
    """The project's own results; None where the package holds none.

    Raises:
      InputError: they are damaged.
    """
    with importlib.resources.as_file(importlib.resources.files("qc_jax.report") / PACKAGED) as path:
        if not path.exists():
            return None
        frame = results.read(path)
    about = frame.attrs
    frame.attrs = {}
    studies = {
        str(name): rows for name, rows in frame[frame.study != results.BENCHMARK].groupby("study")
    }
    own, aside = leaderboard.without_studies(frame, studies.values())
    return Source(
        title="the project's own results",
        frame=own,
        aside=aside,
        studies=studies,
        commands=tuple(about.get("commands", ())),
        unfinished=tuple(about.get("unfinished", ())),
        left_out=about.get("left_out", {}),
    )


def _lines(path: Path, kind: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines, each of a kind; none where it is not there.

    Raises:
      InputError: a line is none. The last may be torn by a kill, and is not read then.
    """
    if not path.exists():
        return []
    lines = files.read_text(path).splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            if number < len(lines):
                raise InputError(f"{path} line {number}: expected JSON: {error}") from error
            continue
        expect_fields(f"{path} line {number}", value, kind)
        found.append(value)
    return found
