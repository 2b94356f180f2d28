"""What a model sees of a pair: its published canvas, or densities of its orbitals.

`parse` reads the choice, as --config.images has it: 'canvas', 'densities' with all channels, or
'densities:density,homo' with some. Only numbers are stored and travel, a row a pair; `of_batch`
draws in the program that needs the images.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from qc_jax.canvas.basis import CHANNELS, FEATURES, MOLECULES, PAIRS, Layout, check_size
from qc_jax.canvas.features import features, features_of_atoms
from qc_jax.canvas.render import render
from qc_jax.chem.elements import element
from qc_jax.data.batch import Batch
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError, choose

CANVAS, DENSITIES = "canvas", "densities"
KINDS = (CANVAS, DENSITIES)

AUGMENTATIONS = ("exchange", "reflect", "rotate")


def _exchanged(layout: Layout) -> Int[np.ndarray, " features"]:
    """Return where the features of a canvas are in that of the atoms in the other order."""
    places = {(one.channel, one.atom): index for index, one in enumerate(layout.features)}
    last = len(layout.columns) - 1
    return np.array(
        [
            index if one.atom is None else places[one.channel, last - one.atom]
            for index, one in enumerate(layout.features)
        ]
    )


_EXCHANGED = {len(one.features): _exchanged(one) for one in (PAIRS, MOLECULES)}

# The symmetries of a square as matrices of (z, x): quarter turns, and those of its mirror image.
_QUARTERS = [np.array([[c, s], [-s, c]]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
SYMMETRIES = np.array([q @ np.diag([1, m]) for m in (1, -1) for q in _QUARTERS], np.float32)


@dataclasses.dataclass(frozen=True)
class Images:
    """A kind of images and its channels.

    Attributes:
      kind: one of `KINDS`, which is what leaks of targets are told by.
      channels: their names.
    """

    kind: str
    channels: tuple[str, ...]

    @property
    def solved(self) -> bool:
        """Return whether they follow from elements and bond length alone, whatever the pair."""
        return self.kind == DENSITIES

    def check_size(self, size: int) -> int:
        """Return the pixels along each side.

        Raises:
          InputError: they are out of range.
        """
        size = check_size(size)
        if self.kind == DENSITIES:
            from qc_jax.canvas import densities  # tight binding comes with it

            if size > densities.MAX_SIZE:
                raise InputError(
                    f"canvas_size: expected at most {densities.MAX_SIZE} pixels of densities, "
                    f"got {size}"
                )
        return size

    def rows(self, table: PairTable) -> Float[np.ndarray, "pairs numbers"]:
        """Return the numbers that the images of a table's pairs are drawn from, float32.

        A pair without image has NaN.

        Raises:
          InputError: the table's pairs have no such images.
        """
        if self.kind == CANVAS:
            return features(table)
        from qc_jax.canvas import coefficients

        return coefficients.of_table(table)

    def check(self, table: PairTable, own: str | None = None) -> None:
        """Raise InputError where `rows` would, as far as that is known before they are computed.

        Args:
          table: of pairs.
          own: the method that a model's images are of; another one is refused, too.
        """
        if self.kind == DENSITIES:
            from qc_jax.canvas import coefficients

            self._check_same(own, coefficients.check(table))

    def method_of(self, provenance: Mapping[str, Any]) -> str:
        """Return the method of `methods.METHODS` that data have; 'ptbp' where none is needed."""
        if self.kind == CANVAS:
            return "ptbp"
        from qc_jax.canvas import methods

        return methods.method_of(provenance) or methods.PTBP

    def check_rows(self, rows: ArrayLike | None, own: str) -> None:
        """Raise InputError where rows are of another method than a model's own."""
        if rows is not None and self.kind == DENSITIES:
            from qc_jax.canvas import coefficients

            self._check_same(own, coefficients.method_of(np.asarray(rows)))

    def _check_same(self, own: str | None, other: str) -> None:
        if own is not None and other != own:
            raise InputError(
                f"images={self.kind}: the model was trained on densities of {own}; expected those, "
                f"got {other}"
            )

    def rows_at(
        self, pairs: list[str], distances: ArrayLike | None = None, method: str = "ptbp"
    ) -> Float[np.ndarray, "pairs numbers"]:
        """Return those of any pairs, by `coefficients.of_pairs`, of images that are `solved`."""
        assert self.solved
        from qc_jax.canvas import coefficients

        return coefficients.of_pairs(pairs, distances, method)

    def rows_of(
        self, structures: Batch, method: str = "ptbp"
    ) -> Float[np.ndarray, "structures numbers"]:
        """Return those of any atoms in space, by tight binding.

        Of densities those of pairs by a method of `methods.METHODS`, which need not lie along z; of
        canvases `molecule_features`.

        Raises:
          InputError: a structure has no such image, a cell, or charges that do not settle.
        """
        numbers, positions = np.asarray(structures.atomic_numbers), np.asarray(structures.positions)
        if self.kind == CANVAS:
            return _canvases_of(structures, numbers, positions)
        if structures.shifts is not None or numbers.shape[1] != 2 or not numbers.all():
            raise InputError(
                f"images={self.kind}: expected two atoms without a cell, as a pair has them"
            )
        names = ["_".join(element(int(number)).symbol for number in pair) for pair in numbers]
        bonds = np.linalg.norm(positions[:, 1].astype(np.float64) - positions[:, 0], axis=1)
        return self.rows_at(names, bonds, method)

    def sample(self) -> Float[np.ndarray, "one numbers"]:
        """Return one row, to learn the shapes of a model from."""
        if self.kind == CANVAS:
            return np.ones((1, len(FEATURES)), np.float32)
        from qc_jax.canvas import coefficients

        return np.ones((1, coefficients.LENGTH), np.float32)

    def draw(
        self,
        rows: Float[Array, "pairs numbers"],
        size: int = 32,
        turns: Float[Array, "pairs 2 2"] | None = None,
    ) -> Float[Array, "pairs size size channels"]:
        """Return the images of N pairs, float32; works under jit, vmap and grad.

        Densities are in units of `densities.CHANNELS`, on the scale `coefficients.SCALE`.

        Args:
          rows: of `rows`.
          size: pixels along each side.
          turns: an orthogonal matrix for each, by which it is turned or mirrored; of densities.
        """
        if self.kind == CANVAS:
            if turns is not None:
                raise InputError("images=canvas: expected none that is turned: it is no picture")
            return render(rows, size)
        from qc_jax.canvas import coefficients

        return coefficients.draw(rows, size, self.channels, turn=turns)


