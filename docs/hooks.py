"""What `mkdocs build` makes beside the pages: an explorer of few elements, which a guide embeds."""

from pathlib import Path
from typing import Any

SYMBOLS = ("H", "C", "N", "O", "F", "Na", "Cl")


def on_post_build(config: Any, **_: object) -> None:
    """Write the explorer into the site, where docs/guides/explorer.md looks for it."""
    from qc_jax.report.explorer import contents, writing
    from qc_jax.runs import sources

    out = Path(config["site_dir"]) / "guides" / "explorer_live"
    out.mkdir(parents=True, exist_ok=True)
    found = contents.build(sources.open_table("ptbp"), lambda *_: None, SYMBOLS)
    writing.write(found, out)
