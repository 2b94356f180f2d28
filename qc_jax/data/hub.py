"""Cards of data and models on a hub: a README.md that begins with YAML for machines."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from qc_jax.data import files


def write_card(path: str | os.PathLike, fields: Mapping[str, Any], text: str) -> None:
    """Write a card, whole or not at all.

    Args:
      path: of README.md.
      fields: what its front matter tells, of JSON's kinds.
      text: Markdown.

    Raises:
      InputError: it cannot be written.
    """
    head = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=100)
    files.write_text(path, f"---\n{head}---\n\n{text.strip()}\n")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; a bar in a cell stays one."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
