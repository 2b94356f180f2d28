"""The submission of a work directory's model: the file that `report.submission` reads."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qc_jax.data import files
from qc_jax.errors import InputError, choose
from qc_jax.evaluate.predictions import Predictions
from qc_jax.report import leaderboard, source
from qc_jax.report.submission import FORMAT, SCHEMA, check, scores_of, split_fingerprint
from qc_jax.runs import grids, results, sweep
from qc_jax.runs.config import RunConfig
from qc_jax.runs.record import RECORD, Record
from qc_jax.runs.workdir import Workdir


def make(
    path: str | os.PathLike, code: str, name: str = "", authors: str = "", label: str = ""
) -> tuple[dict[str, Any], list[int]]:
    """Return the submission of a work directory's model, which `check` has checked.

    With it come the seeds that it leaves out, those that entries are not compared on.

    Args:
      path: of a benchmark, a sweep or one training.
      code: where the code that made it can be read.
      name: of the entry; '' is that of the model.
      authors: as they call themselves.
      label: of the model, as the report's tables have it; '' where there is only one.

    Raises:
      InputError: there are several models or none, a seed is missing, or the trainings are on other
        data or another split than entries are compared on; or one is no longer there.
    """
    own = source.read(path)
    frames = leaderboard.sections(own.frame).values()
    trained = [frame[frame.seed.notna()] for frame in frames]
    labels = sorted({one for frame in trained for one in frame.label})
    if not labels:
        raise InputError(f"{path}: expected a training that has ended, got none")
    if label:
        choose(f"model of {path}", label, labels)
    elif len(labels) > 1:
        raise InputError(f"{path}: expected --model, one of: {'; '.join(labels)}")
    rows = pd.concat(trained)
    rows = rows[(rows.label == (label or labels[0])) & (rows.status == results.FINISHED)]
    compared = rows.seed.isin(grids.SEEDS)
    names = list(dict.fromkeys(rows[compared].training))
    if not names:
        seeds = ", ".join(map(str, grids.SEEDS))
        raise InputError(
            f"{path}: {label or labels[0]}: expected trainings of the seeds {seeds} that did not "
            "fail, got none"
        )
    for one in names:
        if one not in own.workdirs:
            raise InputError(f"{path}: expected trainings/{one}, as in results.csv, got none")
    configs = {one: Workdir(own.workdirs[one], writes=False).config() for one in names}
    first = configs[names[0]]
    found = {
        "format": FORMAT,
        "schema": SCHEMA,
        "name": name or first["model"]["name"].rpartition(":")[2],
        "authors": authors,
        "code": code,
        **{key: first[key] for key in ("data", "data_fingerprint")},
        "model": first["model"],
        "inputs": list(RunConfig.from_dict(first).inputs),
        "trainings": [
            _training(own.workdirs[one], config, own.predictions(one))
            for one, config in configs.items()
        ],
    }
    check(found, str(path))
    return found, sorted({int(seed) for seed in rows.seed[~compared]})


def _training(path: Path, config: dict[str, Any], kept: Predictions | None) -> dict[str, Any]:
    """Return one training as a submission has it."""
    if kept is None:
        raise InputError(f"{path}: expected predictions.npz beside result.json; train it again")
    workdir, asked = Workdir(path, writes=False), RunConfig.from_dict(config)
    result, about = workdir.result() or {}, sweep.about(path.name, config)
    record = Record.read(path / RECORD, len(kept.targets))
    predicted = {}
    for column, target in enumerate(kept.targets):
        known = np.isfinite(kept.true[:, column])
        values = kept.predicted[known, column].tolist()
        # Nine digits give a float32 back.
        pairs = zip(kept.names[known].tolist(), values, strict=True)
        predicted[target] = {name: float(f"{value:.9g}") for name, value in pairs}
    return {
        "seed": asked.train.seed,
        "split": asked.split,
        "split_seed": asked.seed_of_split,
        "split_fingerprint": split_fingerprint(record.split),
        "targets": list(kept.targets),
        "missing_labels": asked.missing_labels,
        "units": {target: result["units"][target] for target in kept.targets},
        "scores": {
            target: {score: result["test"][target][score] for score in scores_of(target)}
            for target in kept.targets
        },
        "predicted": predicted,
        **{key: result[key] for key in ("parameters", "epochs", "best_epoch", "versions")},
        "seconds": result["seconds"].get("train"),
        **{key: about[key] for key in ("lr", "weight_decay", "dropout", "setting")},
    }


def write(path: str | os.PathLike, found: Mapping[str, Any]) -> None:
    """Write a submission, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    files.write_text(path, json.dumps(found) + "\n")
