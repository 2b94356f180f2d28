"""Slater-Koster files: read, refused where damaged, written."""

import dataclasses
import re

import numpy as np
import pytest

from qc_jax.dftb.skf import COLUMNS, Polynomial, Spline, parse, read, to_text
from qc_jax.errors import InputError
from tests.engines.dftbplus import skf

O_O = skf.text("O", "O", "p", "p")
H_O = skf.text("H", "O", "s", "p")


def with_line(number: int, line: str) -> str:
    lines = O_O.splitlines()
    lines[number - 1] = line
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected 2 numbers, got ''"),
        ("<html>", "line 1: expected 2 numbers, got '<html>'"),
        (with_line(1, "0.5 many"), "line 1: expected 2 numbers, got '0.5 many'"),
        (with_line(1, "0.5 1"), "line 1: expected the grid's spacing and number of points"),
        (with_line(2, "0.0 -0.3 -0.9"), "line 2: expected 10 numbers, got '0.0 -0.3 -0.9'"),
        (with_line(7, " 1.0 2.0"), "the integrals cannot be read: .*expected 8 lines of 20"),
        (with_line(7, "x" + " 1.0" * 20), "the integrals cannot be read: .*'x'"),
        (with_line(7, "nan" + " 1.0" * 20), "an empty line or no number among the integrals"),
        (with_line(7, ""), "an empty line or no number among the integrals"),
        (O_O[: O_O.index("Spline") - 300], "the file ends within the integrals"),
        (with_line(1, "0.5 12"), "the integrals cannot be read"),  # runs into the spline
    ],
)
def test_damage(text, message):
    with pytest.raises(InputError, match=rf"^O-O.skf: {message}"):
        parse(text, "O-O.skf", "O", "O")


def test_numbers_are_kept():
    file = parse(O_O, "O-O.skf", "O", "O")
    assert (file.spacing, file.table.shape) == (skf.SPACING, (skf.POINTS - 1, 20))
    words = [float(x) for x in skf.row("p", "p", 3, skf.COLUMNS[False].split())]
    np.testing.assert_allclose(file.table[2], words, rtol=1e-12)
    assert file.atom.energies == {"d": 0.0, "p": -0.5, "s": -1.0}
    assert file.atom.hubbards == {"d": 0.4, "p": 0.4, "s": 0.4}
    assert file.atom.occupations == {"d": 0.0, "p": 0.0, "s": 1.0}
    assert file.shells == {"ss", "sp", "pp"}
    assert COLUMNS[0] == "dd" and len(COLUMNS) == 10


def test_fortran_spelling():
    plain = parse(O_O, "O-O.skf", "O", "O")
    commas = re.sub(r"(?<=[\d.])[ ]+(?=[-\d])", ", ", O_O)
    exponents = re.sub(r"e([-+]\d\d)", r"D\1", O_O)
    assert commas != O_O != exponents
    for text in (commas, exponents, O_O.replace("\n", "\r\n")):
        file = parse(text, "O-O.skf", "O", "O")
        np.testing.assert_array_equal(file.table, plain.table)
        assert file.atom == plain.atom


def test_repulsion():
    spline = parse(H_O, "H-O.skf", "H", "O").repulsion
    assert isinstance(spline, Spline)
    np.testing.assert_array_equal(spline.exponential, [1.0, 2.0, -0.1])
    np.testing.assert_array_equal(spline.starts, [1.0, 2.0])
    np.testing.assert_array_equal(spline.coefficients, [[0.1, -0.1, 0.1, -0.1, 0.0, 0.0]])
    lines = H_O[: H_O.index("Spline")].splitlines()
    lines[1] = "1.0 0.1 0.2 6*0.0 2.5 10*0.0"
    polynomial = parse("\n".join(lines), "H-O.skf", "H", "O").repulsion
    assert isinstance(polynomial, Polynomial) and polynomial.cutoff == 2.5
    np.testing.assert_array_equal(polynomial.coefficients, [0.1, 0.2, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("polynomial", [False, True])
@pytest.mark.parametrize("second", ["H", "O"])
def test_written_as_read(tmp_path, second, polynomial):
    text = skf.text("H", second, "s", "s" if second == "H" else "p")
    file = parse(text, "x", "H", second)
    rng = np.random.default_rng(0)
    file = dataclasses.replace(file, table=rng.normal(size=file.table.shape))
    if polynomial:
        file = dataclasses.replace(file, repulsion=Polynomial(rng.normal(size=8), 3.25))
    (tmp_path / f"H-{second}.skf").write_text(to_text(file))
    again = read(tmp_path, "H", second)
    np.testing.assert_array_equal(again.table, file.table)
    assert (again.atom, again.spacing) == (file.atom, file.spacing)
    for key, value in vars(file.repulsion).items():
        np.testing.assert_array_equal(getattr(again.repulsion, key), value)


@pytest.mark.parametrize(
    ("text", "pair", "message"),
    [
        (O_O, ("S", "S"), r"line 3: the mass 15.999 is another element's; expected 32.06, .* of S"),
        (O_O, ("H", "O"), r"line 2: holds an atom's energies, .* expected the file of H with O"),
        (H_O, ("O", "O"), r"line 2: expected 10 numbers, the energies, Hubbards and occupations"),
        (H_O.replace("1.0 2.0 0.1", "3.0 2.0 0.1"), ("H", "O"), "intervals of the repulsion that"),
        (H_O[:-20], ("H", "O"), r"line 14: expected 8 numbers"),
        (H_O.replace("-0.1\n", "nan\n"), ("H", "O"), r"line 13: expected 3 numbers"),
    ],
)
def test_files_of_others_and_damaged_repulsions(text, pair, message):
    with pytest.raises(InputError, match=f"^x: .*{message}"):
        parse(text, "x", *pair)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"H-O.skf: no such file"):
        read(tmp_path, "H", "O")


def test_f_shells_are_not_written():
    file = parse(skf.text("La", "La", "f", "f", extended=True), "x", "La", "La")
    assert "ff" in file.shells
    with pytest.raises(InputError, match="simple format, without f shells"):
        to_text(file)
