"""The input of DFTB+ says the same as that of the published data, whatever its spelling."""

import io
import pathlib

import ase.io
import hsd
import pytest

from qc_jax.chem import elements
from qc_jax.engines.dftbplus.input_file import read_template, render
from qc_jax.errors import InputError

RAW = pathlib.Path(__file__).parents[3].parent / "shared" / "dftbplus" / "raw_data"
QM = {"Br": "d", "F": "p", "S": "d"}


def meaning(text: str) -> dict:
    """The input as a tree, by the parser of those who made the format; keywords in lower case."""
    return hsd.load(io.StringIO(text), lower_tag_names=True)


def start(name: str) -> float:
    """Where the published searches start, Å."""
    return 1.1 * sum(elements.element(symbol).covalent_radius_ang for symbol in name.split("_"))


@pytest.mark.skipif(not RAW.is_dir(), reason=f"{RAW} is not there")
def test_same_as_the_published_ones():
    names = sorted(path.name for path in RAW.iterdir())
    assert len(names) == 40
    for name in names:
        theirs = meaning((RAW / name / "dftb_in.hsd").read_text())
        letters = theirs["hamiltonian"]["dftb"]["maxangularmomentum"]
        momenta = {symbol.title(): letter.strip('"') for symbol, letter in letters.items()}
        ours = meaning(render(read_template(), name, start(name), momenta))
        numbers = [tree["geometry"].pop("genformat") for tree in (ours, theirs)]
        assert numbers[0][:2] == numbers[1][:2]  # how many, and which
        for mine, published in zip(*(rows[2:] for rows in numbers), strict=True):
            assert mine == pytest.approx(published, abs=1e-6)
        assert ours == theirs


@pytest.mark.parametrize(("name", "distance"), [("Br_F", 1.947), ("S_S", 2.31)])
def test_atoms_as_ase_reads_them(name, distance):
    text = render("$geometry\n$angular_momenta $skf", name, distance, QM)
    atoms = ase.io.read(io.StringIO(text[: text.index(" = ")].rsplit("\n", 1)[0]), format="gen")
    assert list(atoms.symbols) == name.split("_")
    assert atoms.positions == pytest.approx(ase.Atoms("H2", [[0] * 3, [0, 0, distance]]).positions)
    assert not atoms.pbc.any()


def test_shells_of_each_element_once():
    tree = meaning(render(read_template(), "S_S", 2.0, QM))
    assert tree["hamiltonian"]["dftb"]["maxangularmomentum"] == {"s": '"d"'}
    assert len(tree["geometry"]["genformat"]) == 4


def test_a_template_of_ones_own(tmp_path):
    path = tmp_path / "own.hsd"
    path.write_text(
        "Geometry = GenFormat {\n${geometry}\n}\nHamiltonian = DFTB {\n"
        "  MaxAngularMomentum {\n$angular_momenta\n  }\n"
        "  SlaterKosterFiles = Type2FileNames { Prefix = $skf }  # costs 5$$\n"
        "  ThirdOrderFull = Yes\n}\n"
    )
    text = render(read_template(str(path)), "Br_F", 1.9, QM)
    assert meaning(text)["hamiltonian"]["dftb"]["thirdorderfull"] is True
    assert "costs 5$\n" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$geometry $angular_momenta", r"own.hsd: no field \$skf; expected \$geometry \(the atoms"),
        ("$geometry $angular_momenta $skf $mass", r"own.hsd: unknown field \$mass; expected \$geo"),
        ("$geometry $angular_momenta $skf 5$", r"own.hsd: a \$ that begins no field; write \$\$"),
    ],
)
def test_wrong_templates(tmp_path, text, message):
    path = tmp_path / "own.hsd"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_template(str(path))


def test_unreadable_templates(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.hsd: no such file"):
        read_template(str(tmp_path / "nowhere.hsd"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="binary: expected text"):
        read_template(str(tmp_path / "binary"))
