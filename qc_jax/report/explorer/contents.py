"""What the explorer's page holds: words and numbers of a table, packed."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps

import qc_jax
from qc_jax.canvas import CHANNELS, FEATURES, densities, features
from qc_jax.canvas.basis import basis
from qc_jax.canvas.orbitals import ORBITALS, PRODUCTS
from qc_jax.canvas.radial import STEP
from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element
from qc_jax.chem.units import BOHR_ANG, HARTREE_EV
from qc_jax.data.table import PairTable
from qc_jax.data.targets import TARGETS
from qc_jax.engines.engine import Progress
from qc_jax.errors import InputError, choose
from qc_jax.report.explorer import orbitals, predictions
from qc_jax.report.explorer.packing import blob
from qc_jax.runs import ensemble

SIZE = 32  # pixels along each side of a canvas
# Name in the page → matplotlib's: all are told apart by colour-blind readers, too.
_SCALES = {
    "value": "viridis",
    "error": "cividis",
    "density": "inferno",
    "signed": "RdBu_r",
    "signed_dark": "berlin",
}
_SHADES = 128
_MADE = ("engine", "method", "parameters", "temperature_k", "version", "elements", "max_l")


@dataclasses.dataclass(frozen=True)
class Contents:
    """What is packed into the page.

    Attributes:
      about: JSON: words, names and the places of the arrays in `blobs`.
      blobs: base64 by name; what is drawn first is in 'base'.
    """

    about: dict[str, Any]
    blobs: dict[str, str]


def build(
    table: PairTable,
    progress: Progress,
    symbols: Sequence[str] | None = None,
    workdirs: Sequence[str] = (),
    levels: bool = True,
) -> Contents:
    """Return what the page shows of a table.

    Args:
      table: each pair once.
      progress: of tight binding, (done, total).
      symbols: elements that are shown; all of the table unless given.
      workdirs: of models that are shown, too (`predictions.collect`).
      levels: whether to compute levels, orbitals and curves where the table allows it.

    Raises:
      InputError: a pair stands there several times, an element is not there, or a directory is
        wrong.
    """
    table.check_labels()
    opened_as = table.opened_as  # some of its pairs have no such name
    names, counts = np.unique(table.names, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"{opened_as}: expected each pair once, got {counts.max()} rows of "
            f"{names[counts.argmax()]}; curves are not shown"
        )
    rows = None if symbols is None else _rows_of(table, symbols)
    models = predictions.collect(table, workdirs)
    left_out = dict(table.left_out)
    if symbols is not None and rows is not None:
        table, models = table.take(rows), [model.take(rows) for model in models]
        left_out = {
            name: why for name, why in left_out.items() if set(name.split("_")) <= {*symbols}
        }
    if not len(table):
        raise InputError(f"{opened_as}: expected pairs to show, got none")
    shown = [name for name in TARGETS if name in table.targets]
    not_shown = predictions.not_shown(models, shown)
    models = [model for model in models if set(model.targets) & set(shown)]
    reason = orbitals.why_not(table) if levels else "They were left out by --nolevels."
    packed = {"base": _base(table, models)}
    if not reason:
        packed["orbitals"] = orbitals.arrays(table, progress)
    blobs, places = {}, {}
    for name, arrays in packed.items():
        blobs[name], places[name] = blob(arrays)
    about = {
        "data": opened_as,
        "fingerprint": table.fingerprint(),
        "made": {key: table.provenance[key] for key in _MADE if key in table.provenance},
        "version": qc_jax.__version__,
        "date": datetime.date.today().isoformat(),
        "elements": _elements(table),
        "left_out": left_out,
        "targets": [
            {**dataclasses.asdict(TARGETS[name]), "leaked_by": list(TARGETS[name].leaked_by)}
            for name in shown
        ],
        "not_shown": not_shown,
        "models": [
            {
                "name": model.name,
                "about": model.about,
                "targets": list(model.targets),
                "leaked_by": {key: list(inputs) for key, inputs in model.leaked_by.items()},
            }
            for model in models
        ],
        "parts": list(predictions.PARTS),
        "coverage": ensemble.COVERAGE,
        "canvas": {
            "size": SIZE,
            "channels": list(CHANNELS),
            "features": [feature._asdict() for feature in FEATURES],
        },
        "orbitals": {
            "reason": reason,
            "ratios": orbitals.RATIOS.tolist(),
            "blocks": orbitals.BLOCK_M.tolist(),
            "functions": [list(map(int, one)) for one in ORBITALS],
            "products": PRODUCTS.T.tolist(),
            "channels": [{"name": key, "unit": unit} for key, unit in densities.CHANNELS.items()],
            "step": STEP * orbitals.KNOT_STEP,
            "bohr": BOHR_ANG,
            "hartree": HARTREE_EV,
        },
        "shades": list(_SCALES),
        "places": places,
    }
    return Contents(about, blobs)


def _base(table: PairTable, models: Sequence[predictions.Model]) -> dict[str, np.ndarray]:
    """Return the arrays that every view needs."""
    fixed = basis(SIZE)
    held = np.asarray(features(table), np.float32)
    extras = {
        name: np.nan_to_num(np.asarray(table.extras[name], np.float64), nan=0).astype(np.uint8)
        for name in ("metal_like", "geom_converged")
        if name in table.extras
    }
    shades = [colormaps[name](np.linspace(0, 1, _SHADES))[:, :3] for name in _SCALES.values()]
    names = [name for name in TARGETS if name in table.targets]
    return {
        "atoms": table.atomic_numbers.astype(np.uint8),
        "charges": table.charges.astype(np.float32),
        "targets": table.columns(tuple(names)).T.astype(np.float32),
        "features": held,
        "picture": fixed.picture.astype(np.float32),
        "line": fixed.line.astype(np.float32),
        "metric": canvas_metric(held).astype(np.float32),
        "shades": np.round(255 * np.array(shades)).astype(np.uint8),
        **extras,
        **{f"predicted{k}": m.predicted.T.astype(np.float32) for k, m in enumerate(models)},
        **{
            f"width{k}": m.half_width.T.astype(np.float32)
            for k, m in enumerate(models)
            if m.half_width is not None
        },
        **{f"parts{k}": m.parts.T.astype(np.uint8) for k, m in enumerate(models)},
    }


def canvas_metric(held: Float[np.ndarray, "pairs features"]) -> Float[np.ndarray, "f f"]:
    """Return G, by which two pairs' canvases are √(Δᵀ G Δ) apart, Δ their features' difference.

    That is the root mean square over pixels and channels, each channel in units of its own root
    mean square over all pairs; a channel that is zero for all does not count.

    Args:
      held: canvas features, NaN rows not known.
    """
    fixed = basis(SIZE)
    line = fixed.line * np.ones(SIZE)[:, None]  # [F, x, C]
    weight = np.sum(fixed.picture**2, axis=0)  # [x, C]
    grams = np.einsum("fxc,gxc,xc->cfg", line, line, weight) / SIZE**2
    known = held[np.isfinite(held).all(axis=1)].astype(np.float64)
    if not len(known):
        return np.zeros((len(FEATURES), len(FEATURES)))
    squares = np.einsum("nf,cfg,ng->c", known, grams, known) / len(known)
    shown = squares > 1e-12
    return np.einsum("cfg,c->fg", grams[shown], 1 / squares[shown]) / len(CHANNELS)


def _rows_of(table: PairTable, symbols: Sequence[str]) -> np.ndarray:
    there = {element(int(z)).symbol for z in np.unique(table.atomic_numbers)}
    for symbol in symbols:
        choose(f"element of {table.opened_as}", symbol, there)
    if len(set(symbols)) < len(symbols):
        raise InputError(f"--elements: expected different symbols, got {','.join(symbols)}")
    numbers = [element(symbol).atomic_number for symbol in symbols]
    return np.flatnonzero(np.isin(table.atomic_numbers, numbers).all(axis=1))


def _elements(table: PairTable) -> list[dict[str, Any]]:
    """Return all elements to Cm; 'row' among those of the table in alphabetical order, or −1."""
    covered = sorted(element(int(z)).symbol for z in np.unique(table.atomic_numbers))
    return [
        {
            "z": one.atomic_number,
            "symbol": one.symbol,
            "name": one.name,
            "group": one.group,
            "period": one.period,
            "electronegativity": one.electronegativity,
            "metal": one.metal,
            "radius": one.covalent_radius_ang,
            "row": covered.index(one.symbol) if one.symbol in covered else -1,
        }
        for one in map(element, range(1, MAX_ATOMIC_NUMBER + 1))
    ]
