import csv


def test_two_tables(run_python, small_table, tmp_path):
    small_table.save(tmp_path / "small.npz")
    out = tmp_path / "differences.csv"
    words = ("gfn2_xtb", str(tmp_path / "small.npz"), "--label=e_homo_ev", f"--out={out}")
    done = run_python("-m", "experiments.compare", *words)
    assert done.returncode == 0, done.stderr
    assert f"{len(small_table)} pairs in both" in done.stdout
    assert f"only in gfn2_xtb: {2671 - len(small_table)}" in done.stdout
    assert "e_homo_ev" in done.stdout and "e_lumo_ev" not in done.stdout
    assert "atoms exchanged, by their charges: 0" in done.stdout
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows} == set(small_table.names)
    assert {float(row["e_homo_ev"]) for row in rows} == {0.0}


def test_bad_input_is_one_line(run_python):
    for words, expected in (
        (["gfn2_xtb"], "expected the names of two tables"),
        (["gfn2_xtb", "gfn2_xtb", "--label=x"], "label of both tables"),
        (["gfn2_xtb", "gfn2_xtb", "--out=x.txt"], ".csv"),
    ):
        done = run_python("-m", "experiments.compare", *words)
        assert done.returncode == 2
        assert expected in done.stderr
        assert len(done.stderr.splitlines()) == 1
