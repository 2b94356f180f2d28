"""The documentation builds without a warning, its notebooks run, and it names what is there."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest

from qc_jax import testing

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "docs" / "notebooks"


def _make():
    spec = importlib.util.spec_from_file_location("make_notebooks", NOTEBOOKS / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ("pair", "own_network", "dynamics"))
def test_the_notebooks_run(name, tmp_path, monkeypatch):
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = _make().run(name, tmp_path)
    assert all(cell.get("outputs") for cell in made.cells[-1:])


@pytest.mark.parametrize("name", ("pair", "own_network", "dynamics"))
def test_the_notebooks_are_those_of_their_sources(name):
    there = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    expected = _make().notebook(name)
    shown = ["".join(cell["source"]) for cell in there["cells"]]
    assert shown == [cell["source"] for cell in expected.cells]


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference" / "dftb" / "index.html").exists()
    guide = tmp_path / "site" / "guides" / "explorer"
    (source,) = re.findall(r'<iframe src="([^"#]+)#', (guide / "index.html").read_text())
    assert "QuantumCanvas explorer" in (guide / source).read_text()


def test_what_the_guides_import_is_there():
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for module in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            parts = module.split(".")
            path = ROOT.joinpath(*parts)
            inside = ROOT.joinpath(*parts[:-1])
            assert any(
                place.exists()
                for place in (path, path.with_suffix(".py"), inside.with_suffix(".py"), inside)
            ), f"{page.name}: {module}"


def test_the_guides_model_keeps_the_contract():
    text = (ROOT / "docs" / "guides" / "own_model.md").read_text(encoding="utf-8")
    (code,) = re.findall(r'```python title="bonds.py"\n(.*?)```', text, re.DOTALL)
    made: dict[str, Any] = {}
    exec(code, made)
    testing.check_architecture(made["Bonds"], hidden=8)


RESULTS = {
    "gap": "e_g_ev",
    "HOMO": "e_homo_ev",
    "LUMO": "e_lumo_ev",
    "band energy": "band_energy_ev",
    "total energy": "total_energy_ev",
    "repulsive energy": "repulsive_energy_ev",
    "dipole": "dipole_mag_d",
    "charges": "q_absmean",
    "bond length": "distance_ang",
}


def test_the_guides_errors_are_those_of_the_report():
    """Columns of models with Flax's start, then with PyTorch's, and rows of models."""
    asked = {"study": "benchmark", "data": "ptbp", "split": "random", "metric": "mae"}
    path, by = ROOT / "qc_jax" / "report" / "leaderboard.parquet", ["model", "setting", "target"]
    filters = [(column, "==", value) for column, value in asked.items()]
    frame = pd.read_parquet(path, columns=[*by, "value"], filters=filters)
    found = frame.groupby(by).value.agg(["mean", "std"])
    text = (ROOT / "docs" / "guides" / "results.md").read_text(encoding="utf-8")
    tables = [
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    ]
    others = next(table for table in tables if table[2][0] == "`egnn`")
    shown = {}
    for table, names, setting in (
        (tables[0], ("gcn", "gatv2", "dimenet", "tight_binding"), ""),
        (tables[1], ("gcn", "gatv2"), "init torch"),
    ):
        for label, _, *cells in table[2:]:
            shown |= {(name, setting, label): each for name, each in zip(names, cells, strict=True)}
    for name, *cells in others[2:]:
        labels = zip(others[0][1:], cells, strict=True)
        shown |= {(name.strip("`"), "", label): cell for label, cell in labels}
    shown = {key: re.findall(r"\d+\.\d+", cell) for key, cell in shown.items() if cell}
    assert len(shown) > 100
    for (model, setting, label), numbers in shown.items():
        target = RESULTS[re.sub(r"( †)?, .*", "", label)]
        for number, exact in zip(numbers, found.loc[model, setting, target], strict=False):
            digits = len(number.partition(".")[2])
            assert abs(float(number) - exact) <= 0.501 / 10**digits, (model, label, exact)


def test_contributing_names_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:qc_jax|experiments|tests|docs)/[a-z\d_/.]+)`", text)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []
