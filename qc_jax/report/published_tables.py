"""The published numbers beside ours, as tables that are shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from qc_jax.report import leaderboard, published
from qc_jax.report.layout import Cell, Column, Table, number, spread
from qc_jax.runs import results

_CAPTION = (
    "Reproduced: the difference is at most twice the deviation over the seeds, ours and theirs "
    "where they gave one; where ours is of one seed, theirs counts for both."
)
_VERDICTS = (
    Column("ours / published"),
    Column("verdict", numeric=False),
    Column("reason", numeric=False),
)
_OTHER = "by the benchmark's protocol"  # of a number beside what was published of a study
_SAME, _LOWER, _HIGHER, _UNKNOWN = "reproduced", "lower", "higher", "one seed"
# What the numbers of studies are, by metric.
_NUMBERS = {
    "mae": "MAE",
    "mae_in": "MAE in distribution",
    published.INCREASE: "MAE grows by",
    published.CHANGE: "MAE changes by",
}


def benchmark(
    name: str,
    parts: Sequence[tuple[str, pd.DataFrame]],
    studied: pd.DataFrame | None = None,
) -> Table | None:
    """Return the authors' test errors beside ours, their headlines first.

    Args:
      name: of the table.
      parts: whose results, in a word, and their rows; those of the first go before.
      studied: rows of the study `modality` by the published protocol, on the same data: beside
        what was published of it they go before the benchmark's.

    Returns:
      A row a model and target in both; None for another split than the random one.
    """
    first = parts[0][1].iloc[0]
    if first.split != "random":
        return None
    same = published.is_their_data(first.data)
    both = _scores_of_both(parts, studied if same else None)
    if both.empty:
        return None
    rows = []
    for line in both.to_dict("records"):
        whose = line["whose"] if len(parts) > 1 else ""
        protocol = line["protocol"] if same else ""
        numbers = _numbers(line, _and(whose, line["departs"], protocol))
        cells = [_model(line), Cell(line["target"]), Cell(line["unit"]), *numbers]
        rows.append([*cells, *_compared(line), Cell(line["study"])] if same else cells)
    words = [Column(one, numeric=False) for one in ("model", "target", "unit")]
    heads = [
        Column("published MAE", "" if same else "another dataset: ptbp"),
        Column("our MAE", first.data),
    ]
    if same:
        heads += [*_VERDICTS, Column("published in", numeric=False)]
    caption = (
        "The same physics and split rule, on the authors' file or on pairs recomputed here. "
        + _CAPTION
        + _without_ours(both)
        if same
        else "Another dataset: the published numbers are of ptbp, ours of "
        f"{first.data}. They show what is usual, and are not to be compared number by number."
    )
    title = "Published numbers beside ours" if same else "Published numbers, of another dataset"
    return Table(name, title, [*words, *heads], rows, caption=caption, folded=not same)


def _scores_of_both(
    parts: Sequence[tuple[str, pd.DataFrame]], studied: pd.DataFrame | None
) -> pd.DataFrame:
    """Return `published.scores` with ours, `whose` they are and by which `protocol`."""
    key = ["model", "target"]
    ours = pd.concat([_ordered(frame).assign(whose=whose) for whose, frame in parts])
    ours = ours.drop_duplicates(key)
    theirs = published.scores()
    headline = theirs.study == published.HEADLINES
    headlines = theirs[headline].merge(ours.assign(protocol=""), on=key, suffixes=("_theirs", ""))
    mine = ours.assign(protocol=_OTHER)
    if studied is not None:
        of_study = _of_studies(studied, key, "mae").assign(whose="", protocol="")
        mine = pd.concat([of_study, mine]).drop_duplicates(key)
    others = theirs[~headline].merge(mine, on=key, suffixes=("_theirs", ""))
    return pd.concat([headlines, others], ignore_index=True)


def _of_studies(frame: pd.DataFrame, key: list[str], metric: str) -> pd.DataFrame:
    """Return `results.summary` of one metric as `mae`, and how the trainings `departs`, if any do.

    By the published protocol each has the same number of epochs.
    """
    found = results.summary(frame, key, metric).rename(columns={"mean": "mae"})
    epochs = frame[frame.metric == metric].groupby(key).epochs.agg(["min", "max"])
    words = {
        index: f"{least} to {most} epochs" if least < most else f"{most} epochs"
        for index, least, most in epochs.itertuples()
        if pd.notna(least) and not least == most == published.EPOCHS
    }
    rows = found[key].itertuples(index=False, name=None)
    return found.assign(departs=[words.get(row, "") for row in rows])


def _and(*words: str) -> str:
    """Return the words that are there, parted by commas."""
    return ", ".join(filter(None, words))


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `leaderboard.scores`, and how each `departs`, what stands beside theirs first.

    The published start of the weights goes before ours: it is part of the published numbers.
    """
    found = leaderboard.scores(frame)
    departs = [
        label.removeprefix(model).removeprefix(", ")
        for label, model in zip(found.label, found.model, strict=True)
    ]
    order = {published.START: 0, "": 1}
    found = found.assign(order=[order.get(one, len(order)) for one in departs])
    found = found.assign(departs=["" if one in order else one for one in departs])
    return found.sort_values("order", kind="stable").drop(columns="order")


