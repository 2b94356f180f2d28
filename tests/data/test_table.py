"""PairTable: what it accepts, how it is saved, and that a damaged file is one clear error."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from qc_jax.data import files
from qc_jax.data.table import ORBITAL_L, ORBITAL_M, PairTable, open_table
from qc_jax.errors import InputError


@pytest.fixture
def table() -> PairTable:
    """Three made-up rows: the numbers mean nothing, their places are all different."""
    rng = np.random.default_rng(0)
    populations = rng.normal(size=(3, 2, 16))
    return PairTable(
        names=np.array(["Ag_Al", "H_H", "C_O"]),
        atomic_numbers=np.array([[47, 13], [1, 1], [6, 8]], np.int32),
        positions=rng.normal(size=(3, 2, 3)),
        populations=populations,
        charges=9 - populations.sum(axis=2),  # of nine electrons
        dipole=rng.normal(size=(3, 3)),
        targets={"e_g_ev": np.array([0.5, np.nan, 2.0]), "e_homo_ev": np.array([-1.0, -2, -3])},
        provenance={"engine": "none", "left_out": {"He_He": "no minimum"}},
    )


@pytest.fixture
def saved(table, tmp_path):
    path = tmp_path / "table.npz"
    table.save(path)
    return path


def rewrite(path, **changes):
    """The saved file with arrays replaced, or dropped where the value is None."""
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


ARRAYS = ("names", "atomic_numbers", "positions", "populations", "charges", "dipole")


def test_orbitals_are_all_l_and_m_up_to_f():
    expected = [(shell, m) for shell in range(4) for m in range(-shell, shell + 1)]
    assert list(zip(ORBITAL_L, ORBITAL_M, strict=True)) == expected


def test_save_and_load_give_every_field_back(table, saved):
    loaded = PairTable.load(saved)
    for field in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, field), getattr(table, field))
        assert getattr(loaded, field).dtype == getattr(table, field).dtype
    assert loaded.targets.keys() == table.targets.keys()
    for name, column in table.targets.items():
        np.testing.assert_array_equal(loaded.targets[name], column)
    assert loaded.provenance == table.provenance
    assert loaded.fingerprint() == table.fingerprint()


def test_the_same_table_gives_the_same_bytes(table, saved, tmp_path):
    turned = dataclasses.replace(
        table,
        targets=dict(reversed(table.targets.items())),
        provenance=dict(reversed(table.provenance.items())),
    )
    again = tmp_path / "again.npz"
    turned.save(again)
    assert again.read_bytes() == saved.read_bytes()


def test_saving_leaves_no_partial_file(saved):
    assert [path.name for path in saved.parent.iterdir()] == ["table.npz"]


def test_a_place_that_cannot_be_written_is_named(table, tmp_path):
    with pytest.raises(InputError, match=r"nowhere/table\.npz.*cannot be written"):
        table.save(tmp_path / "nowhere" / "table.npz")


def test_there_are_no_pickles_in_the_file(saved):
    with np.load(saved, allow_pickle=False) as file:
        assert all(file[key].dtype != object for key in file.files)


@pytest.mark.parametrize("field", [*ARRAYS, "target", "target name", "left out row"])
def test_fingerprint_changes_with_each_field(table, field):
    if field == "names":  # the only change of a name that its atoms allow is their own change
        numbers = table.atomic_numbers.copy()
        numbers[2] = 6, 9
        other = dataclasses.replace(
            table, names=np.array(["Ag_Al", "H_H", "C_F"]), atomic_numbers=numbers
        )
    elif field == "atomic_numbers":
        other = dataclasses.replace(table, atomic_numbers=table.atomic_numbers.astype(np.int64))
    elif field == "target":
        other = dataclasses.replace(table, targets=table.targets | {"e_g_ev": np.zeros(3)})
    elif field == "target name":
        column = table.targets["e_g_ev"]
        rest = {"e_homo_ev": table.targets["e_homo_ev"]}
        other = dataclasses.replace(table, targets=rest | {"a_ev": column})
    elif field == "left out row":
        other = table.take(np.array([0, 1]))
    else:
        changed = getattr(table, field).copy()
        changed[-1, ..., -1] += 1e-9
        other = dataclasses.replace(table, **{field: changed})
    assert other.fingerprint() != table.fingerprint()


def test_fingerprint_does_not_depend_on_where_the_table_came_from(table):
    other = dataclasses.replace(table, provenance={}, targets=dict(reversed(table.targets.items())))
    assert other.fingerprint() == table.fingerprint()


def test_take_rows_in_their_order(table):
    for rows, names in [
        (np.array([2, 0]), ["C_O", "Ag_Al"]),
        (np.array([True, False, True]), ["Ag_Al", "C_O"]),
        (np.array([], int), []),
    ]:
        taken = dataclasses.replace(table, opened_as="ptbp").take(rows)
        assert list(taken.names) == names and taken.opened_as == ""  # which opens all rows
        np.testing.assert_array_equal(taken.charges, table.charges[rows])
        np.testing.assert_array_equal(taken.targets["e_homo_ev"], table.targets["e_homo_ev"][rows])


def test_row_of_a_pair_and_why_one_is_missing(table):
    assert table.row("C_O") == 2
    with pytest.raises(InputError, match="'He_He' was left out of the table: no minimum"):
        table.row("He_He")
    with pytest.raises(InputError, match="'Au_Au' is not in the table of 3 pairs"):
        table.row("Au_Au")


def test_columns_in_the_order_asked(table):
    columns = table.columns(("e_homo_ev", "e_g_ev"))
    np.testing.assert_array_equal(columns, [[-1, 0.5], [-2, np.nan], [-3, 2]])
    with pytest.raises(InputError, match="unknown target 'e_hommo_ev'; choose one of: a_ev,"):
        table.columns(("e_hommo_ev",))
    with pytest.raises(InputError, match="'a_ev'; choose one of: e_g_ev, e_homo_ev"):
        table.columns(("a_ev",))


@pytest.mark.parametrize("field", ["atomic_numbers", "positions", "populations", "charges"])
def test_wrong_shape_names_field_and_both_shapes(table, field):
    wrong = getattr(table, field)[:, :1]
    with pytest.raises(InputError, match=rf"{field}: expected shape \(3, 2.*got \(3, 1"):
        dataclasses.replace(table, **{field: wrong})


def test_wrong_shape_of_dipole_and_targets(table):
    with pytest.raises(InputError, match=r"dipole: expected shape \(3, 3\), got \(2, 3\)"):
        dataclasses.replace(table, dipole=table.dipole[:2])
    with pytest.raises(InputError, match=r"targets\['a_ev'\]: expected shape \(3,\), got \(2,\)"):
        dataclasses.replace(table, targets={"a_ev": np.zeros(2)})


@pytest.mark.parametrize("name", ["Al_Ag", "Ag_Ag", "nonsense", ""])
def test_a_name_that_does_not_fit_its_atoms(table, name):
    names = np.array([name, "H_H", "C_O"])
    with pytest.raises(InputError, match=f"row 0: name '{name}'.*expected 'Ag_Al'"):
        dataclasses.replace(table, names=names)


def test_atoms_that_are_not_in_alphabetical_order(table):
    swapped = table.atomic_numbers[:, ::-1]
    with pytest.raises(InputError, match="row 0: name 'Ag_Al' does not fit its atoms Al_Ag"):
        dataclasses.replace(table, atomic_numbers=swapped)


@pytest.mark.parametrize("field", ["positions", "charges", "dipole"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_names_its_row(table, field, value):
    broken = getattr(table, field).copy()
    broken[1, ..., 0] = value
    with pytest.raises(InputError, match=rf"{field}: row 1 \(H_H\) is not finite"):
        dataclasses.replace(table, **{field: broken})


def test_atoms_at_one_place_are_refused(table):
    positions = table.positions.copy()
    positions[2, 1] = positions[2, 0]
    with pytest.raises(InputError, match=r"positions: row 2 \(\w+\) has both atoms at one place"):
        dataclasses.replace(table, positions=positions)


def test_populations_that_contradict_the_charges(small_table, tmp_path):
    for factor in (-1, 0.5):
        wrong = dataclasses.replace(small_table, populations=factor * small_table.populations)
        wrong.save(tmp_path / "some.npz")
        with pytest.raises(
            InputError, match=r"populations: row \d+ .* contradicts the atoms' charges"
        ):
            PairTable.load(tmp_path / "some.npz")


def test_reasons_that_are_none(table):
    for wrong in ({"left_out": ["H_H"]}, {"disagreements": {"H_H": 3}}):
        (key,) = wrong
        with pytest.raises(InputError, match=rf"provenance\['{key}'\]: expected reasons"):
            dataclasses.replace(table, provenance={**table.provenance, **wrong})


def test_arrays_that_are_not_known_are_told(table, tmp_path):
    table.save(tmp_path / "some.npz")
    arrays = files.read_npz(tmp_path / "some.npz", "a table")
    files.write_npz(
        tmp_path / "some.npz",
        arrays | {"target/e_nothing": arrays["target/e_g_ev"], "x": np.zeros(1)},
    )
    with pytest.warns(UserWarning, match="2 arrays are none that are known: target/e_nothing, x$"):
        PairTable.load(tmp_path / "some.npz")


def test_labels_that_contradict_what_they_follow_from(small_table, tmp_path):
    small_table.save(tmp_path / "some.npz")
    PairTable.load(tmp_path / "some.npz")
    for name, change in {"distance_ang": 0.1, "e_g_ev": 1.0, "q_maxabs": 0.5}.items():
        column = small_table.targets[name].copy()
        column[3] += change
        changed = dataclasses.replace(small_table, targets={**small_table.targets, name: column})
        changed.save(tmp_path / "some.npz")
        said = rf"targets\['{name}'\]: row 3 \({small_table.names[3]}\) is .* gives"
        with pytest.raises(InputError, match=said):
            PairTable.load(tmp_path / "some.npz")
        told = {**changed.provenance, "disagreements": {str(small_table.names[3]): ["told"]}}
        dataclasses.replace(changed, provenance=told).save(tmp_path / "some.npz")
        PairTable.load(tmp_path / "some.npz")


def test_unknown_populations_are_allowed(table):
    unknown = dataclasses.replace(table, populations=np.full((3, 2, 16), np.nan))
    assert np.isnan(unknown.populations).all()


def test_every_cut_of_a_file_is_one_clear_error(saved, tmp_path):
    whole = saved.read_bytes()
    cut = tmp_path / "cut.npz"
    # Every length near both ends, and a sample between: headers, data, and the zip's directory.
    lengths = {*range(0, 80), *range(80, len(whole) - 80, 37), *range(len(whole) - 80, len(whole))}
    for length in sorted(lengths):
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.npz"):
            PairTable.load(cut)


def test_no_damaged_byte_is_read_as_something_else(table, saved, tmp_path):
    whole = saved.read_bytes()
    damaged = tmp_path / "damaged.npz"
    reference = table.fingerprint()
    for position in range(0, len(whole), 7):
        damaged.write_bytes(
            whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        )
        try:
            loaded = PairTable.load(damaged)
        except InputError as error:
            assert "damaged.npz" in str(error) and "\n" not in str(error)
        else:  # a byte that means nothing, such as a date
            assert loaded.fingerprint() == reference


def test_files_that_are_something_else(tmp_path, table):
    path = tmp_path / "other.npz"
    for content in (b"", b"hello\n" * 100, b"\x00" * 1000, b"PK\x03\x04", b"\x93NUMPY\x01\x00"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"other\.npz: not a PairTable"):
            PairTable.load(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(InputError, match=r"not a PairTable: without names, atomic_numbers"):
        PairTable.load(path)
    with zipfile.ZipFile(path, "w") as file:
        for key in (*ARRAYS, "provenance"):
            file.writestr(key, "text")
    with pytest.raises(InputError, match=r"other\.npz: not a PairTable"):
        PairTable.load(path)


def test_a_single_array_is_not_a_table(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    path = tmp_path / "array.npz"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match=r"expected a PairTable, got one array"):
        PairTable.load(path)


class Trap:
    """Unpickling this would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_is_refused_and_not_run(saved, tmp_path):
    trace = tmp_path / "trace"
    rewrite(saved, charges=np.array([Trap(str(trace))], dtype=object))
    with pytest.raises(InputError, match=r"table\.npz: not a PairTable"):
        PairTable.load(saved)
    assert not trace.exists()


