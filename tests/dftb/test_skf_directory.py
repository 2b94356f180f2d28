"""Directories of Slater-Koster files: shells read off, gaps and damage told."""

import pytest
from ase.calculators.dftb import read_max_angular_momentum

from qc_jax.dftb.skf import LETTERS
from qc_jax.dftb.skf_directory import open_set, symbols_in
from qc_jax.errors import InputError
from tests.engines.dftbplus import skf


@pytest.fixture
def files(tmp_path):
    return skf.write(tmp_path / "set", {"H": "s", "La": "f", "O": "p", "S": "d"})


def test_shells_are_read_off(files):
    found = open_set(str(files))
    assert found.angular_momenta == {"H": "s", "La": "f", "O": "p", "S": "d"}
    assert found.files == 16
    assert symbols_in(str(files)) == ("H", "La", "O", "S")


@pytest.mark.parametrize("letter", LETTERS)
def test_occupied_shells_as_ase_finds_them(tmp_path, letter):
    text = skf.text("Fe", "Fe", letter, letter, extended=letter == "f")
    shells = 4 if letter == "f" else 3
    lines = text.splitlines()
    at = int(letter == "f") + 1
    electrons = ["0.0"] * shells
    electrons[shells - 1 - LETTERS.index(letter)] = "2.0"
    lines[at] = lines[at].rsplit(",", 1)[0] + ", " + " ".join(electrons)
    path = tmp_path / "Fe-Fe.skf"
    path.write_text("\n".join(lines))
    # ASE goes by electrons alone, which is wrong where the highest shell is empty.
    assert read_max_angular_momentum(str(path)) == LETTERS.index(letter)
    assert open_set(str(tmp_path)).angular_momenta == {"Fe": letter}


def test_only_what_is_needed_counts(files):
    before = open_set(str(files), ["H", "O"])
    assert before.files == 4
    (files / "S-S.skf").unlink()
    (files / "notes.txt").write_text("of somebody")
    assert open_set(str(files), ["O", "H", "H"]) == before
    path = files / "O-H.skf"
    path.write_text(path.read_text().replace("Spline\n1 2.0", "Spline\n1 2.1"))  # no longer
    assert open_set(str(files), ["H", "O"]).sha256 != before.sha256


def test_a_user_may_want_less(files):
    assert open_set(str(files), ["H", "S"], {"S": "p", "O": "s"}).angular_momenta == {
        "H": "s",
        "S": "p",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"O": "d"}, r"H-O.skf: no integrals between the shells sd, expected them for H up to s"),
        ({"O": "g"}, "unknown angular momentum of O 'g'; choose one of: d, f, p, s"),
        ({"N": "p"}, "unknown element of the angular momenta 'N'; choose one of: H, La, O, S"),
    ],
)
def test_a_user_may_not_want_more(files, given, message):
    with pytest.raises(InputError, match=message):
        open_set(str(files), ["H", "O"], given)


def test_missing_files(files, tmp_path):
    for name in ("H-O", "O-H", "H-S", "S-H", "La-H", "H-La"):
        (files / f"{name}.skf").unlink()
    with pytest.raises(InputError) as caught:
        open_set(str(files))
    assert str(caught.value) == (
        f"{files}: 6 of the 16 files that the pairs of H La O S need are missing: "
        "H-La.skf, H-O.skf, H-S.skf, La-H.skf, O-H.skf …"
    )
    with pytest.raises(InputError, match="3 of the 4 files that the pairs of N O need"):
        open_set(str(files), ["N", "O"])
    with pytest.raises(InputError, match="unknown element symbol 'Xx'"):
        open_set(str(files), ["Xx"])
    with pytest.raises(InputError, match=r"nowhere: expected a directory of Slater-Koster files"):
        open_set(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"expected Slater-Koster files named like .* found none"):
        open_set(str(tmp_path))


O_O = skf.text("O", "O", "p", "p")

E_D, E_P, E_S = range(3)  # columns of the line of the atom: energies, -, Hubbard, electrons
N_D, N_P, N_S = range(7, 10)


def contradicting(change: dict[int, str], clear: str = "") -> str:
    """O-O.skf with other numbers for the atom, and without the integrals between some shells."""
    lines = O_O.splitlines()
    numbers = lines[1].replace(",", " ").split()
    for column, number in change.items():
        numbers[column] = number
    lines[1] = " ".join(numbers)
    if clear:
        columns = skf.COLUMNS[False].split()
        for at in range(4, 11):
            words = skf.row("p", "p", at - 2, columns)
            lines[at] = " ".join(
                "0.0" if columns[i % 10] == clear else word for i, word in enumerate(words)
            )
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "why", "letter"),
    [
        (contradicting({N_D: "1.0"}), "it has electrons in d, but no integrals for it", "p"),
        (contradicting({E_P: "0.0"}), "integrals for p, but neither an energy nor electrons", "p"),
        (
            contradicting({N_S: "0.0"}, clear="ss"),
            "it has integrals for p, but not for every shell below",
            "p",
        ),
    ],
)
def test_where_the_file_does_not_tell(tmp_path, text, why, letter):
    path = tmp_path / "O-O.skf"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        open_set(str(tmp_path))
    assert str(caught.value).startswith(f"{path}: does not tell which shells O has")
    assert why in str(caught.value)
    assert f"--angular_momenta=O:{letter}" in str(caught.value)


def test_the_user_decides_then(tmp_path):
    (tmp_path / "O-O.skf").write_text(contradicting({E_P: "0.0"}))
    for letter in "sp":
        assert open_set(str(tmp_path), None, {"O": letter}).angular_momenta == {"O": letter}


def test_an_energy_alone_makes_no_shell(tmp_path):
    (tmp_path / "O-O.skf").write_text(contradicting({E_D: "0.3"}))
    assert open_set(str(tmp_path)).angular_momenta == {"O": "p"}
