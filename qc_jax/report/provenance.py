"""How the results of a report came about: commands, versions, data, and what is not there."""

import pandas as pd

from qc_jax.report.layout import Cell, Column, Part, Table, counted
from qc_jax.report.source import Source
from qc_jax.runs import results


def part(first: Source, project: Source | None) -> Part:
    """The last chapter."""
    sources = [first] if project is None else [first, project]
    items: list[Table] = []
    lists: list[tuple[str, list[str]]] = []
    for index, source in enumerate(sources):
        whose = f" ({source.title})" if len(sources) > 1 else ""
        if source.commands:
            items.append(_commands(f"commands{index + 1}", f"Commands{whose}", source))
        items.append(_versions(f"versions{index + 1}", f"Versions{whose}", source))
        lists += [(f"{title}{whose}", lines) for title, lines in _missing(source)]
    return Part("made", "How it was made", items, lists=lists)


def _commands(name: str, title: str, source: Source) -> Table:
    """A row a command that was started; how long it took where it has ended."""
    rows: list[list[Cell]] = []
    waiting: dict[str, int] = {}
    for line in source.commands:
        command, event = str(line.get("command", "")), line.get("event")
        if event == "ended" and command in waiting:
            seconds = float(line.get("seconds", 0.0))
            rows[waiting.pop(command)][2] = Cell(_duration(seconds), seconds)
            continue
        versions = line.get("versions", {})
        waiting[command] = len(rows)
        took = line.get("seconds")
        rows.append(
            [
                Cell(str(line.get("time", "")).replace("+00:00", " UTC").replace("T", " ")),
                Cell(command),
                Cell("not ended") if took is None else Cell(_duration(float(took)), float(took)),
                Cell(str(line.get("machine", ""))),
                Cell(str(versions.get("device", ""))),
                Cell(str(versions.get("commit", ""))),
            ]
        )
    heads = ("started", "command", "took", "machine", "device", "commit")
    return Table(name, title, [Column(head, numeric=head == "took") for head in heads], rows)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _versions(name: str, title: str, source: Source) -> Table:
    """Each combination of versions, code and data that results come from, with its trainings."""
    frame = pd.concat([source.frame, *source.studies.values()], ignore_index=True)
    frame = frame[frame.versions != ""]
    by = ["data", "data_fingerprint", "commit", "versions"]
    rows = [
        [*(Cell(str(value)) for value in key), Cell(f"{lines.training.nunique():,}")]
        for key, lines in frame.groupby(by, sort=False)
    ]
    heads = ["data", "data fingerprint", "commit", "versions", "trainings"]
    return Table(
        *(name, title, [Column(head, numeric=head == "trainings") for head in heads], rows),
        caption="A + behind a commit: files had changed since.",
    )


def _missing(source: Source) -> list[tuple[str, list[str]]]:
    """What is not in the results, by kind; kinds without any are left out."""
    asked: dict[str, list[str]] = {}
    for line in source.commands:
        # A command that adds to earlier ones leaves out what these have: its own words say so.
        if line.get("event") == "started" and line.get("left_out"):
            asked[str(line["command"])] = [str(words) for words in line["left_out"]]
    lost = source.trained[source.trained.status != results.FINISHED]
    failed = [
        f"{training}, {', '.join(rows.target.unique())}: {rows.status.iloc[0]}"
        for training, rows in lost.groupby("training", sort=False)
    ]
    unfinished = list(source.unfinished)
    found = [(f"Not asked for by `{command}`", lines) for command, lines in asked.items()] + [
        (f"{counted(len(failed), 'training')} that failed", failed),
        (f"{counted(len(unfinished), 'training')} not finished", unfinished),
    ]
    for fingerprint, missing in source.left_out.items():
        lines = [f"{name}: {reason}" for name, reason in sorted(missing.items())]
        count = counted(len(lines), "row")
        found.append((f"{count} left out of the data {fingerprint}, or of a target", lines))
    return [(title, lines) for title, lines in found if lines]
