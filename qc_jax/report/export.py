"""A report as files: the page, tables as Markdown, LaTeX and CSV, figures as PNG and SVG."""

import os
from pathlib import Path

from qc_jax.data import files
from qc_jax.errors import InputError
from qc_jax.report.layout import Report
from qc_jax.report.render import render
from qc_jax.report.style import png, svg


def write(report: Report, out: str | os.PathLike) -> list[Path]:
    """Writes report.html, tables.md, tables.tex, tables/, figures/ and data/.

    Args:
      report: all of it.
      out: the directory, made where it is not there. Files of an earlier report are replaced.

    Returns:
      The files that were written.

    Raises:
      InputError: a file cannot be written.
    """
    out = Path(out)
    written: list[Path] = []

    def text(path: Path, content: str) -> None:
        files.write_text(path, content)
        written.append(path)

    tables, pictures = report.tables(), report.pictures()
    drawn = {picture.name: svg(picture.figure) for picture in pictures}
    page = render(report, drawn)
    # Only now: what is ended while it is drawn leaves nothing that bars the next try.
    try:
        for folder in (out, out / "tables", out / "figures", out / "data"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be made: {error.strerror}") from error
    text(out / "report.html", page)
    text(out / "tables.md", f"# {report.title}\n\n" + "\n".join(one.markdown() for one in tables))
    needs = "% \\usepackage{booktabs} in the preamble.\n\n"
    text(out / "tables.tex", needs + "\n".join(one.latex() for one in tables))
    for table in tables:
        text(out / "tables" / f"{table.name}.csv", table.csv())
    for picture in pictures:
        text(out / "figures" / f"{picture.name}.svg", drawn[picture.name])
        path = out / "figures" / f"{picture.name}.png"
        with files.atomic_write(path) as partial:
            Path(partial).write_bytes(png(picture.figure))
        written.append(path)
        data = out / "data" / f"{picture.data_name or picture.name}.csv"
        if data not in written:
            text(data, picture.csv())
    return written
