"""The leaderboard as tables that are shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from qc_jax.data.targets import target as about
from qc_jax.evaluate.metrics import WORDS
from qc_jax.report import leaderboard, published_tables
from qc_jax.report.layout import Cell, Column, Group, Table, number, spread
from qc_jax.runs import results

_NOTHING = Cell("–", np.inf)


def tables(
    parts: Sequence[tuple[str, pd.DataFrame]], prefix: str, studied: pd.DataFrame | None = None
) -> list[Table | Group]:
    """All tables of one section, those of skill and R² folded.

    Args:
      parts: whose results they are, in a word, and their rows; those of the first come first.
      prefix: of the names of the tables.
      studied: rows of the study `modality` by the published protocol on these data, if any.
    """
    there = [name for _, frame in parts for name in leaderboard.targets(frame)]
    found: list[Table | Group | None] = []
    for title, names in leaderboard.families(there).items():
        name = f"{prefix}-{leaderboard.slug(title)}"
        columns = [(target, metric) for target in names for metric in _shown(target)]
        # The words stand below the first table; they hold for all.
        words = "" if found else _MAE
        if all(about(target).is_class for target in names):
            found.append(_pivot(name, title, parts, columns, f"{words} {_CLASSES}".strip()))
        else:
            found.append(_pivot(name, f"{title}: test MAE", parts, columns, words))
    for metric, title, caption in (
        ("skill", "Skill", "1 − MAE / MAE of the training median; mean over the seeds."),
        ("r2", "R²", "Mean over the seeds."),
    ):
        own: list[Table] = []
        for family, names in leaderboard.families(there).items():
            if metric == "r2" and all(about(target).is_class for target in names):
                continue
            name = f"{prefix}-{metric}-{leaderboard.slug(family)}"
            columns = [(target, metric) for target in names]
            words = "" if own else caption
            own.append(_pivot(name, f"{title}: {family}", parts, columns, words))
        found.append(Group(title, own, columns=2))
    found.append(_detail(f"{prefix}-detail", parts))
    found.append(_tests(f"{prefix}-tests", parts))
    published_beside = published_tables.benchmark(f"{prefix}-published", parts, studied)
    same = published_beside is not None and not published_beside.folded
    found.insert(0 if same else len(found), published_beside)
    return [one for one in found if isinstance(one, Group) or (one is not None and one.rows)]


_MAE = (
    "Mean ± deviation over the seeds. Bold: significantly better than the second best. "
    "†: the model's inputs leak the target; not eligible as best."
)


_CLASSES = (
    "Error rate: the part of the test pairs that is given the wrong class; baselines: the majority "
    "of the training pairs, and a constant an element. Behind balanced accuracy and AUROC stands "
    "the 95 % interval by bootstrap over the test pairs, the mean over the seeds of both ends."
)


def _shown(target: str) -> tuple[str, ...]:
    """Return what a leaderboard shows of a target, what it is ordered by first."""
    if about(target).is_class:
        return ("mae", "accuracy", "balanced_accuracy", "auroc")
    return ("mae", "median_ae") if target in leaderboard.WITH_MEDIAN else ("mae",)


def _pivot(
    name: str,
    title: str,
    parts: Sequence[tuple[str, pd.DataFrame]],
    columns: Sequence[tuple[str, str]],
    caption: str,
) -> Table:
    """Models × (target, metric); the baselines at the end."""
    names = {target for target, _ in columns}
    rows: list[list[Cell]] = []
    for whose, frame in parts:
        own = frame[frame.target.isin(names)]
        if own.empty:
            continue
        found, verdicts = leaderboard.scores(own), leaderboard.verdicts(frame)
        best = verdicts[verdicts.significant].set_index("target").best.to_dict()
        most = found.groupby("target").seeds.max()
        failed = own[own.status != results.FINISHED].groupby(["label", "target"]).status.first()
        labels = sorted({*found.label, *(label for label, _ in failed.index)})
        lines = {(line["label"], line["target"]): line for line in found.to_dict("records")}
        for label in labels:
            cells = [Cell(label, note=_whose(label, whose, parts))]
            for target, metric in columns:
                line = lines.get((label, target))
                if line is None:
                    why = failed.get((label, target))
                    cells.append(Cell("failed", np.inf, title=why) if why else _NOTHING)
                    continue
                value = line.get(metric, np.nan)
                text = number(value) if metric != "mae" else spread(value, line["std"])
                notes = []
                low, high = (line.get(f"{metric}_{end}", np.nan) for end in ("low", "high"))
                if metric != "mae" and np.isfinite([low, high]).all():
                    notes.append(f"({number(low)} to {number(high)})")
                if line["seeds"] < most[target]:
                    notes.append(f"{line['seeds']} of {most[target]} seeds")
                if np.isfinite(line.get("constant", np.nan)):
                    notes.append("predicts one constant")
                cells.append(
                    Cell(
                        text,
                        value if np.isfinite(value) else np.inf,
                        bold=metric == "mae" and best.get(target) == label,
                        leaked=bool(line["leaked_by"]),
                        note=", ".join(notes),
                        title=_leaked(line["leaked_by"]),
                    )
                )
            rows.append(cells)
    floor = leaderboard.baselines(pd.concat([frame for _, frame in parts], ignore_index=True))
    muted = set()
    for rule in leaderboard.BASELINES:
        if rule == leaderboard.PAIR_MEAN and any(row[0].text == "pair_mean" for row in rows):
            continue  # the model of that name is the same rule
        values = floor[floor.label == rule].set_index("target")
        cells = [_baseline(values, *column) for column in columns]
        if any(one is not _NOTHING for one in cells):
            muted.add(len(rows))
            rows.append([Cell(rule), *cells])
    heads = [_head(target, metric) for target, metric in columns]
    return Table(
        *(name, title, [Column("model", numeric=False), *heads], rows),
        caption=caption,
        muted=frozenset(muted),
    )


def _head(target: str, metric: str) -> Column:
    unit = about(target).error_unit if metric in ("mae", "median_ae") else ""
    own = metric in _shown(target)[1:]
    return Column(WORDS[metric] if own else target, unit)


def _whose(label: str, whose: str, parts: Sequence[Any]) -> str:
    """Return the small word behind a model's name, where a table has results of several."""
    return whose if len(parts) > 1 and leaderboard.SUBMITTED not in label else ""


