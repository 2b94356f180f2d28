"""The report: what is in it, and in which order."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from qc_jax.data.names import is_structures
from qc_jax.data.table import PairTable
from qc_jax.data.targets import target as about
from qc_jax.errors import InputError
from qc_jax.report import (
    curves,
    leaderboard,
    leaderboard_tables,
    pairs,
    provenance,
    studies,
    submission,
)
from qc_jax.report.gallery import draw_canvases
from qc_jax.report.layout import Cell, Column, Group, Part, Picture, Report, Table, counted, number
from qc_jax.report.source import Source
from qc_jax.report.style import style
from qc_jax.report.submission import Entry
from qc_jax.runs import results, sources

_WORST = 10
_WHOSE = (
    "Beside your models (yours) stand the project's own results on the same data and split "
    "(project). Bold is the best of each of the two by itself."
)
_SHADES = 24  # of a canvas
_CANVASES = 2  # of the best and of the worst pairs
_MODALITY = f"modality{studies.AS_PUBLISHED}"  # the study whose published numbers stand above


def build(own: Source | None, project: Source | None, submitted: Sequence[Entry] = ()) -> Report:
    """The report of a work directory, beside the project's own results where these compare.

    Args:
      own: the work directory; None for the project's own results alone.
      project: what is packaged; None where nothing is.
      submitted: entries, whose rows are in the first of the two.

    Raises:
      InputError: there is nothing to report.
    """
    first = own or project
    if first is None:
        raise InputError(
            "no --workdir is given and the package holds no results of its own; expected "
            "--workdir=DIR of a benchmark"
        )
    sections = leaderboard.sections(first.frame)
    others = leaderboard.sections(project.frame) if own is not None and project else {}
    by_their_protocol = first.studies.get(_MODALITY, results.table([]))
    parts: list[Part] = []
    pictures: list[Part] = []
    several = len(sections) > 1
    for index, (key, frame) in enumerate(sections.items(), start=1):
        prefix = f"part{index}" if several else "leaderboard"
        where = f": {_data(frame)}, split {key.split}" if several else ""
        both = [("yours", frame)]
        if key in others and project is not None:
            both.append(("project", others[key]))
        if not (frame.status == results.FINISHED).any():
            continue
        studied = by_their_protocol[by_their_protocol.data_fingerprint == key.fingerprint]
        drawn = curves.draw_skill(
            f"{prefix}-overview", leaderboard.scores(frame), leaderboard.targets(frame)
        )
        parts.append(
            Part(
                prefix,
                f"Leaderboard{where}",
                [*([drawn] if drawn else []), *leaderboard_tables.tables(both, prefix, studied)],
                words=[_WHOSE] if len(both) > 1 else (),
                facts=_facts(key, frame),
            )
        )
        pictures += _pictures(first, key, frame, prefix, where)
    shown = _studies(first, project, sections)
    warnings = list(first.partial)
    if len({key.fingerprint for key in sections}) > 1:
        found = ", ".join(f"{_data(frame)} ({key.fingerprint})" for key, frame in sections.items())
        warnings.append(
            f"Results on different data are in this directory: {found}. Each has tables of its "
            "own; numbers of different tables do not compare."
        )
    return Report(
        title="QuantumCanvas benchmark",
        subtitle=(f"Results of {first.title}" if own else "The project's own results")
        + (f", and {len(submitted)} submitted" if submitted else ""),
        warnings=warnings,
        parts=[
            *parts,
            *([_submitted(submitted)] if submitted else []),
            *shown,
            *pictures,
            provenance.part(first, project if own else None),
        ],
    )


def _submitted(entries: Sequence[Entry]) -> Part:
    """Return the chapter that says whose the submitted results are."""
    words = (
        f"Models with {leaderboard.SUBMITTED} behind their name were handed in. Best and second "
        "best are tested where the predictions of both are there: those of the packaged results "
        "are not."
    )
    return Part("submitted", "Submitted results", [submission.table(entries)], words=[words])


def _data(frame: pd.DataFrame) -> str:
    return str(frame.data.iloc[0])


def _facts(key: leaderboard.Section, frame: pd.DataFrame) -> list[tuple[str, str]]:
    trained = frame[(frame.metric == "mae") & (frame.status == results.FINISHED)]
    sizes = "; ".join(
        f"{train} + {validation} + {test}"
        for train, validation, test in trained[["train_rows", "validation_rows", "test_rows"]]
        .drop_duplicates()
        .itertuples(index=False, name=None)
    )
    seeds = ", ".join(map(str, sorted(trained.seed.unique())))
    return [
        ("data", f"{_data(frame)} ({key.fingerprint})"),
        ("split", key.split),
        ("rows to train, validate and test", sizes),
        ("models", str(trained.label.nunique())),
        ("targets", str(trained.target.nunique())),
        ("seeds", seeds),
        ("finished trainings", f"{trained.training.nunique():,}"),
    ]


def _pictures(
    source: Source,
    key: leaderboard.Section,
    frame: pd.DataFrame,
    prefix: str,
    where: str,
) -> list[Part]:
    """The chapters of training curves and of single rows; none where these are not kept."""
    parts = []
    of_pairs = not is_structures(_data(frame))
    found = curves.of_training(frame, source.epochs)
    if len(found):
        there = [name for name in leaderboard.targets(frame) if name in set(found.target)]
        drawn = [
            curves.draw_training(
                f"{prefix}-training-{family.split()[0].lower()}", family, found, names
            )
            for family, names in leaderboard.families(there).items()
        ]
        parts.append(Part(f"{prefix}-curves", f"Training curves{where}", drawn))
    words = [
        "Of each target the model with the smallest error whose inputs do not leak it; where all "
        "do, the one with the smallest error."
    ]
    table = None
    if of_pairs:
        try:
            table = sources.open_table(_data(frame), source.data_dirs.get(key.fingerprint, ""))
            found_now = table.fingerprint()
            if found_now != key.fingerprint:
                raise InputError(f"{_data(frame)} has changed since: it is {found_now} now")
        except InputError as error:
            table = None
            words.append(f"No canvases are drawn: {error}.")
    scores = leaderboard.scores(frame)
    groups = []
    for target in leaderboard.targets(frame):
        mine = scores[scores.target == target].sort_values("mae", kind="stable")
        if mine.empty:
            continue
        fair = mine[mine.leaked_by == ""]
        best = (fair if len(fair) else mine).iloc[0]
        rows = frame[
            (frame.target == target)
            & (frame.label == best.label)
            & (frame.metric == "mae")
            & (frame.status == results.FINISHED)
        ]
        errors = leaderboard.pair_errors(rows, target, source.predictions)
        if errors is None:
            continue
        what = "error rate" if about(target).is_class else "MAE"
        title = f"{target}: {best.label}, {what} {number(best.mae)} {best.unit}".rstrip()
        shown = _of_target(prefix, target, str(best.label), errors, table, of_pairs)
        groups.append(Group(title, shown))
    if groups:
        parts.append(Part(f"{prefix}-pairs", f"Target by target{where}", groups, words))
    return parts


def _of_target(
    prefix: str,
    target: str,
    label: str,
    errors: pd.DataFrame,
    table: PairTable | None,
    of_pairs: bool,
) -> list[Table | Picture]:
    name, one = f"{prefix}-{target}", "pair" if of_pairs else "structure"
    ranked = pairs.by_pair(errors)
    worst = [
        [
            Cell(str(line.name).replace("_", "–") if of_pairs else str(line.name)),
            *(Cell(number(value, 4), value) for value in (line.true, line.predicted, line.error)),
        ]
        for line in ranked[:_WORST].itertuples()
    ]
    heads = [
        Column(one, numeric=False),
        *(Column(head) for head in ("true", "predicted", "error")),
    ]
    parity = pairs.draw_parity(f"{name}-parity", target, label, errors, one)
    ranking = Table(
        *(f"{name}-worst", f"{target}: the worst {len(worst)} {one}s", heads, worst),
        caption=f"{label}. Means over the seeds that tested the {one}.",
    )
    if not of_pairs:
        return [parity, ranking]
    found: list[Table | Picture] = [
        parity,
        pairs.draw_matrix(f"{name}-matrix", target, label, errors),
        ranking,
        pairs.draw_elements(f"{name}-elements", target, label, errors),
    ]
    once = table is not None and len(set(table.names)) == len(table)
    if table is not None and once:
        shown = pd.concat([ranked[: -_CANVASES - 1 : -1], ranked[:_CANVASES]])
        shown = shown.drop_duplicates("name")
        rows = np.array([table.row(str(one)) for one in shown.name])
        with style():
            figure = draw_canvases(table.take(rows), shades=_SHADES)
        found.append(
            Picture(
                f"{name}-canvases",
                f"{target}: canvases of the best and the worst pairs",
                figure,
                shown,
                caption=f"{label}. First the {_CANVASES} pairs with the smallest error, then the "
                f"{_CANVASES} with the largest.",
                width=900,
            )
        )
    return found


def _studies(
    first: Source, project: Source | None, sections: Iterable[leaderboard.Section]
) -> list[Part]:
    """A chapter for the studies: those of the source and, where it has none, the project's.

    The source's own numbers of `modality` stand beside what was published above, where `sections`
    have the data.
    """
    above = [key.fingerprint for key in sections if key.split == "random"]
    items: list[Table | Picture] = []
    words = []
    if aside := first.aside.training.nunique():
        words.append(f"{counted(aside, 'training')} made for studies only: shown here, not above.")
    shown = dict(first.studies)
    if project is not None and project is not first:
        more = {name: frame for name, frame in project.studies.items() if name not in shown}
        if more:
            words.append(f"{', '.join(more)}: of {project.title}.")
        shown |= more
    lost = []
    for name in studies.ordered(list(shown)):
        picture = studies.picture(name, shown[name])
        table = studies.table(name, shown[name])
        rest = shown[name]
        if name == _MODALITY and name in first.studies:
            rest = rest[~rest.data_fingerprint.isin(above)]
        beside = studies.published_beside(name, rest)
        items += [*([picture] if picture else []), *([beside] if beside else [])]
        items += [table] if table.rows else []
        lost += studies.missing(name, shown[name])
    if not (items or lost):
        return []
    return [Part("studies", "Studies", items, words, lists=[("Not there", lost)] if lost else [])]
