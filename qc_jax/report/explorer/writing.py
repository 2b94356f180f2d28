"""The explorer as one HTML file, which needs nothing beside it."""

import importlib.resources
import os
from pathlib import Path

import jinja2

from qc_jax.data import files
from qc_jax.report import links
from qc_jax.report.explorer.contents import Contents
from qc_jax.report.explorer.packing import script_json

NAME = links.EXPLORER
# In the order in which they stand in the page; they share one scope.
SCRIPTS = (
    *("data", "colors", "canvas", "orbitals", "svg", "periodic", "levels"),
    *("pair", "maps", "trends", "main"),
)


def render(contents: Contents) -> str:
    """Return the page as text."""
    folder = importlib.resources.files("qc_jax.report.explorer") / "page"

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        read("explorer.html")
    )
    return template.render(
        data=contents.about["data"],
        style=read("explorer.css"),
        script="\n".join(read(f"{name}.js") for name in SCRIPTS),
        about=script_json(contents.about),
        blobs=contents.blobs,
    )


def write(contents: Contents, out: str | os.PathLike) -> Path:
    """Write the page to a directory that is there, linked with the report beside it.

    Raises:
      InputError: it cannot be written.
    """
    path = Path(out) / NAME
    files.write_text(path, render(contents))
    links.join(out)
    return path
