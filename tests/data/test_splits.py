"""Splits: the random one against torch, the others against rules written down once more here."""

import dataclasses
import pathlib

import numpy as np
import pytest

from qc_jax.chem.elements import element
from qc_jax.data import splits
from qc_jax.data.splits import make_split, random_split, torch_permutation
from qc_jax.data.table import PairTable, open_table
from qc_jax.errors import InputError

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "torch_permutations.npz"
with np.load(FIXTURE) as file:
    RECORDED = {key: file[key] for key in file.files if key != "torch"}
NAMES = [*(name for name in splits.SPLITS if name != "k_fold"), "k_fold:2/3"]
BY_PAIR = [name for name in NAMES if name != "random"]
SEEDS = (42, 123, 456)


@pytest.mark.parametrize("key", RECORDED)
def test_permutation_is_what_torch_gave(key):
    n, seed = map(int, key.split("_"))
    np.testing.assert_array_equal(torch_permutation(n, seed), RECORDED[key])


def test_fixture_holds_the_published_lengths_and_seeds():
    lengths = (10, 2701, 2840, 2850)
    assert set(RECORDED) == {f"{n}_{seed}" for n in lengths for seed in SEEDS}


def test_permutation_is_what_torch_gives():
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    for n in (0, 1, 2, 3, 625, 70_000):  # MT19937 makes its numbers 624 at a time
        for seed in (0, 1, 42, 2**31, 2**32 - 1):
            expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()
            np.testing.assert_array_equal(torch_permutation(n, seed), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_split_of_2840_rows_is_that_of_torch(seed):
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    order = torch.randperm(2840, generator=torch.Generator().manual_seed(seed)).numpy()
    split = random_split(2840, seed)
    np.testing.assert_array_equal(split.train, order[:2272])
    np.testing.assert_array_equal(split.validation, order[2272:2556])
    np.testing.assert_array_equal(split.test, order[2556:])


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_permutation_has_every_row_once(n):
    order = torch_permutation(n, 7)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("seed", [-1, 2**32])
@pytest.mark.parametrize("name", NAMES)
def test_seed_out_of_range(table, name, seed):
    with pytest.raises(InputError, match=f"split {name}: seed {seed} is out of range"):
        make_split(name, table, ("e_homo_ev",), seed)


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (10, (8, 1, 1)),
        (2701, (2160, 270, 271)),
        (2840, (2272, 284, 284)),
        (2850, (2280, 285, 285)),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_split_is_the_published_rule(n, sizes, seed):
    split = random_split(n, seed)
    parts = list(split.parts().values())
    assert tuple(map(len, parts)) == sizes
    # First 80 % of torch's order, the next 10 %, the rest.
    np.testing.assert_array_equal(np.concatenate(parts), RECORDED[f"{n}_{seed}"])


def test_too_few_rows():
    with pytest.raises(InputError, match="every part, got 7 train, 0 validation, 2 test"):
        random_split(9, 42)


def made_of(names: list[str], distances=None) -> PairTable:
    """A table of these pairs; all but names and bond lengths is nothing."""
    n = len(names)
    distances = np.ones(n) if distances is None else np.asarray(distances, float)
    return PairTable(
        names=np.array(names),
        atomic_numbers=np.array(
            [[element(symbol).atomic_number for symbol in name.split("_")] for name in names]
        ),
        positions=np.tile([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], (n, 1, 1)),
        populations=np.zeros((n, 2, 16)),
        charges=np.zeros((n, 2)),
        dipole=np.zeros((n, 3)),
        targets={"distance_ang": distances, "e_homo_ev": np.arange(n, dtype=float)},
        provenance={},
    )


@pytest.fixture(scope="module")
def table() -> PairTable:
    """The shipped one in another file order, which is not alphabetical."""
    shipped = open_table("gfn2_xtb")
    return shipped.take(np.random.default_rng(0).permutation(len(shipped)))


@pytest.fixture(scope="module")
def scan() -> PairTable:
    """60 pairs in three rows each, the first rows of all before the second ones."""
    shipped = open_table("gfn2_xtb")
    pairs = shipped.take(np.linspace(0, len(shipped) - 1, 60).astype(int))
    lengths = pairs.targets["distance_ang"]
    return made_of([*pairs.names] * 3, [*lengths, *(9 - lengths), *(2 * lengths)])


# The published rules once more, in lists of names; electronegativities are held by test_elements.
METALS = """
Li Be Na Mg Al K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn
Cs Ba La Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po
"""
PUBLISHED = [name for name in BY_PAIR if name.startswith("by_")] + ["held_out_pairs"]
ALONE = [f"{metal}_{metal}" for metal in METALS.split()]  # pairs of one element each


def period(symbol):
    return 1 + sum(element(symbol).atomic_number > last for last in (2, 10, 18, 36, 54, 86))


def published(rule, names, lengths, seed):
    """Names of the train, validation and test pairs; every name stands once."""
    rng = np.random.RandomState(seed)
    n = len(names)
    atoms = {name: name.split("_") for name in names}
    if rule == "held_out_pairs":
        shuffled = list(names)
        rng.shuffle(shuffled)
        test = shuffled[: int(0.2 * n)]
    elif rule == "by_period":
        test = [x for x in names if max(map(period, atoms[x])) > 4]
    elif rule == "by_type":
        test = [x for x in names if not set(atoms[x]) <= set(METALS.split())]
    elif rule == "by_period_difference":
        test = [x for x in names if len(set(map(period, atoms[x]))) == 2]
    else:

        def value(name):
            if rule == "by_bond_distance":
                return lengths[names.index(name)]
            first, second = (element(symbol).electronegativity or 0 for symbol in atoms[name])
            return abs(first - second)

        test = sorted(names, key=value)[int(0.8 * n) :]
    if rule in ("by_type", "by_period_difference") and len(test) < 0.1 * n:
        test = sorted(set(names) - set(test))
    rest = [x for x in names if x not in set(test)]
    rng.shuffle(rest)
    cut = int(0.9 * len(rest))
    return rest[:cut], rest[cut:], test


@pytest.mark.parametrize("target", ["e_homo_ev", "softness_evinv"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_parts_are_those_of_the_published_rules(table, name, seed, target):
    rows = np.flatnonzero(np.isfinite(table.targets[target]))
    names, lengths = table.names[rows].tolist(), table.targets["distance_ang"][rows]
    expected = published(name, names, lengths.astype(np.float32).tolist(), seed)
    split = make_split(name, table, (target,), seed)
    for got, wanted in zip(split.parts().values(), expected, strict=True):
        assert sorted(table.names[got]) == sorted(wanted)


def test_published_rules_on_pairs_worked_out_by_hand():
    lengths = {
        **{"Ag_Al": 2.5, "Al_Al": 2.7, "C_O": 1.1, "F_He": 2.0, "Cl_Li": 2.4, "H_H": 0.7},
        **{"Cs_F": 2.3, "He_He": 3.0, "Cu_Zn": 2.4, "Kr_Kr": 4.0, "Pb_Sn": 2.9, "H_O": 1.0},
    }
    table = made_of(list(lengths), list(lengths.values()))

    def tested(rule):
        return set(table.names[rule(table, 42).test])

    assert tested(splits.by_period) == {"Ag_Al", "Cs_F", "Pb_Sn"}
    assert tested(splits.by_type) == set(lengths) - {"Ag_Al", "Al_Al", "Cu_Zn", "Pb_Sn"}
    assert tested(splits.by_period_difference) == {
        *("Ag_Al", "F_He", "Cl_Li", "Cs_F", "Pb_Sn", "H_O")
    }
    # int(0.8 · 12) = 9 for training. Differences: F_He 3.98, since He counts as 0; Cs_F 3.98 − 0.79
    # = 3.19; Cl_Li 3.16 − 0.98 = 2.18; the next is H_O 1.24.
    assert tested(splits.by_electronegativity) == {"F_He", "Cs_F", "Cl_Li"}
    assert tested(splits.by_bond_distance) == {"He_He", "Kr_Kr", "Pb_Sn"}


def test_ties_stay_in_file_order():
    for rule in (splits.by_electronegativity, splits.by_bond_distance):
        assert rule(made_of(ALONE), 1).test.tolist() == list(range(39, 49))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", ["table", "scan"])
def test_disjoint_and_complete(request, data, name, seed):
    table = request.getfixturevalue(data)
    target = "softness_evinv" if data == "table" else "e_homo_ev"
    split = make_split(name, table, (target,), seed)
    parts = [*split.parts().values(), split.unused]
    assert all(part.dtype == np.int64 for part in parts)
    finite = np.flatnonzero(np.isfinite(table.targets[target]))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), finite)
    assert (len(split.unused) > 0) == (name == "held_out_elements")
    again = make_split(name, table, (target,), seed)
    for part, rows in split.parts().items():
        np.testing.assert_array_equal(again.parts()[part], rows)


@pytest.mark.parametrize("name", BY_PAIR)
def test_rows_of_a_pair_stay_together(scan, name):
    split = make_split(name, scan, ("e_homo_ev",), 42)
    parts = [set(scan.names[rows]) for rows in (*split.parts().values(), split.unused)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 60


def test_random_split_warns_of_pairs_on_both_sides(scan, table):
    once = make_split("random", table, ("e_homo_ev",), 42)
    assert once.description == "of 2671 rows a random 80 % train, 10 % validate, 10 % test"
    split = make_split("random", scan, ("e_homo_ev",), 42)
    np.testing.assert_array_equal(split.train, random_split(180, 42).train)
    trained = set(scan.names[split.train])
    both = sum(name in trained for name in scan.names[split.test])
    assert f"WARNING: {both} test rows are of pairs that train" in split.description and both > 0


def test_held_out_pairs_says_that_it_is_random_where_it_is(scan, table):
    words = "so this is a random split"
    assert words in splits.held_out_pairs(table, 42).description
    assert words not in splits.held_out_pairs(scan, 42).description


def test_random_split_is_drawn_over_the_finite_rows_in_file_order(table):
    labels = np.full(len(table), np.nan)
    rows = np.sort(np.random.default_rng(1).permutation(len(table))[:10])
    labels[rows] = 1.0
    table = dataclasses.replace(table, targets={**table.targets, "e_g_ev": labels})
    split = make_split("random", table, ("e_g_ev", "e_homo_ev"), 123)
    got = np.concatenate(list(split.parts().values()))
    np.testing.assert_array_equal(got, rows[RECORDED["10_123"]])


def test_bond_length_of_a_pair_is_that_of_its_first_row():
    table = made_of([*ALONE[:10], *ALONE[:10]], [*range(1, 11), *range(20, 10, -1)])
    assert splits.by_bond_distance(table, 42).test.tolist() == [8, 9, 18, 19]


@pytest.mark.parametrize("seed", SEEDS)
def test_held_out_elements_are_never_trained_on(table, seed):
    split = make_split("held_out_elements", table, ("e_homo_ev",), seed)
    trained = np.concatenate([split.train, split.validation])
    known = np.unique(table.atomic_numbers[trained])
    held_out = np.setdiff1d(np.unique(table.atomic_numbers), known)
    assert len(held_out) == int(0.25 * 73)
    assert set(held_out) >= set(np.unique(table.atomic_numbers[split.test]))
    assert (np.isin(table.atomic_numbers[split.unused], held_out).sum(axis=1) == 1).all()
    assert 140 < len(split.test) <= 171 and len(split.train) > 1300
    symbols = " ".join(element(z).symbol for z in held_out)
    assert symbols in split.description
    assert f"{len(split.unused)} rows of one of them" in split.description


def test_held_out_elements_are_drawn_by_the_seed(table):
    drawn = {splits.held_out_elements(table, seed).description for seed in SEEDS}
    assert len(drawn) == 3


@pytest.mark.parametrize("data", ["table", "scan"])
def test_folds_share_the_rows_out(request, data):
    table = request.getfixturevalue(data)
    folds = [make_split(f"k_fold:{i}/7", table, ("e_homo_ev",), 42) for i in range(1, 8)]
    tested = np.concatenate([split.test for split in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(table)))
    # Nor do all folds choose their epoch by the same rows.
    validated = np.concatenate([split.validation for split in folds])
    assert len(np.unique(validated)) > 0.9 * len(validated)
    pairs = [len(np.unique(table.names[split.test])) for split in folds]
    assert max(pairs) - min(pairs) <= 1


def test_first_fold_is_the_first_piece_of_the_permutation():
    split = splits.k_fold(made_of(ALONE[:10]), 42, fold=1, folds=3)
    order = RECORDED["10_42"]
    assert split.test.tolist() == sorted(order[:4])
    assert split.train.tolist() == sorted(order[4:9])
    assert split.validation.tolist() == [order[9]]


def test_the_parts_are_swapped_where_few_pairs_would_be_tested():
    table = made_of([*ALONE[:19], "C_O", "H_H"])
    split = make_split("by_type", table, ("e_homo_ev",), 42)
    assert "test: pairs of two metals" in split.description and "swapped" in split.description
    assert split.test.tolist() == list(range(19))
    table = made_of([*ALONE[:18], "C_O", "H_H"])  # exactly a tenth is enough
    split = make_split("by_type", table, ("e_homo_ev",), 42)
    assert "swapped" not in split.description
    assert split.test.tolist() == [18, 19]


# Of one pair that is left, int(0.9) trains. Pairs of different elements hold out none whole.
@pytest.mark.parametrize(
    ("names", "name", "sizes"),
    [
        (ALONE[:14], "by_type", "0 train, 0 validation, 14 test"),
        ([*ALONE[:14], "C_O"], "by_type", "0 train, 1 validation, 14 test"),
        (ALONE[:18], "by_period", "16 train, 2 validation, 0 test"),
        (
            ["C_F", "C_H", "C_N", "C_O", "F_H", "F_N", "F_O", "H_N", "H_O", "N_O"],
            "held_out_elements",
            "5 train, 1 validation, 0 test",
        ),
    ],
)
def test_empty_parts_are_an_error(names, name, sizes):
    with pytest.raises(InputError, match=f"split {name}: expected rows in every part, got {sizes}"):
        make_split(name, made_of(names), ("e_homo_ev",), 42)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("by_perid", "unknown split 'by_perid'; choose one of: by_bond_distance, .*, k_fold, rand"),
        ("", "unknown split ''"),
        ("by_period:3", "split 'by_period:3': expected 'by_period', with nothing behind it"),
        ("k_fold", "split 'k_fold': expected k_fold:FOLD/FOLDS, like k_fold:1/5"),
        ("k_fold:1", "expected k_fold:FOLD/FOLDS"),
        ("k_fold:0/5", "split k_fold:0/5: expected at least 2 folds and a fold from 1 on, got 0/5"),
        ("k_fold:6/5", "got 6/5"),
        ("k_fold:1/1", "got 1/1"),
        ("k_fold:5000/5000", "expected folds with at least 2 test rows, got 0 of"),
        ("k_fold:1/100000", "expected folds with at least 2 test rows, got 1 of"),
    ],
)
def test_wrong_names(table, name, words):
    with pytest.raises(InputError, match=words):
        make_split(name, table, ("e_homo_ev",), 42)