def _canvases_of(
    structures: Batch, numbers: np.ndarray, positions: np.ndarray
) -> Float[np.ndarray, "structures numbers"]:
    from qc_jax.canvas.molecules import atoms_of  # tight binding comes with it

    if structures.shifts is not None:
        raise InputError("images=canvas: structures in a cell have none; expected some without")
    given = []
    for row, count in enumerate((numbers > 0).sum(axis=1).tolist()):
        record = {"atomic_numbers": numbers[row, :count], "positions": positions[row, :count]}
        given.append(atoms_of(f"structure {row + 1}", record))
    found = features_of_atoms(given, len(given))
    for row in np.flatnonzero(~np.isfinite(found).all(axis=1)).tolist():
        raise InputError(f"{given[row].name}: the charges of its canvas do not settle")
    return found


@functools.cache
def parse(text: str) -> Images:
    """Return what 'canvas', 'densities' or 'densities:density,homo' names.

    Raises:
      InputError: another kind, or a channel that it does not have or that is named twice.

    Example:
      >>> parse("densities:density,homo").channels
      ('density', 'homo')
    """
    kind, colon, words = text.partition(":")
    choose("images", kind, KINDS)
    if kind == CANVAS:
        if colon:
            raise InputError(
                f"images: expected 'canvas' alone, whose channels a model chooses, got {text!r}"
            )
        return Images(kind, CHANNELS)
    from qc_jax.canvas import densities

    names = tuple(name.strip() for name in words.split(",")) if colon else tuple(densities.CHANNELS)
    for name in names:
        choose("channel of densities", name, densities.CHANNELS)
    if len(set(names)) < len(names):
        raise InputError(f"images: expected each channel once, got {text!r}")
    return Images(kind, names)


