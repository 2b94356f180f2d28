"""Draws the canvases of named pairs: a row a pair, a column a channel.

    python -m experiments.gallery --pairs=Ag_Al,C_O,H_H,Cs_F --out=gallery.png [--data=ptbp]

A column has one colour scale, shown below it, which goes with the square root of the value;
'RIP-MTF quadrupole' has both signs and a diverging one.
"""

import pathlib

import numpy as np

from qc_jax.canvas import CHANNELS
from qc_jax.chem.elements import pair_name
from qc_jax.data.table import DEFAULT, open_table
from qc_jax.errors import InputError
from qc_jax.report.gallery import plot_canvases
from qc_jax.runs import cli

FLAGS = cli.Flags(__doc__)
_PAIRS = FLAGS.strings("pairs", "Ag_Al,C_O,H_H,Cs_F", "Pairs, in the order of the rows.")
_OUT = FLAGS.string("out", None, "The picture, .png.", required=True)
_DATA = FLAGS.string("data", DEFAULT, "A shipped table, or a path to an .npz.")
_SIZE = FLAGS.integer("size", 32, "Pixels along each side of a canvas.")


def main(_: list[str]) -> None:
    """Draws what the flags ask for and says where it is."""
    out = pathlib.Path(str(_OUT.value))
    if out.suffix != ".png":
        raise InputError(f"--out: expected a file that ends in .png, got {out}")
    if not out.parent.is_dir():
        raise InputError(f"--out: no such directory: {out.parent}")
    table = open_table(_DATA.value)
    rows = [table.row(_name(text)) for text in _PAIRS.value]
    if not rows:
        raise InputError("--pairs: expected pairs like Ag_Al, parted by commas, got none")
    plot_canvases(out, table.take(np.array(rows)), _SIZE.value)
    print(f"{len(rows)} pairs x {len(CHANNELS)} channels: {out}")


def _name(text: str) -> str:
    """A pair's name in the table, of symbols in either order."""
    symbols = text.strip().split("_")
    if len(symbols) != 2:
        raise InputError(f"--pairs: expected pairs like Ag_Al, parted by commas, got {text!r}")
    return pair_name(*symbols)


if __name__ == "__main__":
    cli.run(main, FLAGS)