@pytest.mark.parametrize("key", [*ARRAYS, "provenance"])
def test_a_missing_key_is_named(saved, key):
    rewrite(saved, **{key: None})
    with pytest.raises(InputError, match=f"without {key}$"):
        PairTable.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": np.array("not json")},
        {"provenance": np.array("[1, 2]")},
        {"provenance": np.array(3)},
        {"names": np.array("Ag_Al")},
        {"names": np.array([1, 2, 3])},
        {"names": np.array([["Ag_Al", "H_H", "C_O"]])},
        {"charges": np.array([["a", "b"]] * 3)},
        {"populations": np.full((3, 2, 16), "x")},
        {"target/a_ev": np.array(["a", "b", "c"])},
        {"atomic_numbers": np.array([[47.5, 13], [1, 1], [6, 8]])},
        {"atomic_numbers": np.full((3, 2), np.nan)},
        {"atomic_numbers": np.full((3, 2), 119)},
        {"positions": np.zeros((3, 2, 3), complex)},
    ],
    ids=lambda change: "-".join(f"{key}={value.dtype}" for key, value in change.items()),
)
def test_a_field_of_another_kind_is_an_error(saved, change):
    rewrite(saved, **change)
    with pytest.raises(InputError, match=r"table\.npz: not a PairTable") as caught:
        PairTable.load(saved)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        PairTable.load(tmp_path / "none.npz")
    with pytest.raises(InputError, match="expected a file, got a directory"):
        PairTable.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/table\.npz"):
        PairTable.load(tmp_path / "file" / "table.npz")


