"""The leaderboard's numbers: means over seeds, baselines, and whether the best is significant."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from qc_jax.data.targets import ALL_TARGETS, CLASS_TARGETS, STRUCTURE_TARGETS
from qc_jax.evaluate import statistics
from qc_jax.evaluate.predictions import Predictions
from qc_jax.report import published
from qc_jax.runs import results

# Targets that are read side by side.
FAMILIES: dict[str, tuple[str, ...]] = {
    "Frontier levels": ("e_g_ev", "e_homo_ev", "e_lumo_ev", "fermi_level_ev"),
    "Energies": (
        *("band_energy_ev", "repulsive_energy_ev", "mermin_free_energy_ev", "total_energy_ev"),
    ),
    "Linear in HOMO and LUMO": ("i_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev"),
    "Divided by the gap": ("softness_evinv", "electrophilicity_ev"),
    "Dipole, distance and charges": (
        *("dipole_mag_d", "dipole_z_d", "distance_ang", "q_maxabs", "q_absmean", "q_std"),
    ),
    "Larger structures": tuple(STRUCTURE_TARGETS),
    "Classes": tuple(CLASS_TARGETS),
}
# Their errors are divided by a gap near zero: the mean says little without the median beside it.
WITH_MEDIAN = ("softness_evinv", "electrophilicity_ev")
TRAINING_MEDIAN, PAIR_MEAN, ELEMENT_SUM = "training median", "pair mean", "element sum"
BASELINES = {
    TRAINING_MEDIAN: "mae_training_median",
    PAIR_MEAN: "mae_pair_mean",
    ELEMENT_SUM: "mae_element_sum",  # of structures what `PAIR_MEAN` is of pairs
}
SIGNIFICANT = 0.05  # p, corrected, below which the best model is called better than the second
_SWEPT = ("lr", "weight_decay", "dropout")
_AGAINST = "against "
SUBMITTED = "(submitted)"  # behind the name of a submission, which may be that of a model here


class Section(NamedTuple):
    """What may stand in one table: results on the same rows of the same data."""

    fingerprint: str
    split: str


def without_studies(
    frame: pd.DataFrame, studies: Iterable[pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the benchmark, and those of trainings that only studies are about.

    Studies leave their trainings in the benchmark's directory. What is no random split, or departs
    from the published protocol, is shown by the study that it was made for; a start as PyTorch's is
    the published protocol, too.

    Args:
      frame: the long table; what it has of studies' own rows is in neither.
      studies: the rows of each study.
    """
    frame = frame[frame.study == results.BENCHMARK]
    of = ["data_fingerprint", "training"]
    named = pd.concat([frame.iloc[:0], *studies])
    named = pd.MultiIndex.from_frame(named[of][named.training != ""].drop_duplicates())
    departs = ~frame.setting.isin(["", published.START])
    known = pd.Series(pd.MultiIndex.from_frame(frame[of]).isin(named), index=frame.index)
    aside = known & (departs | (frame.split != "random"))
    kept = frame[~aside]
    # Tests of the best two on a split whose trainings have all gone aside are about nothing.
    trained = kept.seed.notna().groupby([kept.data_fingerprint, kept.split]).transform("any")
    return kept[trained].reset_index(drop=True), frame[aside].reset_index(drop=True)


def sections(frame: pd.DataFrame) -> dict[Section, pd.DataFrame]:
    """The rows of each section, in order of appearance, with a `label` for each model.

    The label is the model's name, where it departs from the published protocol, and, where the
    section has the model with several, the settings that differ.
    """
    found = {}
    for key, rows in frame.groupby(["data_fingerprint", "split"], sort=False):
        found[Section(*map(str, key))] = rows.assign(label=_labels(rows))
    return found


def _labels(frame: pd.DataFrame) -> pd.Series:
    labels = frame.model.copy()
    trained = frame[frame.seed.notna()]
    departs = frame.index[frame.seed.notna() & (frame.setting != "")]
    labels[departs] += ", " + frame.setting[departs]
    for model, rows in trained.groupby("model"):
        for name in _SWEPT:
            if rows[name].nunique(dropna=False) > 1:
                here = frame.index[(frame.model == model) & frame.seed.notna()]
                labels[here] += [f", {name} {value:g}" for value in frame[name][here]]
    # A test's row carries the label itself.
    return labels


