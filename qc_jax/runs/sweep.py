"""Sweeps: the trainings that `config.sweep` asks for, trained as a grid and scored one by one."""

import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from qc_jax import models
from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError
from qc_jax.runs import building, cards, initial, record, results, scoring, sources
from qc_jax.runs.config import SWEPT, ModelConfig, RunConfig, SweepConfig
from qc_jax.runs.workdir import Workdir
from qc_jax.train import grid, hosts, loop
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.config import TrainConfig
from qc_jax.train.stack import Training
from qc_jax.train.state import add_replica_axis

_LOOK_SECONDS = 1.0  # between two looks for what other processes have ended


def is_swept(config: Mapping[str, Any]) -> bool:
    """Whether a configuration asks for more than one training."""
    return any(config["sweep"][name] for name in SWEPT)


def as_name(text: str) -> str:
    """Return a value as names of trainings, which are those of directories, have it."""
    return text.replace(":", ".").replace("/", "_")


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
        nothing = dataclasses.asdict(SweepConfig())
        one = {**config, "model": dict(config["model"]), "sweep": nothing}
        words = []
        for name, value in chosen:
            words.append(_word(name, value))
            match name:
                case "model":
                    if value != config["model"]["name"]:
                        one["model"] = {"name": value, **models.defaults(value)}
                case "dropout":
                    if "dropout" not in one["model"]:
                        raise InputError(f"sweep.dropout: {one['model']['name']} has no dropout")
                    one["model"]["dropout"] = value
                case _:
                    one[name] = value
        own = "-".join(words)
        if own in expanded:
            raise InputError(f"sweep: expected different names of trainings, got {own} twice")
        expanded[own] = one
    return expanded


def _word(name: str, value: Any) -> str:
    """Return what the name of a training says of a value, another word for each number."""
    if isinstance(value, str):
        return as_name(value)
    short = f"{value:g}"
    exact = isinstance(value, float) and float(short) == value
    return f"{name}{short if exact else value}"


def _values(name: str, text: str) -> list[Any]:
    words = [word.strip() for word in str(text).split(",")] if text else []
    if name == "target" and words == ["all"]:
        words = list(BENCHMARK_TARGETS)
    kind = {"model": str, "target": str, "seed": int}.get(name, float)
    try:
        values = [kind(word) for word in words]
    except ValueError:
        raise InputError(f"sweep.{name}={text}: expected numbers with commas between") from None
    if len(set(values)) < len(values):
        raise InputError(f"sweep.{name}={text}: expected different values")
    return values