def augmentations(text: str) -> tuple[str, ...]:
    """Return the words of 'exchange,rotate', each of `AUGMENTATIONS` at most once; () of ''.

    Raises:
      InputError: another word, or one twice.
    """
    words = tuple(word.strip() for word in text.split(",")) if text else ()
    for word in words:
        choose("augment", word, AUGMENTATIONS)
    if len(set(words)) < len(words):
        raise InputError(f"augment: expected each word once, got {text!r}")
    return words


def augment(batch: Batch, key: jax.Array, text: str) -> Batch:
    """Return the pairs of a batch as others would have drawn them, by chance; labels stay true.

    'exchange' names the other atom first in half of the pairs, 'reflect' mirrors half of the images
    across the bond, 'rotate' turns each by any angle. What happens to a pair follows from the key
    and from its place in the whole batch. Densities are drawn at the turned points: nothing is
    interpolated. A canvas is no picture in space, but its numbers can be exchanged.

    Raises:
      InputError: structures are no pairs, or canvases are to be turned.
    """
    words = augmentations(text)
    if not batch.is_pairs:
        raise InputError(f"augment={text}: expected pairs of atoms")
    rows = batch.first_row + jnp.arange(len(batch.positions), dtype=jnp.uint32)
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    chance = jax.vmap(lambda one: jax.random.uniform(one, (3,)))(keys)
    flat = parse(batch.images).kind == CANVAS
    turns = jnp.broadcast_to(jnp.eye(2), (len(rows), 2, 2)) if batch.turns is None else batch.turns
    if "exchange" in words:
        other = chance[:, 0] < 0.5
        numbers = batch.atomic_numbers
        numbers = jnp.where(other[:, None], numbers[:, ::-1], numbers)
        batch = batch.replace(atomic_numbers=numbers)
        if flat and batch.canvas_features is not None:
            mine = batch.canvas_features
            theirs = mine[:, _EXCHANGED[mine.shape[1]]]
            batch = batch.replace(canvas_features=jnp.where(other[:, None], theirs, mine))
        turns = turns @ _diagonal(jnp.where(other, -1.0, 1.0), jnp.ones(len(rows)))
    if "reflect" in words:
        turns = turns @ _diagonal(jnp.ones(len(rows)), jnp.where(chance[:, 1] < 0.5, -1.0, 1.0))
    if "rotate" in words:
        angle = 2 * np.pi * chance[:, 2]
        c, s = jnp.cos(angle), jnp.sin(angle)
        turns = turns @ jnp.stack([jnp.stack([c, s], -1), jnp.stack([-s, c], -1)], axis=-2)
    if flat:
        if set(words) - {"exchange"}:
            raise InputError(f"augment={text}: expected 'exchange' of canvases, or densities")
        return batch
    return batch.replace(turns=turns)


def _diagonal(first: jax.Array, second: jax.Array) -> Float[Array, "batch 2 2"]:
    return jnp.stack([first, second], axis=-1)[:, None] * jnp.eye(2)


def of_batch(batch: Batch) -> Float[Array, "batch size size channels"]:
    """Return the images of a batch with all their channels; what a model calls to see them."""
    assert batch.canvas_features is not None, "`models.check` refuses structures without"
    return parse(batch.images).draw(batch.canvas_features, batch.canvas_size, batch.turns)


def symmetries_of(batch: Batch) -> Float[Array, "8 batch 2 2"]:
    """Return the turns of a batch's images by each of `SYMMETRIES`, on top of its own."""
    own = jnp.eye(2) if batch.turns is None else batch.turns
    own = jnp.broadcast_to(own, (len(batch.positions), 2, 2))
    return jnp.einsum("bij,sjk->sbik", own, SYMMETRIES)
