"""Which rows train, validate and test: the published rules, without torch, and two more.

`make_split("by_period", table, ("e_homo_ev",), seed=42)` is what `--config.split=by_period` uses:
the rule over the rows whose targets are all finite, in file order. Each rule is also a function of
its own, `by_period(table, seed, rows)`, where `rows` are ascending indices into the table (all of
them where not given); what comes back indexes the table too.

Every rule but `random` deals out pairs, not rows: a pair that stands in several rows, at several
bond lengths, is in one part with all of them. Of the pairs that are not for testing, int(0.9 n)
train and the rest validate, shuffled from file order by NumPy's RandomState(seed); its state goes
on from what the rule has drawn. The published code shuffles a Python set of strings there, which
has another order in every run: its test sets can be reproduced, its validation sets can't.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping

import numpy as np

from qc_jax.chem.elements import Element, element
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError, choose

_VALIDATION = "; of the pairs left to train on a random 10 % validate"


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Disjoint row indices, int64, and what they are.

    Attributes:
      train: rows to learn from.
      validation: rows that choose the epoch.
      test: rows to score on.
      description: one sentence on how the parts were made.
      unused: rows in none of the parts; `held_out_elements` and `with_fraction` have some. With
        them the split is complete: every row that was split stands in one of the four.

    Raises:
      InputError: a part is empty.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    description: str
    unused: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self):
        if not all(map(len, self.parts().values())):
            sizes = ", ".join(f"{len(rows)} {part}" for part, rows in self.parts().items())
            raise InputError(f"expected rows in every part, got {sizes} ({self.description})")

    def parts(self) -> dict[str, np.ndarray]:
        """Return the row indices by the name of their part, without `unused`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


Rule = Callable[[PairTable, int, np.ndarray | None], Split]


def torch_permutation(n: int, seed: int) -> np.ndarray:
    """Return what `torch.randperm(n, generator=Generator().manual_seed(seed))` gives on a CPU.

    MT19937 seeded with the seed; then for i = 0 … n−2, swap a[i] and a[i + r_i mod (n − i)] with
    r_i the successive 32-bit outputs.

    Args:
      n: length, below 2³² / 20 (PyTorch draws 64-bit numbers above).
      seed: 0 to 2³² − 1.

    Returns:
      [n] int64, a permutation of 0 … n−1.
    """
    draws = _generator(seed).randint(0, 2**32, size=max(n - 1, 0), dtype=np.uint32)
    order = np.arange(n)
    for i, draw in enumerate(draws.tolist()):
        j = i + draw % (n - i)
        order[i], order[j] = order[j], order[i]
    return order


def random_split(n: int, seed: int) -> Split:
    """Split n rows at random as published: int(0.8 n) train, the next int(0.1 n) validate.

    Args:
      n: number of rows, in file order.
      seed: of the permutation; the published ones are 42, 123 and 456.

    Raises:
      InputError: a part would be empty.
    """
    order = torch_permutation(n, seed)
    train, validation = int(0.8 * n), int(0.1 * n)
    return Split(
        train=order[:train],
        validation=order[train : train + validation],
        test=order[train + validation :],
        description=f"of {n} rows a random 80 % train, 10 % validate, 10 % test",
    )


