"""Draws canvases or densities of named pairs: a row a pair, a column a channel; or in space.

    python -m experiments.gallery --pairs=Ag_Al,C_O,H_H,Cs_F --out=gallery.png [--data=ptbp]
    python -m experiments.gallery --images=densities --out=densities.png [--data=gfn2_xtb]
    python -m experiments.gallery --images=stretch --pairs=H_F --out=hf.gif [--curve=0.7:2.5:40]
    python -m experiments.gallery --images=cube --pairs=C_O --channel=homo_amplitude --out=co.cube

Densities and orbitals are those of tight binding (`qc_jax.canvas.densities`) in the plane of the
bond, at the minimum, the atom named first on the left: by PTBP, or with --data=gfn2_xtb by
GFN2-xTB, which needs tblite.
A column has one colour scale, shown below it, which goes with the square root of the value (of
densities the fourth), and is a diverging one where there are both signs.
--images=stretch moves one pair along a range of distances and back: densities and amplitudes, the
energy and the levels, as an animated GIF or PNG by the ending of --out.
--images=cube writes one channel of one pair as a Gaussian cube file, for programs that show
orbitals in space.
"""

import pathlib

import numpy as np

from qc_jax.canvas import CHANNELS, features
from qc_jax.chem.elements import pair_name
from qc_jax.data.table import DEFAULT
from qc_jax.engines.scan import Grid
from qc_jax.errors import InputError, choose
from qc_jax.report.gallery import plot_canvases
from qc_jax.runs import cli, sources

FLAGS = cli.Flags(__doc__)
_PAIRS = FLAGS.strings("pairs", "Ag_Al,C_O,H_H,Cs_F", "Pairs, in the order of the rows.")
_OUT = FLAGS.string("out", None, "The picture, .png; or .gif, or .cube.", required=True)
_DATA = FLAGS.string("data", DEFAULT, "The table, as in --config.data; of densities whose.")
_ENDINGS = {"canvas": ".png", "densities": ".png", "stretch": ".gif or .png", "cube": ".cube"}
_IMAGES = FLAGS.enum("images", "canvas", tuple(_ENDINGS), "What is drawn.")
_CHANNEL = FLAGS.string("channel", "density", "Of --images=cube; a wrong one is answered by all.")
_CURVE = FLAGS.string("curve", None, "LOW:HIGH:COUNT, of --images=stretch, as of generate.")
_SIZE = FLAGS.integer("size", None, "Pixels a side: 32 of a canvas, 192 of densities, 80 a cube.")
_SIZES = {"canvas": 32, "densities": 192, "cube": 80}


def main(_: list[str]) -> None:
    """Draws what the flags ask for and says where it is."""
    out = pathlib.Path(str(_OUT.value))
    ending = _ENDINGS[str(_IMAGES.value)]
    if out.suffix not in ending.split(" or "):
        raise InputError(f"--out: expected a file that ends in {ending}, got {out}")
    if not out.parent.is_dir():
        raise InputError(f"--out: no such directory: {out.parent}")
    pairs = [_symbols(text) for text in _PAIRS.value]
    if not pairs:
        raise InputError("--pairs: expected pairs like Ag_Al, parted by commas, got none")
    if _IMAGES.value == "stretch" and _DATA.value != DEFAULT:
        raise InputError(f"--data: expected {DEFAULT} of --images=stretch, got {_DATA.value}")
    if _IMAGES.value != "cube" and _CHANNEL.present:
        raise InputError("--channel is of --images=cube")
    if _IMAGES.value != "stretch" and _CURVE.present:
        raise InputError("--curve is of --images=stretch")
    if _IMAGES.value == "stretch":
        if _SIZE.present:
            raise InputError("--size: an animation has one size, 760 x 470 pixels")
        _write_stretch(out, pairs)
        return
    size = _SIZE.value if _SIZE.present else _SIZES[str(_IMAGES.value)]
    if _IMAGES.value == "cube":
        _write_cube(out, pairs, size)
        return
    if _IMAGES.value == "canvas":
        table = sources.open_table(str(_DATA.value))
        rows = [table.row(pair_name(*pair)) for pair in pairs]
        shown = table.take(np.array(rows))
        drawn = np.isfinite(features(shown)).all(axis=1)
        if not drawn.all():
            raise InputError(
                f"--data: expected populations of {shown.names[~drawn][0]}, which canvases are "
                f"drawn from, got none in {_DATA.value}"
            )
        plot_canvases(out, shown, size)
    else:
        from qc_jax.report.densities import plot_densities  # tight binding comes with it

        plot_densities(out, ["_".join(pair) for pair in pairs], size, _method())
    print(f"{len(pairs)} pairs x {len(CHANNELS)} channels: {out}")


def _method() -> str:
    from qc_jax.canvas import methods

    name = str(_DATA.value)
    choose(f"--data of --images={_IMAGES.value}", name, methods.METHODS)
    return name


def _write_cube(out: pathlib.Path, pairs: list[list[str]], size: int) -> None:
    from qc_jax.canvas import cubes  # tight binding comes with it

    if len(pairs) != 1:
        raise InputError(f"--pairs: a cube file is of one pair, got {len(pairs)}")
    found = cubes.cube("_".join(pairs[0]), str(_CHANNEL.value), size, parameters=_method())
    cubes.write(out, found)
    electrons = ""
    if found.channel == "density":
        electrons = f"; {found.integral:.3f} of {found.electrons:g} electrons in it"
    print(f"{found.channel} at {size}³ points, {found.spacing:.3f} bohr apart{electrons}: {out}")


def _write_stretch(out: pathlib.Path, pairs: list[list[str]]) -> None:
    from qc_jax.report import animation  # tight binding comes with it

    if len(pairs) != 1:
        raise InputError(f"--pairs: an animation is of one pair, got {len(pairs)}")
    ratios = None if _CURVE.value is None else Grid.parse(str(_CURVE.value)).ratios
    frames, found = animation.plot_stretch(out, "_".join(pairs[0]), ratios)
    low, high = found.distances[0], found.distances[-1]
    print(f"{frames} frames, {low:.2f} to {high:.2f} Å and back: {out}")


def _symbols(text: str) -> list[str]:
    symbols = text.strip().split("_")
    if len(symbols) != 2:
        raise InputError(f"--pairs: expected pairs like Ag_Al, parted by commas, got {text!r}")
    return symbols


if __name__ == "__main__":
    cli.run(main, FLAGS)