def test_open_table_by_path_and_unknown_name(saved, table):
    assert open_table(str(saved)).fingerprint() == table.fingerprint()
    with pytest.raises(
        InputError, match="'gfn3_xtb'; choose one of: ptbp, gfn2_xtb, ptbp_exact, or a path to an "
    ):
        open_table("gfn3_xtb")


def test_the_shipped_table(small_table):
    """What every row of the small table promises: pairs along z, charges that add up to none."""
    assert len(small_table) >= 20
    separation = small_table.positions[:, 1] - small_table.positions[:, 0]
    assert (separation[:, 2] > 0.3).all()
    np.testing.assert_allclose(separation[:, :2], 0, atol=1e-9)
    np.testing.assert_allclose(small_table.charges.sum(axis=1), 0, atol=1e-4)
    metallic = small_table.targets["e_g_ev"] == 0
    assert metallic.any() and not metallic.all()
    for name, column in small_table.targets.items():
        divided = name in ("softness_evinv", "electrophilicity_ev")
        np.testing.assert_array_equal(np.isnan(column), metallic & divided, err_msg=name)


@pytest.fixture
def full(table) -> PairTable:
    """The table with everything that one may hold besides."""
    rng = np.random.default_rng(1)
    return dataclasses.replace(
        table,
        forces=rng.normal(size=(3, 2, 3)),
        canvases=rng.normal(size=(3, 32, 32, 10)).astype(np.float32),
        extras={"n_levels": np.array([5.0, np.nan, 9.0]), "guess": np.array(["a", "", "c"])},
    )


