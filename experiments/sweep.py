"""Sweeps: the trainings that `config.sweep` asks for, trained as a grid and scored one by one."""

import csv
import io
import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

from experiments import runs, scoring
from experiments.configs.common import SWEPT
from qc_jax import models
from qc_jax.data import files
from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError
from qc_jax.train import grid, loop
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.stack import Training, of_one
from qc_jax.train.workdir import Workdir

_COLUMNS = (
    *("training", "model", "target", "unit", "seed", "lr", "weight_decay", "dropout", "status"),
    *("mae", "rmse", "median_ae", "r2", "mae_training_median", "mae_pair_mean", "given_away_by"),
    *("parameters", "epochs", "best_epoch", "seconds", "data", "data_fingerprint", "split"),
)


def is_swept(config: Mapping[str, Any]) -> bool:
    """Whether a configuration asks for more than one training."""
    return any(config["sweep"][name] for name in SWEPT)


def expand(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The configuration of each training of a sweep, by a name like 'e_homo_ev-seed42'.

    Raises:
      InputError: a value that the sweep cannot have.
    """
    values = {name: _values(name, config["sweep"][name]) for name in SWEPT}
    if values["target"] and config["targets"]:
        raise InputError("expected sweep.target or targets, got both")
    expanded = {}
    for chosen in itertools.product(
        *([(name, value) for value in values[name]] for name in SWEPT if values[name])
    ):
        nothing = {**config["sweep"], **dict.fromkeys(SWEPT, "")}
        one = {**config, "model": dict(config["model"]), "sweep": nothing}
        words = []
        for name, value in chosen:
            words.append(value if name in ("model", "target") else f"{name}{value:g}")
            match name:
                case "model":
                    one["model"] = {"name": value, **models.defaults(value)}
                case "dropout":
                    if "dropout" not in one["model"]:
                        raise InputError(f"sweep.dropout: {one['model']['name']} has no dropout")
                    one["model"]["dropout"] = value
                case _:
                    one[name] = value
        expanded["-".join(words)] = one
    return expanded


def _values(name: str, text: str) -> list[Any]:
    words = [word.strip() for word in str(text).split(",")] if text else []
    if name == "target" and words == ["all"]:
        words = list(BENCHMARK_TARGETS)
    if len(set(words)) < len(words):
        raise InputError(f"sweep.{name}={text}: expected different values")
    if name in ("model", "target"):
        return words
    try:
        return [int(word) if name == "seed" else float(word) for word in words]
    except ValueError:
        raise InputError(f"sweep.{name}={text}: expected numbers with commas between") from None


class Sweep:
    """The trainings of a sweep, in one directory.

    It has config.json, results.csv with a line a training and target, written anew as each one
    ends, and trainings/NAME, the work directory of each, for `predict` and `evaluate`.

    Args:
      config: of the sweep.
      path: of the directory.

    Raises:
      InputError: a value is wrong, or the directory holds another run.
    """

    def __init__(self, config: Mapping[str, Any], path: str | os.PathLike):
        self._runs: dict[str, runs.Run] = {}
        table = runs.read_table(config["data"], config["data_dir"])
        for name, one in expand(config).items():
            self._runs[name] = runs.from_config(one, table)
        fingerprint = table.fingerprint()
        self.workdir = Workdir(path)
        self.workdir.claim({**config, "data_fingerprint": fingerprint})
        self._trainings = {}
        for name, run in self._runs.items():
            workdir = Workdir(self.workdir.path / "trainings" / name)
            workdir.claim(run.config)
            self._trainings[name] = Training(run.model, run.task, run.settings, workdir)

    def __len__(self) -> int:
        return len(self._trainings)

    @property
    def results(self) -> str:
        """The path of results.csv."""
        return os.path.join(self.workdir.path, "results.csv")

    def done(self, name: str) -> bool:
        """Whether a training has ended, with a result or a failure."""
        workdir = self._trainings[name].workdir
        return workdir.result() is not None or workdir.failure() is not None

    def train(
        self,
        on_epoch: Callable[[str, dict[str, Any]], None],
        on_end: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> None:
        """Trains and scores what is not done; see `grid.fit_grid`."""
        stack_size = self.workdir.config()["sweep"]["stack"]
        plan = grid.waves(self._trainings, self.workdir.path, stack_size)
        lines = {name: self._lines(name) for name in self._trainings if self.done(name)}
        self._write(lines)
        for name in lines:
            on_end(name)

        def end(name: str, what: loop.Trained | InputError) -> None:
            workdir, run = self._trainings[name].workdir, self._runs[name]
            if isinstance(what, InputError):
                workdir.write_failure(str(what))
            else:
                seconds = {
                    "compile": what.compile_seconds,
                    "train": sum(line["seconds"] for line in what.history),
                }
                with Checkpoints(workdir.checkpoints) as checkpoints:
                    checkpoints.save(int(what.state.epoch), of_one(what.state))
                workdir.write_result(scoring.score(run, what.state, seconds))
            lines[name] = self._lines(name)
            self._write(lines)
            on_end(name)

        grid.fit_grid(self._trainings, plan, self.done, on_epoch, end, stop)

    def _lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of results.csv of one training that has ended."""
        run, workdir = self._runs[name], self._trainings[name].workdir
        about = {
            "training": name,
            "model": run.config["model"]["name"],
            "seed": run.settings.seed,
            "lr": run.settings.lr,
            "weight_decay": run.settings.weight_decay,
            "dropout": run.config["model"].get("dropout", ""),
            "data": run.config["data"],
            "data_fingerprint": run.config["data_fingerprint"],
            "split": run.config["split"],
        }
        failure, result = workdir.failure(), workdir.result()
        if failure is not None or result is None:
            return [about | {"target": key, "status": failure} for key in run.task.targets]
        return [
            about
            | {
                "target": key,
                "unit": result["units"][key],
                "status": "finished",
                **errors,
                "mae_training_median": result["baselines"]["training_median"][key]["mae"],
                "mae_pair_mean": result["baselines"]["pair_mean"][key]["mae"],
                "given_away_by": " ".join(result["given_away_by"][key]),
                "parameters": result["parameters"],
                "epochs": result["epochs"],
                "best_epoch": result["best_epoch"],
                "seconds": result["seconds"]["train"],
            }
            for key, errors in result["test"].items()
        ]

    def _write(self, lines: Mapping[str, list[dict[str, Any]]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name in self._trainings:
            writer.writerows(lines.get(name, ()))
        files.write_text(self.results, text.getvalue())
