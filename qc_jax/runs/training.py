"""Training in Python: `qc_jax.fit`, without a directory."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from qc_jax.data import files
from qc_jax.data.dataset import Task
from qc_jax.errors import InputError, expect
from qc_jax.models import Architecture
from qc_jax.runs import building, record, saved
from qc_jax.runs.config import ModelConfig, RunConfig
from qc_jax.runs.workdir import Workdir
from qc_jax.train import hosts, loop
from qc_jax.train.config import PUBLISHED, TrainConfig
from qc_jax.train.observers import Observer
from qc_jax.train.state import sha256_of


def fit(
    model: Architecture,
    task: Task,
    config: TrainConfig = PUBLISHED,
    observers: Sequence[Observer] = (),
    *,
    initial: Mapping[str, Any] | None = None,
) -> saved.SavedRun:
    """Train a model on a task, in the same bits as `experiments.train` does.

    Args:
      model: Of `qc_jax.create`; it gets an output a target.
      task: Of `qc_jax.prepare`.
      config: How.
      observers: Told of every epoch; a `Workdir`, which becomes that of this training, keeps
        checkpoints, and the same call goes on from them.
      initial: Variables to start from, a part of the model's.

    Returns:
      The run: `predict`, `score`, `save`.

    Raises:
      InputError: The task is of other data than the model reads, a `Workdir` holds another
        training, or this one diverges.
      Interrupted: `Observer.stop` of one of the observers asked for it.

    Example:
      >>> import qc_jax
      >>> table = qc_jax.open_table("gfn2_xtb")
      >>> task = qc_jax.prepare(table, "e_homo_ev", train_fraction=0.1)
      >>> run = qc_jax.fit(qc_jax.create("pair_mean"), task)
      >>> run.predict(["Ag_Al"]).shape
      (1, 1)
    """
    run = of_task(model, task, config)
    for observer in observers:
        if isinstance(observer, Workdir):
            _claim(run, observer, initial)
    trained = loop.fit(run.model, run.task, config, observers, initial=initial)
    return of_result(run, trained)


def _claim(run: building.Run, workdir: Workdir, initial: Mapping[str, Any] | None) -> None:
    """Make the directory this training's: nothing else tells from which weights it started."""
    started = {"initial_sha256": sha256_of(initial) if initial else ""}
    with hosts.primary_first("claim"):
        record.claim(run, workdir)
        workdir.lock()
        path = workdir.path / "start.json"
        if path.exists() and files.read_json(path) != started:
            raise InputError(
                f"initial: {workdir.path} holds a training that started from other weights; "
                "expected those, or another directory"
            )
        if workdir.writes:
            files.write_json(path, started)


def of_task(model: Architecture, task: Task, config: TrainConfig) -> building.Run:
    """Return the parts of a training of the model on the task.

    Raises:
      InputError: The task was not made by `qc_jax.prepare`.
    """
    expect("model", model, Architecture, "what qc_jax.create returns")
    expect("task", task, Task, "what qc_jax.prepare returns")
    expect("config", config, TrainConfig, "a qc_jax.TrainConfig")
    if task.table is None or task.spec is None:
        raise InputError("expected a task that qc_jax.prepare made")
    count = len(task.targets)
    model = model.for_targets(task.targets)
    task = building.for_model(task, model)
    fields = dict(task.spec or {})
    seed = fields.pop("seed")
    made = RunConfig.from_dict(
        {
            **fields,
            **dataclasses.asdict(config),
            "model": ModelConfig.of(model).to_dict(),
            "target": task.targets[0],
            "targets": "" if count == 1 else ",".join(task.targets),
            "split_seed": -1 if seed == config.seed else seed,
            **building.fingerprints(task.table.fingerprint(), fields["curves"]),
        }
    )
    return building.Run(made, task.table, model, task)


def of_result(run: building.Run, trained: loop.FitResult) -> saved.SavedRun:
    """Return a training that has ended as a run."""
    return saved.SavedRun(
        config=run.config,
        model=run.model,
        state=trained.state,
        record=record.Record.of(run),
        pairs=record.pairs_of(run.table, run.config, run.model),
        history=trained.history,
        run=run,
        seconds=trained.seconds,
    )