def test_what_is_optional_is_saved_and_taken_along(full, table, tmp_path):
    path = tmp_path / "full.npz"
    full.save(path)
    for loaded, rows in ((PairTable.load(path), [0, 1, 2]), (full.take(np.array([2, 0])), [2, 0])):
        np.testing.assert_array_equal(loaded.forces, full.forces[rows])
        np.testing.assert_array_equal(loaded.canvases, full.canvases[rows])
        assert loaded.extras.keys() == full.extras.keys()
        for name, column in full.extras.items():
            np.testing.assert_array_equal(loaded.extras[name], column[rows])
    assert PairTable.load(path).fingerprint() == full.fingerprint()
    table.save(path)
    bare = PairTable.load(path)
    assert (bare.forces, bare.canvases, bare.extras) == (None, None, {})


def test_fingerprint_does_not_depend_on_how_wide_a_text_could_be(full):
    wide = full.extras | {"guess": full.extras["guess"].astype("U9")}
    assert dataclasses.replace(full, extras=wide).fingerprint() == full.fingerprint()


@pytest.mark.parametrize("field", ["forces", "canvases", "extras"])
def test_fingerprint_changes_with_what_is_optional(full, table, field):
    without = dataclasses.replace(full, **{field: getattr(table, field)})
    changed = full.extras | {"n_levels": np.zeros(3)} if field == "extras" else None
    changed = getattr(full, field) + 1 if changed is None else changed
    other = dataclasses.replace(full, **{field: changed})
    assert len({full.fingerprint(), without.fingerprint(), other.fingerprint()}) == 3


def test_what_is_optional_has_its_shape_and_kind(table):
    with pytest.raises(InputError, match=r"forces: expected shape \(3, 2, 3\), got \(3, 2\)"):
        dataclasses.replace(table, forces=np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"forces: row 1 \(H_H\) is not finite"):
        forces = np.zeros((3, 2, 3))
        forces[1] = np.nan
        dataclasses.replace(table, forces=forces)
    with pytest.raises(InputError, match=r"canvases: expected shape \(3, 32, 32, 10\)"):
        dataclasses.replace(table, canvases=np.zeros((3, 10, 32, 32)))
    with pytest.raises(InputError, match=r"extras\['x'\]: expected numbers or text, got .* object"):
        dataclasses.replace(table, extras={"x": np.array([1, "a", None], dtype=object)})


def test_a_pair_at_several_distances_is_not_one_row(table):
    with pytest.raises(InputError, match="pair 'H_H' stands in 2 rows"):
        table.take(np.array([1, 1])).row("H_H")


def test_a_class_is_a_column_that_follows_or_is_that_of_the_file(small_table):
    gap = small_table.targets["e_g_ev"]
    (column,) = small_table.columns(("metal_like",)).T
    np.testing.assert_array_equal(column, gap == 0)
    told = np.arange(len(small_table)) % 2
    other = dataclasses.replace(small_table, extras={"metal_like": told})
    np.testing.assert_array_equal(other.columns(("metal_like", "e_g_ev"))[:, 0], told)
    fewer = {name: values for name, values in small_table.targets.items() if name != "e_g_ev"}
    with pytest.raises(InputError, match="unknown target of this table 'metal_like'"):
        dataclasses.replace(small_table, targets=fewer).columns(("metal_like",))
