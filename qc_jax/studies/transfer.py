"""transfer: does pretraining on pairs help on larger structures? Scratch against pretrained.

`--data` names the larger structures, `--pretrained=pairs=DIR,curves=DIR` finished trainings of one
architecture: an arm each, beside the same architecture from random weights. Every arm is trained at
each of `--rates` and at the published one (the published comparison gives scratch ten times the
rate of fine-tuning), over `--sizes` of nested training sets. Arms are compared at the published
rates, and each at its own best rate by the mean validation error over the seeds. A difference is
that of the absolute errors of the same test structures, averaged over the seeds, with a bootstrap
interval over structures; the verdict is that of the interval and of every seed. With
`--force_weight` all arms learn forces, too.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from qc_jax.data.names import parse_structures
from qc_jax.errors import InputError
from qc_jax.evaluate import predictions, statistics
from qc_jax.report.tables import number, show
from qc_jax.runs import cards, initial, results
from qc_jax.runs.workdir import Workdir
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import Asked, Study, TransferOptions

PUBLISHED, BEST = "published rate", "own best rate"
REACHED = "epochs_to_error"
_GIVEN = 0.5  # of the training median's error: the given error
_DIFFERENCES = ("mae_difference", "mae_difference_low", "mae_difference_high", "seeds_better")


def card(data: str) -> dict[str, Any]:
    """The fine-tuning card of the kind of data.

    Raises:
      InputError: these are no larger structures.
    """
    kind = parse_structures(data).kind
    return cards.load(*cards.find(f"finetune/{kind}")).to_dict()


def options(
    pretrained: Sequence[str], sizes: Sequence[str], rates: Sequence[str], force_weight: float
) -> TransferOptions:
    """Return what the flags of this study say.

    Args:
      pretrained: 'ARM=DIR', an arm each.
      sizes: numbers of training rows, or 'all'.
      rates: learning rates.
      force_weight: of forces beside energies.

    Raises:
      InputError: one of them is wrong.
    """
    arms = {initial.SCRATCH: initial.SCRATCH}
    for word in pretrained:
        name, _, path = word.partition("=")
        if not name or not path or name in arms:
            raise InputError(f"--pretrained: expected ARM=DIR with different names, got {word!r}")
        arms[name] = path
    if len(arms) < 2:
        raise InputError("--pretrained: expected at least one, like pairs=runs/schnet")
    for word in sizes:
        if word != "all" and not (word.isdigit() and int(word) > 0):
            raise InputError(f"--sizes: expected numbers from 1 up, or all, got {word!r}")
    found = []
    for word in rates:
        try:
            found.append(float(word))
        except ValueError:
            found.append(math.nan)
        if not 0 < found[-1] < math.inf:
            raise InputError(f"--rates: expected numbers above 0, got {word!r}")
    if not (sizes and rates):
        raise InputError("--sizes, --rates: expected at least one of each")
    rows = [0 if word == "all" else int(word) for word in sizes]
    return TransferOptions(arms, rows, found, force_weight)


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Those of every training, of the arms at the two kinds of rate, and the differences."""
    assert asked.transfer is not None, "made of the flags"
    arms, sizes, rates, force_weight = asked.transfer
    configs: dict[str, trainings.Wanted] = {}
    places: dict[str, tuple[str, str, int, float]] = {}  # (target, arm, size, rate) of a training
    base = {**card(asked.changes["data"]), **asked.changes}
    base["force_weight"] = force_weight
    first = Workdir(next(path for path in arms.values() if path != initial.SCRATCH)).config()
    published = {}
    for arm, path in arms.items():
        if path != initial.SCRATCH and Workdir(path).config()["model"] != first["model"]:
            raise InputError(f"--pretrained: {path} is of another model than the first")
        config = {**base, "model": first["model"]}
        config["transfer"] = {**config["transfer"], "source": path}
        resolved = initial.resolve(config)
        published[arm] = resolved["lr"]
        for size in sizes:
            for rate in sorted({*rates, published[arm]}):
                for target in asked.targets:
                    for seed in asked.seeds:
                        own = {"target": target, "seed": seed, "lr": rate, "train_rows": size}
                        name = f"{arm}-{target}-train{size or 'all'}-lr{rate:g}-seed{seed}"
                        configs[name] = trainings.Wanted(
                            {**resolved, **own}, f"{arm}, lr {rate:g}", size or None
                        )
                        places[name] = (target, arm, size, rate)
    there, made = trainings.find(asked, configs)
    made += [row for found in there for row in found.rows(asked.study)]
    groups: dict[tuple[str, str, int, float], list[trainings.Found]] = {}
    for found in there:
        groups.setdefault(places[found.name], []).append(found)
    for target in asked.targets:
        for size in sizes:
            for kind in (PUBLISHED, BEST):
                chosen = {}
                for arm in arms:
                    at_rate = {
                        key[3]: some
                        for key, some in groups.items()
                        if key[:3] == (target, arm, size)
                    }
                    rate = (
                        published[arm]
                        if kind == PUBLISHED
                        else _best(at_rate, target, rates, len(asked.seeds))
                    )
                    if rate in at_rate:
                        chosen[arm] = at_rate[rate]
                        made += _of_arm(asked, at_rate[rate], f"{arm}, {kind}", target)
                made += _against_scratch(asked, chosen, kind, target)
    return made


