"""Tables of a study's numbers for the terminal."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from qc_jax.report.tables import number, show
from qc_jax.runs import results


def show_means(
    frame: pd.DataFrame, metrics: Sequence[str], title: str, down: Sequence[str], across: str
) -> None:
    """Prints mean ± deviation over the seeds, a row a group and a column a value of `across`."""
    lines = pd.concat(
        results.summary(frame, dict.fromkeys([*down, across, "metric"]), metric)
        for metric in metrics
    )
    columns = list(dict.fromkeys(lines[across]))
    lines = lines.sort_values(
        list(down), key=lambda column: pd.factorize(column)[0], kind="stable"
    )  # in the order in which each column's values come first
    rows = []
    for group, of_group in lines.groupby(list(down), sort=False):
        cells = {line[across]: line for _, line in of_group.iterrows()}
        rows.append((*map(str, group), *(_cell(cells.get(column)) for column in columns)))
    show(title, (*down, *map(str, columns)), rows)


def _cell(line: pd.Series | None) -> str:
    if line is None or np.isnan(line["mean"]):
        return "-"
    return number(line["mean"]) + (f" ± {line['std']:.1g}" if line["seeds"] > 1 else "")


def tell_partial(frame: pd.DataFrame) -> None:
    """Prints how much has no number, and why."""
    lost = frame[frame.status != results.FINISHED]
    for status, group in lost.groupby("status", sort=False):
        names = list(dict.fromkeys(group.training + " " + group.setting))
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        print(f"partial: {status}: {'; '.join(name.strip() for name in names[:5])}{more}")