def random(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Apply `random_split` of the rows, whatever their pairs.

    Where pairs stand in several rows, the description says how many test rows are of a pair that
    was trained on.
    """
    rows = _rows(table, rows)
    split = random_split(len(rows), seed)
    parts = {part: rows[indices] for part, indices in split.parts().items()}
    known = np.isin(table.names[parts["test"]], table.names[parts["train"]])
    warning = f"; WARNING: {known.sum()} test rows are of pairs that train at another bond length"
    description = split.description + (warning if known.any() else "")
    return Split(**parts, description=description)


def held_out_pairs(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Test on a random int(0.2 n) of the n pairs.

    Published as out-of-distribution, but where each pair stands in one row it is a random split.
    """
    pairs, generator = _Pairs(table, rows), _generator(seed)
    order = np.arange(len(pairs))
    generator.shuffle(order)
    test = np.isin(np.arange(len(pairs)), order[: int(0.2 * len(pairs))])
    what = (
        "each stands in one row, so this is a random split"
        if len(pairs) == len(pairs.rows)
        else "all rows of a pair are in one part"
    )
    return _split(pairs, generator, test, f"test: a random 20 % of the pairs; {what}")


def by_period(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Test on pairs with an element of period 5 or later."""
    pairs = _Pairs(table, rows)
    test = pairs.of_elements(lambda first, second: max(first.period, second.period) > 4)
    description = "test: pairs with an element of period 5 or later"
    return _split(pairs, _generator(seed), test, description)


def by_type(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Test on pairs with a non-metal; or the others, should those be fewer than a tenth."""
    pairs = _Pairs(table, rows)
    test = pairs.of_elements(lambda first, second: not (first.metal and second.metal))
    return _tenth_or_swapped(pairs, seed, test, "pairs with a non-metal", "pairs of two metals")


def by_electronegativity(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Test on the fifth of the pairs with the largest difference of Pauling electronegativities.

    All but the first int(0.8 n) in ascending order; ties stay in file order. A noble gas without
    an electronegativity (He, Ne, Ar, Rn) counts as 0, as in the published code; any other element
    without one is an error, where that code takes a default.
    """

    def difference(first: Element, second: Element) -> float:
        return abs(_electronegativity(first) - _electronegativity(second))

    pairs = _Pairs(table, rows)
    what = "largest difference of electronegativities"
    return _largest(pairs, seed, pairs.of_elements(difference), what)


def by_bond_distance(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Test on the fifth of the pairs with the longest bonds, each measured in its first row.

    All but the first int(0.8 n) in ascending order; ties stay in file order.
    """
    pairs = _Pairs(table, rows)
    # In float32, so that a table and the TFDS records made from it are split alike.
    lengths = table.columns(("distance_ang",))[pairs.first, 0].astype(np.float32)
    if not np.isfinite(lengths).all():
        name = table.names[pairs.first][np.argmin(np.isfinite(lengths))]
        raise InputError(f"the distance_ang of {name} is not finite")
    return _largest(pairs, seed, lengths, "longest bonds")


def by_period_difference(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Test on pairs of two periods; or the others, should those be fewer than a tenth."""
    pairs = _Pairs(table, rows)
    test = pairs.of_elements(lambda first, second: first.period != second.period)
    return _tenth_or_swapped(pairs, seed, test, "pairs of two periods", "pairs of one period")


def held_out_elements(table: PairTable, seed: int, rows: np.ndarray | None = None) -> Split:
    """Test on pairs of which no element is ever seen in training.

    A random quarter of the elements, int(0.25 n), is held out. Test are the pairs of two of them,
    some 6 % of all; train and validation the pairs of two others, some 56 %. A pair of both kinds
    would show the model a held-out element or test it on a known one: it is in no part, but in
    `unused`. (`by_period` and `by_type` test on such pairs. Whoever wants them here scores on
    `test` and `unused` together: each then has at least one element that training has not.)

    The elements are drawn from their order by atomic number.
    """
    pairs, generator = _Pairs(table, rows), _generator(seed)
    elements = np.unique(pairs.numbers)
    order = generator.permutation(elements)
    held_out = np.sort(order[: int(0.25 * len(elements))])
    count = np.isin(pairs.numbers, held_out).sum(axis=1)
    symbols = " ".join(element(int(number)).symbol for number in held_out)
    description = (
        f"test: pairs of two of the {len(held_out)} held-out elements (of {len(elements)}: "
        f"{symbols}); {len(pairs.rows_of(count == 1))} rows of one of them and another element are "
        "in no part"
    )
    return _split(pairs, generator, count == 2, description, unused=count == 1)


def k_fold(
    table: PairTable, seed: int, rows: np.ndarray | None = None, *, fold: int, folds: int
) -> Split:
    """Cross-validate: each row is in the test part of exactly one of the folds.

    The n pairs, in the order of `torch_permutation(n, seed)`, are cut into `folds` pieces whose
    sizes differ by one at most; piece number `fold` is for testing. Of the others, in the order
    that begins after that piece and goes on from the start, int(0.9 n) train and the rest validate.

    Args:
      table: the data.
      seed: of the permutation; the same for all folds.
      rows: indices into the table.
      fold: 1 to `folds`.
      folds: at least 2.

    Raises:
      InputError: there is no such fold, or it has fewer than 2 rows.
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise InputError(f"expected at least 2 folds and a fold from 1 on, got {fold}/{folds}")
    pairs = _Pairs(table, rows)
    pieces = np.array_split(torch_permutation(len(pairs), seed), folds)
    rest = np.concatenate([*pieces[fold:], *pieces[: fold - 1]])
    test = np.isin(np.arange(len(pairs)), pieces[fold - 1])
    rows_tested = len(pairs.rows_of(test))
    if rows_tested < 2:  # R² of one row is not defined
        raise InputError(
            f"expected folds with at least 2 test rows, got {rows_tested} of {len(pairs)} pairs in "
            f"fold {fold} of {folds}"
        )
    return _dealt(pairs, rest, test, f"test: fold {fold} of {folds} random ones of the pairs")


def with_fraction(split: Split, fraction: float, seed: int) -> Split:
    """Return the split with a part of its training rows; the others are in `unused`.

    The first round(fraction · n), at least one, of a random order of the n training rows: a smaller
    fraction with the same seed has no row that a larger one has not. Validation and test stay.

    Args:
      split: all of it.
      fraction: above 0, at most 1.
      seed: of the order.

    Raises:
      InputError: the fraction is another one.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"train_fraction: expected above 0 and at most 1, got {fraction}")
    if fraction == 1:
        return split
    n = len(split.train)
    order = _generator(seed).permutation(n)
    count = max(1, round(fraction * n))
    return dataclasses.replace(
        split,
        train=split.train[np.sort(order[:count])],
        unused=np.sort(np.concatenate([split.unused, split.train[order[count:]]])),
        description=f"{split.description}; {count} of the {n} training rows are used",
    )


# A rule by the name that `--config.split` has for it; k_fold is asked for as 'k_fold:1/5'.
SPLITS: Mapping[str, Callable[..., Split]] = {
    "random": random,
    "held_out_pairs": held_out_pairs,
    "by_period": by_period,
    "by_type": by_type,
    "by_electronegativity": by_electronegativity,
    "by_bond_distance": by_bond_distance,
    "by_period_difference": by_period_difference,
    "held_out_elements": held_out_elements,
    "k_fold": k_fold,
}


def make_split(
    name: str, table: PairTable, targets: tuple[str, ...], seed: int, some: bool = False
) -> Split:
    """Return the named split of the rows where every target is finite, in file order.

    Args:
      name: one of `SPLITS`; k_fold with its fold, 'k_fold:1/5' to 'k_fold:5/5'.
      table: the data.
      targets: names of the targets. The rows of each alone may be others, and so its split.
      seed: 0 to 2³² − 1.
      some: of the rows where any target is finite instead.

    Returns:
      Indices into the table.

    Raises:
      InputError: a name is unknown, the seed out of range, fewer than 10 rows have finite labels,
        or a part would be empty.
    """
    rule = _rule(name)
    # As the models see them: float32.
    known = np.isfinite(table.columns(targets).astype(np.float32))
    finite = known.any(axis=1) if some else known.all(axis=1)
    if finite.sum() < 10:
        raise InputError(
            f"{finite.sum()} of {len(table)} rows have finite labels for {', '.join(targets)}; "
            "expected at least 10"
        )
    try:
        return rule(table, seed, np.flatnonzero(finite))
    except InputError as error:
        raise InputError(f"split {name}: {error}") from error


def _rule(name: str) -> Rule:
    rule, colon, _ = name.partition(":")
    choose("split", rule, SPLITS)
    if rule == "k_fold":
        match = re.fullmatch(r"k_fold:(\d+)/(\d+)", name)
        if match is None:
            raise InputError(f"split {name!r}: expected k_fold:FOLD/FOLDS, like k_fold:1/5")
        return functools.partial(k_fold, fold=int(match[1]), folds=int(match[2]))
    if colon:
        raise InputError(f"split {name!r}: expected {rule!r}, with nothing behind it")
    return SPLITS[rule]


def _generator(seed: int) -> np.random.RandomState:
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed} is out of range; expected 0 to 2**32 - 1")
    return np.random.RandomState(seed)


def _rows(table: PairTable, rows: np.ndarray | None) -> np.ndarray:
    rows = np.arange(len(table)) if rows is None else rows
    if len(rows) == 0:
        raise InputError("there are no rows to split")
    return rows


class _Pairs:
    """The P distinct pairs of some rows, in file order."""

    def __init__(self, table: PairTable, rows: np.ndarray | None):
        self.rows = _rows(table, rows)  # [N] into the table
        _, first, inverse = np.unique(
            table.names[self.rows], return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        self._of_row = np.argsort(order)[inverse]  # [N], the pair of each row
        self.first = self.rows[first[order]]  # [P] into the table
        self.numbers = table.atomic_numbers[self.first]  # [P, 2]

    def __len__(self) -> int:
        return len(self.first)

    def rows_of(self, wanted: np.ndarray) -> np.ndarray:
        """Return the rows of the pairs where `wanted` [P] is true, in file order."""
        return self.rows[wanted[self._of_row]]

    def of_elements(self, function: Callable[[Element, Element], float]) -> np.ndarray:
        """Return the function of the two elements of each pair, [P]."""
        return np.array([function(element(a), element(b)) for a, b in self.numbers.tolist()])


def _dealt(
    pairs: _Pairs,
    rest: np.ndarray,
    test: np.ndarray,
    description: str,
    unused: np.ndarray | None = None,
) -> Split:
    """Deal out rows: of the pairs `rest`, in order, nine tenths train and the others validate.

    `test` and `unused` are masks [P].
    """
    train = np.zeros(len(pairs), bool)
    train[rest[: int(0.9 * len(rest))]] = True
    unused = np.zeros_like(train) if unused is None else unused
    return Split(
        train=pairs.rows_of(train),
        validation=pairs.rows_of(~(train | test | unused)),
        test=pairs.rows_of(test),
        description=description + _VALIDATION,
        unused=pairs.rows_of(unused),
    )


def _split(
    pairs: _Pairs,
    generator: np.random.RandomState,
    test: np.ndarray,
    description: str,
    unused: np.ndarray | None = None,
) -> Split:
    """Shuffle what is neither test nor unused (masks [P]) from file order, then deal it out."""
    rest = np.flatnonzero(~test if unused is None else ~(test | unused))
    generator.shuffle(rest)
    return _dealt(pairs, rest, test, description, unused)


def _tenth_or_swapped(
    pairs: _Pairs, seed: int, test: np.ndarray, tested: str, trained: str
) -> Split:
    """Swap the two, as published, where fewer than a tenth of the pairs are for testing."""
    description = f"test: {tested}; train and validation: {trained}"
    if 10 * test.sum() < len(pairs):
        test = ~test
        description = (
            f"test: {trained}; train and validation: {tested} (swapped, since those are fewer than "
            "a tenth)"
        )
    return _split(pairs, _generator(seed), test, description)


def _largest(pairs: _Pairs, seed: int, values: np.ndarray, what: str) -> Split:
    """Test on all but the first int(0.8 n) by ascending value, ties in file order."""
    order = np.argsort(values, kind="stable")
    test = np.zeros(len(pairs), bool)
    test[order[int(0.8 * len(pairs)) :]] = True
    return _split(pairs, _generator(seed), test, f"test: the 20 % of the pairs with the {what}")


def _electronegativity(which: Element) -> float:
    if which.electronegativity is not None:
        return which.electronegativity
    if which.group == 18:
        return 0.0
    raise InputError(f"{which.symbol} has no electronegativity on Pauling's scale")