class Sweep:
    """Trainings on the same data, in one directory.

    It has sweep.json, results.csv, written anew as each training ends, and trainings/NAME, the work
    directory of each, for `predict` and `evaluate`. It may grow: a later sweep in the same
    directory adds its trainings to those that are there.

    Of several processes the first writes sweep.json and results.csv. Either all train every stack,
    and the first writes what comes of it, or each trains stacks of its own and writes what comes of
    those.

    Args:
      configs: of the trainings, by name.
      path: of the directory.
      stack: trainings in one program, at most; 0 takes as many as is good.

    Attributes:
      workdir: of the sweep.
      epochs: the most that one of the trainings has.

    Raises:
      InputError: a value is wrong, the directory holds trainings on other data or other trainings
        of these names, or another process trains there.
    """

    def __init__(
        self, configs: Mapping[str, Mapping[str, Any]], path: str | os.PathLike, stack: int = 0
    ):
        for name in configs:
            if "/" in name:
                raise InputError(f"training {name}: expected a name without '/', of a directory")
        first = next(iter(configs.values()))
        data = {name: first[name] for name in ("data", "data_dir")}
        table = sources.open_data(*data.values())
        for name, config in configs.items():
            if {key: config[key] for key in data} != data:
                raise InputError(f"{name}: expected the data of the others, {data}")
        all_runs = {
            name: initial.read(building.from_config(one, table)) for name, one in configs.items()
        }
        self.workdir = Workdir(path, hosts.first(), "sweep.json")
        self._workdirs = {
            name: Workdir(self.workdir.path / "trainings" / name, writes=hosts.first())
            for name in all_runs
        }
        trainings = {
            name: Training(run.model, run.task, run.settings, (self._workdirs[name],), run.initial)
            for name, run in all_runs.items()
        }
        grid.check_forces(trainings)  # before a directory is made
        self._parallel = first["parallel"]
        self.epochs = max(run.settings.epochs for run in all_runs.values())
        self._runs: dict[str, building.Run] = {}  # of this process's stacks
        # A process that is asked to stop asks the others, which train other stacks, by this file.
        self._stop = self.workdir.path / "stop"
        with hosts.primary_first("claim"):
            self.workdir.claim({**data, "data_fingerprint": table.fingerprint()})
            self.workdir.lock()
            for name, run in all_runs.items():  # all, before the first is made
                self._workdirs[name].is_of(run.config.to_dict(), run.config.defaults)
            for name, run in all_runs.items():
                record.claim(run, self._workdirs[name])
            if hosts.first():
                self._stop.unlink(missing_ok=True)
            # Rows of results.csv: those of trainings that an earlier sweep had here, and of each
            # training of this one that has ended.
            self._others = self._lines_of_others()
            self._ended: dict[str, list[dict[str, Any]]] = {}
            self._look()
            ended = self._ended.__contains__
            plan = grid.plan_stacks(trainings, self.workdir.path, stack, ended)
        self._plan = grid.local_stacks(plan, self._parallel)
        # What others train is of no use here, and takes room on a device.
        mine = [name for stack in self._plan for name in stack.names]
        self._runs |= {name: all_runs[name] for name in mine}
        self._trainings = {name: trainings[name] for name in mine}
        if grid.shared_out(self._parallel):
            for name in mine:
                self._workdirs[name].writes = True

    def __len__(self) -> int:
        return len(self._workdirs)

    @property
    def results(self) -> str:
        """The path of results.csv."""
        return os.path.join(self.workdir.path, "results.csv")

    def train(
        self,
        on_epoch: Callable[[str, dict[str, Any]], None],
        on_end: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> None:
        """Trains and scores what is not done; see `grid.fit_grid`.

        Of several processes each waits at the end until all trainings are done.
        """
        self._write()
        for name in self._ended:
            on_end(name)

        def end(name: str, what: loop.FitResult | InputError) -> None:
            self._end(name, what)
            self._ended[name] = self._lines(name)
            for other in self._look():
                on_end(other)
            self._write()
            on_end(name)

        def stop_all() -> bool:
            if stop():
                self._stop.touch()
            return self._stop.exists()

        asked = stop_all if grid.shared_out(self._parallel) else stop
        grid.fit_grid(self._trainings, self._plan, self._ended.__contains__, on_epoch, end, asked)
        while grid.shared_out(self._parallel) and len(self._ended) < len(self):
            if asked():
                raise loop.Interrupted
            time.sleep(_LOOK_SECONDS)
            for name in self._look():
                on_end(name)
                self._write()

    def _end(self, name: str, what: loop.FitResult | InputError) -> None:
        """Scores a training and writes what it ended with."""
        workdir, run = self._workdirs[name], self._runs[name]
        if isinstance(what, InputError):
            workdir.write_failure(str(what))
            return
        everywhere = not grid.shared_out(self._parallel)
        with Checkpoints(workdir.checkpoints, everywhere) as checkpoints:
            checkpoints.save(int(what.state.epoch), add_replica_axis(what.state))
        if workdir.writes:
            scoring.score(run, what.state, what.seconds).write(workdir)

    def _look(self) -> list[str]:
        """The trainings that have ended since the last look, but for those that end here."""
        ended = [
            name
            for name, workdir in self._workdirs.items()
            if not (name in self._ended or name in self._runs)
            and (workdir.result() is not None or workdir.failure() is not None)
        ]
        self._ended |= {name: self._lines(name) for name in ended}
        return ended

    def _lines(self, name: str) -> list[dict[str, Any]]:
        return lines(self._workdirs[name]) if self.workdir.writes else []

    def _lines_of_others(self) -> list[dict[str, Any]]:
        if not self.workdir.writes:
            return []
        folder = self.workdir.path / "trainings"
        names = sorted({path.name for path in folder.iterdir()} - self._workdirs.keys())
        return [line for name in names for line in lines(Workdir(folder / name))]

    def _write(self) -> None:
        if self.workdir.writes:
            ended = [line for name in self._workdirs for line in self._ended.get(name, ())]
            results.write(self.results, results.table([*self._others, *ended]))


def lines(workdir: Workdir) -> list[dict[str, Any]]:
    """The rows of the results of one training; none while it has not ended.

    Raises:
      InputError: a file of it is damaged.
    """
    failure, result = workdir.failure(), workdir.result()
    if failure is None and result is None:
        return []
    config = workdir.config()
    own = about(workdir.path.name, config)
    if result is not None:
        return results.rows(own, result)
    return [
        own | {"status": failure, "target": target}
        for target in RunConfig.from_dict(config).target_names
    ]


def about(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a training's configuration, with its data's fingerprint, tells in a table of results."""
    return {
        "study": results.BENCHMARK,
        "training": name,
        "model": config["model"]["name"],
        **{key: config[key] for key in ("seed", "lr", "weight_decay")},
        "dropout": config["model"].get("dropout"),
        **{key: config[key] for key in ("data", "data_fingerprint", "split")},
        "setting": setting(config),
    }


# Fields that the table has columns for, and those that say where and how often, not what.
_TOLD = ("target", "seed", "lr", "weight_decay", "dropout", "epochs")
_ASIDE = ("checkpoint_every", "checkpoint_minutes", "parallel")


def setting(config: Mapping[str, Any]) -> str:
    """Where a configuration departs from its model's card, 'train_fraction 0.1'; '' nowhere.

    A model without a card is held against the published protocol.

    What the table has columns for is not named. Errors of a target depend on what else the model
    learns: 'targets all' and 'targets alone' are of the benchmark's and of one.
    """
    model = dict(config["model"])
    usual = _usual(model.pop("name"), model.pop("source", ""))
    words = [f"from {config['transfer']['source']}"] if config.get("transfer") else []
    for key, given in {**config, **model}.items():
        if key not in usual or key in (*_TOLD, *_ASIDE):
            continue
        value = _plain(key, given)
        if value != _plain(key, usual[key]):
            words.append(f"{key} {' '.join(map(str, value)) if type(value) is tuple else value}")
    return ", ".join(words)


def _plain(key: str, value: Any) -> Any:
    if key == "targets":
        return _together(value)
    return tuple(value) if isinstance(value, list) else value


def _together(targets: str) -> tuple[str, ...]:
    """Return the targets that a model learns at once; their order says nothing."""
    names = {name.strip() for name in targets.split(",")}
    if names in ({"all"}, set(BENCHMARK_TARGETS)):
        return ("all",)
    return ("alone",) if len(names) == 1 else tuple(sorted(names))


@functools.cache
def _usual(name: str, source: str) -> dict[str, Any]:
    """The values of a model's card, of what a setting may depart from."""
    usual = RunConfig(ModelConfig.from_dict({"name": name, "source": source})).to_dict()
    if not source and name in cards.names():
        usual |= cards.load(*cards.find(name)).to_dict()
    usual |= usual["model"]
    training = dataclasses.asdict(TrainConfig())
    keys = (*building.SPEC, "targets", "split_seed", *training, *usual["model"])
    aside = ("data", "data_dir", "split", "name", "source")
    return {key: usual[key] for key in keys if key not in aside}