def _validation(found: trainings.Found, target: str) -> list[float]:
    """The validation MAE of every epoch."""
    lines = found.workdir.history(found.result["epochs"])
    return [line["validation_mae"][target] for line in lines]


def _best(
    groups: Mapping[float, list[trainings.Found]], target: str, rates: Sequence[float], seeds: int
) -> float:
    """The rate of the grid with the smallest validation error, the mean over the seeds.

    NaN while a training of the grid is missing: the best of some is not the best.
    """
    if any(len(groups.get(rate, ())) < seeds for rate in rates):
        return np.nan
    errors = {
        rate: np.mean([min(_validation(found, target)) for found in groups[rate]]) for rate in rates
    }
    return min(errors, key=lambda rate: errors[rate])


def _of_arm(
    asked: Asked, some: list[trainings.Found], arm: str, target: str
) -> list[dict[str, Any]]:
    """The rows of an arm's trainings at one rate, and when they came to the given error."""
    made, about = [], {"setting": arm, "arm": arm}
    for found in some:
        made += [row | about for row in found.rows(asked.study)]
        given = _GIVEN * found.result["baselines"]["training_median"][target]["mae"]
        reached = [epoch for epoch, mae in enumerate(_validation(found, target), 1) if mae <= given]
        own = found.shared(asked.study) | results.of_target(found.result, target)
        made.append(own | about | {"metric": REACHED, "value": reached[0] if reached else np.nan})
    return made


def _against_scratch(
    asked: Asked,
    chosen: Mapping[str, list[trainings.Found]],
    kind: str,
    target: str,
) -> list[dict[str, Any]]:
    """How much better each pretrained arm is; nothing where a seed of either has not ended."""

    def errors(arm: str) -> dict[int, dict[str, float]]:
        found = {}
        for one in chosen[arm]:
            read = predictions.read(one.workdir.path / "predictions.npz")
            each = zip(map(str, read.names), read.errors(target).tolist(), strict=True)
            found[one.config["seed"]] = dict(each)
        return found

    made: list[dict[str, Any]] = []
    for arm in chosen if initial.SCRATCH in chosen else ():
        if arm == initial.SCRATCH:
            continue
        pretrained, scratch = errors(arm), errors(initial.SCRATCH)
        if not set(asked.seeds) == pretrained.keys() == scratch.keys():
            continue
        by_seed, by_name = [], dict[str, list[float]]()
        for seed in asked.seeds:
            differences = {
                name: error - scratch[seed][name] for name, error in pretrained[seed].items()
            }
            by_seed.append(np.mean(list(differences.values())))
            for name, difference in differences.items():
                by_name.setdefault(name, []).append(difference)
        averaged = np.array([np.mean(each) for each in by_name.values()])
        low, high = statistics.interval(averaged)
        better = float(np.sum(np.array(by_seed) < 0))
        one = chosen[arm][0]
        shared = one.shared(asked.study) | results.of_target(one.result, target)
        shared |= {"training": "", "seed": None, "lr": None, "epochs": None, "best_epoch": None}
        shared |= {"seconds": None, "setting": f"{arm} against scratch, {kind}"}
        values = (float(averaged.mean()), low, high, better)
        made += [
            shared | {"metric": metric, "value": value}
            for metric, value in zip(_DIFFERENCES, values, strict=True)
        ]
    return made


def verdict(low: float, high: float, better: int, seeds: int) -> str:
    """In words, by the interval of the difference and by how many of the seeds are better."""
    if high < 0 and better == seeds:
        return "pretraining helps"
    if low > 0 and better == 0:
        return "pretraining hurts"
    return "it does not help: no difference that can be told"


def show_all(frame: pd.DataFrame) -> None:
    """Learning curves, epochs to a given error, and verdicts."""
    own = frame[frame.arm != ""]
    title = "MAE on the test structures, by training rows"
    tables.show_means(own, ["mae"], title, ("target", "setting"), "train_rows")
    _show_epochs(own)
    chosen = own[own.metric == REACHED].drop_duplicates(["target", "setting", "train_rows"])
    for _, line in chosen.iterrows():
        print(f"{line.target}, {line.train_rows} training rows, {line.setting}: {line.lr:g}")
    seeds = own.seed.nunique()
    compared = frame[frame.metric.isin(_DIFFERENCES)]
    for (target, rows, setting), of in compared.groupby(
        ["target", "train_rows", "setting"], sort=False
    ):
        value = dict(zip(of.metric, of.value, strict=True))
        mean, low, high, better = (value[metric] for metric in _DIFFERENCES)
        words, unit = verdict(low, high, int(better), seeds), of.unit.iloc[0]
        print(
            f"{target}, {rows} training rows, {setting}: {words}: MAE {mean:+.4g} {unit} "
            f"({low:+.4g} to {high:+.4g}), better in {int(better)} of {seeds} seeds"
        )


def _show_epochs(own: pd.DataFrame) -> None:
    lines = []
    groups = own[own.metric == REACHED].groupby(["target", "setting", "train_rows"], sort=False)
    for (target, setting, rows), of in groups:
        reached = of.value.dropna()
        mean = number(reached.mean()) if len(reached) else "-"
        lines.append((target, setting, str(rows), mean, f"{len(reached)} of {len(of)}"))
    title = "Epochs until the validation error is half of the training median's"
    show(title, ("target", "setting", "train_rows", "epochs", "reached by"), lines)


STUDY = Study(rows, show_all, models=(), flaws=False, of_structures=True)
