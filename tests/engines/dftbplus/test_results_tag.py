"""results.tag: its digits are taken, and what contradicts the texts is refused."""

import re
import shutil

import pytest

from qc_jax.engines.dftbplus import read_pair, read_tree
from qc_jax.engines.dftbplus.results_tag import parse
from qc_jax.engines.engine import EngineError
from tests.engines.dftbplus.outputs import SAMPLES, edit, needs_samples


@pytest.fixture
def sample(tmp_path):
    """A copy of a real pair."""
    shutil.copytree(SAMPLES / "raw_data" / "C_O", tmp_path / "C_O")
    return tmp_path / "C_O"


@needs_samples
def test_fifteen_digits(sample):
    precise = read_pair(sample)
    (sample / "results.tag").unlink()
    printed = read_pair(sample)
    assert precise.targets["e_homo_ev"] == pytest.approx(-0.336514853878771 * 27.2113862, rel=1e-8)
    assert printed.targets["e_homo_ev"] == -9.1570
    assert precise.charges[0] == 0.0122155983250605 and printed.charges[0] == 0.01221560
    for name, value in printed.targets.items():
        assert precise.targets[name] == pytest.approx(value, abs=1e-4)


@needs_samples
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("-0.336514853878771E+000", "-0.336614853878771E+000", "bands: levels: "),
        ("0.200000000000000E+001  0.179", "0.190000000000000E+001  0.179", "bands: filling: "),
        ("0.159452886454345E+001", "0.159453886454345E+001", "populations: the population of s "),
        ("0.122155983250605E-001", "0.122255983250605E-001", "charges: charges: "),
        ("-0.181096375695014E+000", "-0.181196375695014E+000", "energy: Fermi level: "),
        ("mermin_energy       :real:0:\n -0.502", "mermin_energy :real:0:\n -0.503", "energy: Mer"),
        ("-0.254837034424980E-001\nscaled", "-0.254937034424980E-001\nscaled", "dipole: "),
        ("real:3:8,1,1", "real:3:7,1,1", "files: eigenvalues in results.tag: more than 7 numbers"),
        ("real:3:8,1,1", "real:3:9,1,1", "files: eigenvalues in results.tag is cut short: 8 of 9"),
        ("real:3:8,1,1", "real:3:8,2,1", "files: eigenvalues in results.tag is cut short"),
        ("real:3:8,1,1", "real:2:8,1,1", "files: unexpected 'eigenvalues"),
        ("gross_atomic_charges:real:1:2", "gross_atomic_charges:real:2:2,1", "files: gross_atom"),
        ("0.122155983250605E-001", "NaN", "numbers: gross_atomic_charges in results.tag is NaN"),
        ("fermi_level         :real", "a shopping list", "files: unexpected 'a shopping list"),
    ],
)
def test_contradictions_and_damage_are_refused(sample, old, new, reason):
    edit(sample / "results.tag", old, new)
    with pytest.raises(EngineError, match=f"^{re.escape(reason)}"):
        read_pair(sample)


@needs_samples
def test_what_it_lacks_is_taken_from_the_texts(sample):
    (sample / "results.tag").write_text("")
    assert read_pair(sample).charges == [0.01221560, -0.01221560]


def test_a_huge_array_is_refused():
    with pytest.raises(EngineError, match="unexpected 'forces:real:2:3,999999999'"):
        parse("forces:real:2:3,999999999\n", 1)


@needs_samples
@pytest.mark.parametrize("tag", [True, False])
def test_exchanged_shells_are_refused(sample, tag):
    """s and p populations exchanged: the atoms' sums stay as they are."""
    if not tag:
        (sample / "results.tag").unlink()
    text = (sample / "detailed.out").read_text()
    head, orbitals = text.split("Orbital populations (up)")
    assert "1.59452886  s" in orbitals and "1.14165012  p_z" in orbitals
    orbitals = orbitals.replace("1.59452886  s", "1.14165012  s")
    orbitals = orbitals.replace("1.14165012  p_z", "1.59452886  p_z")
    (sample / "detailed.out").write_text(head + "Orbital populations (up)" + orbitals)
    with pytest.raises(EngineError, match=r"populations: shell 1 \(l = 0\) of atom 1 has 1.59452"):
        read_pair(sample)


@needs_samples
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    1   2   1       2.39325554", "", "lacks shell 2 (l = 1) of atom 1"),
        ("    1   2   1       2.39325554", "    1   2   2       2.39325554", "is none of its orb"),
        ("0.62580271  p_y", "0.62580271  p_z", "p_z has another l or m"),
        ("    1   2   1   0       1.14165012  p_z", "    1   2   1  -1       1.1  p_y", "twice"),
    ],
)
def test_shells_and_names_that_do_not_fit(sample, old, new, reason):
    (sample / "results.tag").unlink()
    text = (sample / "detailed.out").read_text()
    assert old in text
    (sample / "detailed.out").write_text(text.replace(old + "\n" if not new else old, new, 1))
    with pytest.raises(EngineError, match=re.escape(reason)):
        read_pair(sample)


@needs_samples
def test_a_link_to_itself_and_a_pipe_cost_one_pair_each(sample):
    import os

    os.symlink("C_S", sample.parent / "C_S")
    shutil.copytree(sample, sample.parent / "C_H")
    (sample.parent / "C_H" / "detailed.out").unlink()
    os.mkfifo(sample.parent / "C_H" / "detailed.out")
    table = read_tree(sample.parent)
    assert table.names.tolist() == ["C_O"]
    assert set(table.left_out) == {"C_S", "C_H"}
    assert table.left_out["C_S"].startswith("files: ")
    assert table.left_out["C_H"] == ("files: detailed.out: expected a file, got a named pipe")


@needs_samples
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("geo_end.xyz", "1.33297444", "1.43297444"),
        ("geo_end.xyz", "1.33297444", "0.22902556"),
        ("detailed.out", "1       0.01221560\n    2      -", "1      -0.01221560\n    2       "),
    ],
)
def test_charges_and_positions_that_do_not_make_the_dipole(sample, file, old, new):
    (sample / "results.tag").unlink()
    edit(sample / file, old, new)
    with pytest.raises(
        EngineError, match=r"^dipole: -0\.0647.* Debye along z in detailed.out, but"
    ):
        read_pair(sample)