def targets(frame: pd.DataFrame) -> list[str]:
    """The targets of a table, in the order of the target table."""
    there = set(frame.target)
    return [name for name in ALL_TARGETS if name in there]


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a model and target.

    Args:
      frame: the rows of one section.

    Returns:
      Columns `label`, `model`, `target`, `unit`, `leaked_by`, `seeds`, `std` (of `mae`, NaN for
      one seed), the mean over seeds of each metric there is, and of `test_rows`, `parameters`,
      `epochs` and `seconds`.
    """
    by = ["label", "model", "target"]
    trained = frame[frame.seed.notna()]
    found = results.summary(trained, by).rename(columns={"mean": "mae"})
    finished = trained[trained.status == results.FINISHED]
    metrics = finished[finished.metric != "mae"].pivot_table(
        index=by, columns="metric", values="value", aggfunc="mean"
    )
    about = ["test_rows", "parameters", "epochs", "seconds"]
    sizes = finished[finished.metric == "mae"].groupby(by)[about].mean()
    return found.join(metrics, on=by).join(sizes, on=by)


def baselines(frame: pd.DataFrame) -> pd.DataFrame:
    """What needs no model: columns `label`, `target`, `unit`, `mae`, `std`, `seeds`, `skill`.

    Each seed counts once, however many models were trained with it.
    """
    found = []
    for label, metric in BASELINES.items():
        once = frame[frame.metric == metric].drop_duplicates(["target", "seed"])
        found.append(results.summary(once, ["target"], metric).assign(label=label))
    table = pd.concat(found, ignore_index=True).rename(columns={"mean": "mae"})
    median = table[table.label == TRAINING_MEDIAN].set_index("target").mae
    return table.assign(
        skill=[
            statistics.skill(mae, median[target])
            for target, mae in zip(table.target, table.mae, strict=True)
        ]
    )


def _best_two(found: pd.DataFrame) -> tuple[str, str] | None:
    """The best and the second of the models whose inputs do not leak the target."""
    fair = found[found.leaked_by == ""].sort_values("mae", kind="stable")
    labels = fair.label.tolist()
    return (labels[0], labels[1]) if len(labels) > 1 else None


def with_tests(
    frame: pd.DataFrame, predictions: Callable[[str], Predictions | None]
) -> pd.DataFrame:
    """The table with a row a target that says whether the best model beats the second.

    A paired test on absolute errors by pair, averaged over the seeds that both models have. Where
    predictions are not kept, a row that is there stays.

    Args:
      frame: rows of the benchmark.
      predictions: of a training, by name.
    """
    kept, added = frame, []
    for key, rows in sections(frame).items():
        found = scores(rows)
        for target in targets(rows):
            two = _best_two(found[found.target == target])
            if two is None:
                continue
            mine = rows[(rows.target == target) & rows.seed.notna() & (rows.metric == "mae")]
            seeds = [set(mine.seed[mine.label == label]) for label in two]
            both = seeds[0] & seeds[1]
            errors = [
                pair_errors(mine[(mine.label == label) & mine.seed.isin(both)], target, predictions)
                for label in two
            ]
            kept_errors = [one for one in errors if one is not None]
            if len(kept_errors) < len(two):
                continue
            means = [one.groupby("name").error.mean().to_dict() for one in kept_errors]
            old = (kept.metric == results.P_AGAINST_SECOND) & (kept.target == target)
            old &= (kept.data_fingerprint == key.fingerprint) & (kept.split == key.split)
            kept = kept[~old]
            added.append(
                {
                    **mine[["study", "data", "data_fingerprint", "split", "unit"]].iloc[0],
                    "model": two[0],
                    "setting": f"{_AGAINST}{two[1]}",
                    "target": target,
                    "metric": results.P_AGAINST_SECOND,
                    "value": statistics.paired_test(*means),
                    "status": results.FINISHED,
                }
            )
    return results.table([*kept[list(results.COLUMNS)].to_dict("records"), *added])


def pair_errors(
    trained: pd.DataFrame, target: str, predictions: Callable[[str], Predictions | None]
) -> pd.DataFrame | None:
    """What trainings predicted of each of their test pairs.

    Args:
      trained: a row a training.
      target: what they were trained for.
      predictions: of a training, by name.

    Returns:
      Columns `name`, `seed`, `true`, `predicted`, `error` (absolute); None where there are none, or
      those of a training are not kept.
    """
    found = []
    for training, seed in zip(trained.training, trained.seed, strict=True):
        kept = predictions(training)
        if kept is None or target not in kept.targets:
            return None
        column = kept.targets.index(target)
        found.append(
            pd.DataFrame(
                {
                    "name": kept.names.astype(str),
                    "seed": seed,
                    "true": kept.true[:, column],
                    "predicted": kept.predicted[:, column],
                    "error": kept.errors(target),
                }
            ).dropna(subset=["true", "predicted"])
        )
    whole = pd.concat(found, ignore_index=True) if found else None
    return None if whole is None or whole.empty else whole


def verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a target: which model is best, and whether that means something.

    Args:
      frame: the rows of one section.

    Returns:
      Columns `target`, `best`, `second` ('' where fewer than two are eligible), `p`
      (NaN where nothing was tested), `corrected` (Holm's, over the targets that were tested) and
      `significant`: corrected p below `SIGNIFICANT`, and better than both baselines.
    """
    found, floor = scores(frame), baselines(frame)
    tests = frame[frame.metric == results.P_AGAINST_SECOND]
    lines = []
    for target in targets(frame):
        two = _best_two(found[found.target == target])
        if two is None:
            continue
        best, second = two
        best_rule = best.replace("_", " ")
        test = tests[
            (tests.target == target)
            & (tests.model == best)
            & (tests.setting == f"{_AGAINST}{second}")
        ]
        mae = found[(found.target == target) & (found.label == best)].mae.iloc[0]
        lines.append(
            {
                "target": target,
                "best": best,
                "second": second,
                "p": float(test.value.iloc[0]) if len(test) else np.nan,
                # The pair mean is a model, too, whose own baseline differs by rounding.
                "beats_baselines": bool(
                    (mae < floor.mae[(floor.target == target) & (floor.label != best_rule)]).all()
                ),
            }
        )
    columns = ["target", "best", "second", "p", "beats_baselines"]
    table = pd.DataFrame(lines, columns=columns)
    tested = table.p.notna().to_numpy(bool)
    corrected = np.full(len(table), np.nan)
    corrected[tested] = statistics.holm(table.p[tested].to_numpy(float))
    return table.assign(
        corrected=corrected,
        significant=(corrected < SIGNIFICANT) & table.beats_baselines.to_numpy(bool),
    )


def slug(title: str) -> str:
    """Return a family's first word, as names of files have it."""
    return title.split()[0].strip(",").lower()


def families(there: Iterable[str]) -> dict[str, list[str]]:
    """The given targets by family; families without any are left out."""
    known = set(there)
    found = {title: [name for name in names if name in known] for title, names in FAMILIES.items()}
    return {title: names for title, names in found.items() if names}