def test_rows_that_cannot_be_split(table):
    with pytest.raises(InputError, match="9 of 9 rows have finite labels for e_homo_ev; expected"):
        make_split("by_period", table.take(np.arange(9)), ("e_homo_ev",), 42)
    nothing = dataclasses.replace(table, targets={"e_homo_ev": np.full(len(table), np.nan)})
    with pytest.raises(InputError, match="0 of 2671 rows have finite labels"):
        make_split("random", nothing, ("e_homo_ev",), 42)
    with pytest.raises(InputError, match="there are no rows to split"):
        splits.by_period(table, 42, np.arange(0))


def test_an_element_without_electronegativity_is_no_zero():
    table = made_of(["Eu_Eu", *ALONE])
    with pytest.raises(InputError, match="split by_electronegativity: Eu has no electronegativity"):
        make_split("by_electronegativity", table, ("e_homo_ev",), 42)


def test_bond_lengths_must_be_known():
    table = made_of(ALONE[:18], [1.0] * 16 + [np.nan, 1.0])
    with pytest.raises(InputError, match="split by_bond_distance: the distance_ang of Zn_Zn is"):
        make_split("by_bond_distance", table, ("e_homo_ev",), 42)


def test_parts_of_the_training_rows_are_nested(table):
    whole = make_split("held_out_elements", table, ("e_homo_ev",), 7)
    before: set[int] = set()
    for fraction in (0.1, 0.35, 1.0):
        part = splits.with_fraction(whole, fraction, 7)
        train = set(part.train.tolist())
        assert len(train) == round(fraction * len(whole.train)) and before < train
        assert (np.diff(part.train) > 0).all()
        np.testing.assert_array_equal(part.validation, whole.validation)
        np.testing.assert_array_equal(part.test, whole.test)
        rest = np.setdiff1d(np.concatenate([whole.train, whole.unused]), part.train)
        np.testing.assert_array_equal(part.unused, rest)
        before = train
    half = splits.with_fraction(whole, 0.5, 7)
    assert f"{len(half.train)} of the {len(whole.train)} training rows are used" in half.description
    assert set(half.train) != set(splits.with_fraction(whole, 0.5, 8).train)
    for wrong in (0, -1.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="train_fraction: expected above 0 and at most 1"):
            splits.with_fraction(whole, wrong, 7)
