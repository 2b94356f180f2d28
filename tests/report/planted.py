"""Work directories whose numbers are known, written as a benchmark writes them."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qc_jax.data import files
from qc_jax.data.targets import leaking_inputs, target
from qc_jax.evaluate import metrics, statistics
from qc_jax.evaluate.predictions import Predictions
from qc_jax.report import source
from qc_jax.runs import results, sweep
from qc_jax.runs.workdir import Workdir

NAMES = np.array(
    [
        *("Ag_Al", "Al_Al", "Ar_Ar", "Au_Cu", "Br_K", "C_C", "C_H", "C_N", "C_O", "Cl_H"),
        *("Cl_Na", "F_F", "F_H", "Fe_O", "H_H", "H_Li", "H_O", "La_O", "N_N", "O_Ti"),
    ]
)
INPUTS = {"egnn": ("atomic_numbers", "positions"), "vit": ("canvas",)}


def read(path: pathlib.Path) -> source.Source:
    """As `experiments.report` reads it, with tests of the best two models."""
    return source.with_tests(source.read(path))


def write(
    path: pathlib.Path,
    errors: Mapping[str, float],
    targets: Sequence[str] = ("e_homo_ev", "distance_ang"),
    seeds: Sequence[int] = (42, 123),
    *,
    fingerprint: str = "0123456789abcdef",
    data: str = "gfn2_xtb",
    split: str = "random",
    epochs: int = 3,
    ended: bool = True,
) -> list[dict[str, Any]]:
    """Writes a benchmark of models with the given mean errors; returns the rows of results.csv."""
    rows = []
    for model, error in errors.items():
        for name in targets:
            for seed in seeds:
                rows += training(
                    *(path / "trainings" / f"{model}-{name}-seed{seed}", model, name, seed, error),
                    fingerprint=fingerprint,
                    data=data,
                    split=split,
                    epochs=epochs,
                )
    results.write(path / "results.csv", results.table(rows))
    line = {
        "command": "python -m experiments.benchmark --workdir=here --targets=e_homo_ev",
        "time": "2026-01-02T03:04:05+00:00",
        "machine": "x86_64, 2 cores",
        "versions": {"jax": "0.10.2", "device": "2 x cpu (cpu)", "commit": "abcdef"},
    }
    lines = [{**line, "event": "started", "left_out": ["left out: 18 of 20 targets: i_ev, …"]}]
    lines += [{**line, "event": "ended", "seconds": 75.0}] if ended else []
    (path / "commands.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return rows


def training(
    path: pathlib.Path,
    model: str,
    name: str,
    seed: int,
    error: float,
    *,
    fingerprint: str = "0123456789abcdef",
    data: str = "gfn2_xtb",
    split: str = "random",
    epochs: int = 3,
) -> list[dict[str, Any]]:
    """Writes the work directory of one training; returns its rows of results.csv.

    Labels are the same for all, and errors differ by pair: the one of the last is the largest.
    """
    path.mkdir(parents=True)
    config = {"schema": 1, "model": {"name": model}, "seed": seed, "lr": 1e-3, "weight_decay": 0.0}
    config |= {"data": data, "data_fingerprint": fingerprint, "data_dir": "", "split": split}
    config |= {"target": name, "targets": ""}
    files.write_json(path / "config.json", config)
    true = np.random.default_rng(0).normal(size=len(NAMES))
    if target(name).is_class:
        true = (true > 0) * 1.0
    size = np.linspace(0.5, 1.5, len(NAMES)) * error
    sign = np.random.default_rng(seed).choice([-1, 1], len(NAMES))
    predicted = true + sign * size
    if target(name).is_class:  # so sure of the right class, or wrong where that is below a half
        predicted = np.where(true == 1, 1 - size / 2, size / 2).clip(0, 1)
    kept = Predictions((name,), NAMES, true[:, None], predicted[:, None].astype(np.float32))
    kept.write(path / "predictions.npz")
    lines = [
        {"epoch": epoch, "seconds": 1.0, "validation_mae": {name: error * (1 + 1 / epoch)}}
        for epoch in range(1, epochs + 1)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    low, high = statistics.interval(kept.errors(name))
    result = {
        "model": model,
        "targets": [name],
        "units": {name: target(name).unit},
        "dataset": data,
        "data_fingerprint": fingerprint,
        "split": split,
        "split_sizes": {"train": 80, "validation": 10, "test": len(NAMES)},
        "parameters": 98,
        "epochs": epochs,
        "best_epoch": epochs,
        "test": {
            name: {**metrics.of_target(name, predicted, true), "mae_low": low, "mae_high": high}
        },
        "baselines": {
            "training_median": {name: {"mae": 0.8}},
            "pair_mean": {name: {"mae": 0.6}},
        },
        "leaked_by": {name: list(leaking_inputs(name, INPUTS.get(model, ("atomic_numbers",))))},
        "left_out": {"He_He": "no LUMO"},
        "seconds": {"compile": 1.0, "train": 2.5},
        "versions": {"jax": "0.10.2", "commit": "abcdef"},
    }
    files.write_json(path / "result.json", result)
    return sweep.lines(Workdir(path))