def _without_ours(both: pd.DataFrame) -> str:
    """Return a sentence on the published test errors that are not in `both`; '' where all are."""
    key = ["model", "target"]
    theirs = published.scores()
    rest = theirs[~pd.MultiIndex.from_frame(theirs[key]).isin(pd.MultiIndex.from_frame(both[key]))]
    if rest.empty:
        return ""
    of = rest.groupby("model", sort=False).target.agg(", ".join)
    listed = "; ".join(f"{model} ({targets})" for model, targets in of.items())
    return f" {len(rest)} of {len(theirs)} published numbers have none beside them: {listed}."


def study(name: str, base: str, title: str, frame: pd.DataFrame) -> Table | None:
    """Return the authors' numbers of a study beside ours by their protocol.

    Args:
      name: of the table.
      base: the study, as `published.of_study` names it.
      title: of the study.
      frame: its rows, with the published flaws.

    Returns:
      A row a number in both; None where there is none, or on other data.
    """
    theirs = published.of_study(base)
    mine = frame[frame.data.map(published.is_their_data)]
    if theirs is None or mine.empty:
        return None
    key = ["model", "target", "place", "metric"]
    ours = published.in_their_terms(base, mine)
    ours = pd.concat([_of_studies(ours, key, metric) for metric in dict.fromkeys(ours.metric)])
    both = theirs.merge(ours, on=key, suffixes=("_theirs", ""))
    if both.empty:
        return None
    places = both.place.nunique() > 1
    averaged = {published.ALL_MODELS: ", ".join(sorted(set(mine.model) - {published.ALONE}))}
    rows = [
        [
            *(_model(line), Cell(line["target"])),
            *([Cell(line["place"])] if places else []),
            Cell(_NUMBERS[line["metric"]]),
            Cell("%" if line["metric"] == published.INCREASE else line["unit"]),
            *_numbers(line, _and(averaged.get(line["model"], ""), line["departs"])),
            *_compared(line),
        ]
        for line in both.assign(study=published.name_of(base)).to_dict("records")
    ]
    words = ["model", "target", *(["where"] if places else []), "what", "unit"]
    heads = [Column(one, numeric=False) for one in words]
    heads += [Column("published"), Column("ours", ", ".join(dict.fromkeys(mine.data)))]
    return Table(
        name,
        f"{title}: published numbers beside ours",
        [*heads, *_VERDICTS],
        rows,
        caption=_CAPTION,
        folded=True,
    )


def _model(line: dict[str, Any]) -> Cell:
    other = line["published_as"] != line["model"]
    return Cell(line["model"], note=f"published as {line['published_as']}" if other else "")


def _numbers(line: dict[str, Any], whose: str = "") -> tuple[Cell, Cell]:
    """Return the published number and the other, of models named in `whose` if not the line's."""
    leaked, text = bool(line["leaked_by"]), spread(line["mae"], line["std"])
    return (
        Cell(spread(line["mae_theirs"], line["std_theirs"]), line["mae_theirs"]),
        Cell(text, line["mae"], leaked=leaked, note=f"({whose})" if whose else ""),
    )


def _compared(line: dict[str, Any]) -> tuple[Cell, Cell, Cell]:
    """Return the ratio of ours to theirs, the verdict, and the reason where one was found."""
    ratio = line["mae"] / line["mae_theirs"] if line["mae_theirs"] else np.nan
    shown = Cell(number(ratio, 2), ratio) if np.isfinite(ratio) else Cell("–", np.inf)
    verdict = _verdict(line)
    note = "one seed" if line["seeds"] < 2 and verdict != _UNKNOWN else ""
    reason = "" if verdict == _SAME else published.reason(line, verdict)
    return shown, Cell(verdict, note=note), Cell(reason)


def _verdict(line: dict[str, Any]) -> str:
    """Whether one of our errors is the published one, within the seeds' deviations."""
    ours, theirs = line["std"], line["std_theirs"]
    if line["seeds"] < 2:
        if not np.isfinite(theirs):
            return _UNKNOWN
        ours = theirs
    off = line["mae"] - line["mae_theirs"]
    if abs(off) <= 2 * np.hypot(ours, np.nan_to_num(theirs)):
        return _SAME
    return _LOWER if off < 0 else _HIGHER
