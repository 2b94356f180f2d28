"""Links between the pages of one directory, the report and the explorer."""

import os
from pathlib import Path

from qc_jax.data import files
from qc_jax.errors import InputError

REPORT, EXPLORER = "report.html", "explorer.html"
# Page → the other one, and the comment in its text where a link to that is to stand.
_OTHERS = {
    REPORT: (EXPLORER, "Explore the pairs"),
    EXPLORER: (REPORT, "Report"),
}
_PLACE = "<!-- link to the other page -->"


def check_out(out: Path) -> None:
    """Raise InputError unless a directory is new, empty, an explorer's or a report's."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"--out: expected a directory, got the file {out}")
    if any(out.iterdir()) and not any((out / name).exists() for name in _OTHERS):
        raise InputError(
            f"--out: {out} holds other files; expected an empty or new directory, or one with "
            f"{EXPLORER} or {REPORT}"
        )


def join(out: str | os.PathLike) -> None:
    """Link the pages of a directory with each other where both are there; done twice is as once.

    Raises:
      InputError: a page cannot be read or written.
    """
    out = Path(out)
    if not all((out / name).exists() for name in _OTHERS):
        return
    for name, (other, words) in _OTHERS.items():
        text = files.read_text(out / name)
        link = f'<a href="{other}">{words}</a>'
        if _PLACE in text and link not in text:
            files.write_text(out / name, text.replace(_PLACE, _PLACE + link, 1))