def _baseline(values: pd.DataFrame, target: str, metric: str) -> Cell:
    if target not in values.index or metric not in values:
        return _NOTHING
    line = values.loc[target]
    text = spread(line[metric], line["std"]) if metric == "mae" else number(line[metric])
    return Cell(text, float(line[metric]))


def _leaked(inputs: str) -> str:
    return f"leaked by {inputs.replace(' ', ', ')}" if inputs else ""


def _detail(name: str, parts: Sequence[tuple[str, pd.DataFrame]]) -> Table:
    """A row a model and target, with everything that is known of it."""
    metrics = {
        "mae": "MAE",
        "std": "deviation",
        "mae_low": "95 % from",
        "mae_high": "to",
        "median_ae": "median error",
        "rmse": "RMSE",
        "r2": "R²",
        "skill": "skill",
    }
    sizes = {"seeds": "seeds", "test_rows": "test rows", "parameters": "parameters"}
    sizes |= {"epochs": "epochs", "seconds": "seconds"}
    rows = []
    for whose, frame in parts:
        found = leaderboard.scores(frame)
        names = leaderboard.targets(frame)
        found = found.assign(place=found.target.map(names.index)).sort_values(["place", "mae"])
        for line in found.to_dict("records"):
            cells = [
                Cell(line["label"], note=_whose(line["label"], whose, parts)),
                Cell(line["target"]),
                Cell(line["unit"]),
            ]
            for metric in metrics:
                value = line.get(metric, np.nan)
                given = metric == "mae" and bool(line["leaked_by"])
                order = value if np.isfinite(value) else np.inf
                cells.append(Cell(number(value, 4), order, leaked=given))
            for size in sizes:
                value = line[size]
                known = not pd.isna(value)
                digits = f"{float(value):.1f}" if size == "seconds" else f"{round(value):,}"
                cells.append(Cell(digits, float(value)) if known else _NOTHING)
            cells.append(Cell(line["leaked_by"].replace(" ", ", ") or "–"))
            rows.append(cells)
    words = [Column(one, numeric=False) for one in ("model", "target", "unit")]
    heads = [Column(one) for one in (*metrics.values(), *sizes.values())]
    return Table(
        *(name, "All scores", [*words, *heads, Column("leaked by", numeric=False)], rows),
        caption="Means over the seeds; of classes MAE is the error rate. The interval is that of "
        "the MAE, by bootstrap over the test "
        "rows: mean over the seeds of both ends. Seconds are those of one training, its share "
        "where several were trained as one program.",
        folded=True,
    )


def _tests(name: str, parts: Sequence[tuple[str, pd.DataFrame]]) -> Table:
    """Whether the best model of each target beats the second."""
    rows: list[list[Cell]] = []
    tested = []  # targets of each part, which is corrected by itself
    for whose, frame in parts:
        found = leaderboard.verdicts(frame)
        count = int(found.p.notna().sum())
        tested.append(f"{count} ({whose})" if len(parts) > 1 else str(count))
        for line in found.to_dict("records"):
            word = "yes" if line["significant"] else "no"
            if not np.isfinite(line["p"]):
                word = "not tested"
            elif not line["beats_baselines"]:
                word = "no: a baseline is better"
            rows.append(
                [
                    Cell(line["target"], note=whose if len(parts) > 1 else ""),
                    Cell(line["best"]),
                    Cell(line["second"]),
                    *(_p(line[key]) for key in ("p", "corrected")),
                    Cell(word),
                ]
            )
    heads = ["target", "best", "second", "p", "corrected", "significant"]
    return Table(
        *(name, "Is the best better than the second?"),
        [Column(head, numeric=head in ("p", "corrected")) for head in heads],
        rows,
        caption="Of the models whose inputs do not leak the target. p is that of a paired "
        "permutation test on the absolute errors of the same test pairs, averaged over the seeds; "
        f"corrected by Holm's method for the targets that were tested: {' and '.join(tested)}; "
        f"below {leaderboard.SIGNIFICANT} is significant.",
        folded=True,
    )


def _p(value: float) -> Cell:
    if not np.isfinite(value):
        return _NOTHING
    return Cell(f"{value:.3f}" if value >= 0.001 else "< 0.001", float(value))
