"""The HTML page that a report becomes."""

import base64
import gzip
from collections.abc import Mapping

import jinja2

from qc_jax.report.layout import Picture, Report
from qc_jax.report.style import for_page

_MOST_BYTES = 4_800_000  # of the page; pictures that come later are linked
_CELL_BYTES = 60  # of a table's cell, about
_SMALL_BYTES = 3_000  # of data that are not worth packing

NOTES = (
    "Twenty targets are far fewer facts: for a neutral pair q_absmean, q_maxabs and q_std are one "
    "number, and the gap, I, A, χ, μ and η are linear in HOMO and LUMO. Eleven of the targets are "
    "three facts.",
    "A dagger (†) marks a score on a target that the model's own inputs leak: the bond length "
    "to a model that reads positions, the charges and the dipole to one that reads a canvas. It "
    "says nothing about chemistry and cannot be the best.",
    "Bold is the best of the others, and only where a paired test against the second best on the "
    "same test pairs gives p < 0.05 after Holm's correction for the number of targets, and where "
    "it beats both baselines.",
    "Softness and electrophilicity are divided by a gap that may be close to zero: a few pairs "
    "make the mean error, so the median error stands beside it.",
)


def render(report: Report, drawn: Mapping[str, str]) -> str:
    """The page: one HTML file that needs nothing else.

    Pictures that would make it too large are links to the files that `export.write` puts beside it.

    Args:
      report: all of it.
      drawn: its pictures as SVG, by name.
    """
    cells = sum(len(table.rows) * len(table.columns) for table in report.tables())
    left = _MOST_BYTES - _CELL_BYTES * cells

    def draw(picture: Picture) -> str:
        nonlocal left
        text = for_page(drawn[picture.name])
        left -= len(text.encode())
        return text if left > 0 else ""

    def data(picture: Picture) -> dict[str, str]:
        nonlocal left
        name = f"{picture.data_name or picture.name}.csv"
        packed = picture.csv().encode()
        kind = "text/csv"
        if len(packed) > _SMALL_BYTES:
            packed, kind, name = gzip.compress(packed, mtime=0), "application/gzip", f"{name}.gz"
        text = base64.b64encode(packed).decode()
        left -= len(text)
        if left <= 0:
            return {"href": f"data/{picture.data_name or picture.name}.csv", "name": name}
        return {"href": f"data:{kind};base64,{text}", "name": name}

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qc_jax.report"),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        report=report,
        notes=NOTES,
        draw=draw,
        data=data,
        kind=lambda item: type(item).__name__,
        order=lambda value: "Infinity" if value == float("inf") else f"{value:.9g}",
    )
