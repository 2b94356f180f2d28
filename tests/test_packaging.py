"""The wheel claims one top-level name and has the scripts; the command finds them."""

import pathlib
import subprocess
import sys
import tomllib
import venv
import zipfile

import pytest

from qc_jax import __main__ as command

ROOT = pathlib.Path(__file__).resolve().parents[1]


def folders(top: str) -> set[str]:
    """The packages below a folder, by dotted names."""
    found = (ROOT / top).rglob("__init__.py")
    return {".".join(path.parent.relative_to(ROOT).parts) for path in found} | {top}


def test_pyproject_lists_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {path.parent for path in (ROOT / "qc_jax").rglob("*.py")}
    there = {".".join(path.relative_to(ROOT).parts) for path in rooms}
    there |= {f"qc_jax.{name}" for name in folders("experiments")}
    assert sorted(listed) == sorted(there)


def test_every_script_is_a_command(capsys, monkeypatch):
    folder = ROOT / "experiments"
    scripts = {
        path.stem for path in folder.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()
    } | {path.parent.name for path in folder.glob("*/__main__.py")}
    assert set(command.SCRIPTS) == scripts
    monkeypatch.setattr(sys, "argv", ["qc-jax", "trian"])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert "unknown command 'trian'; choose one of: train," in capsys.readouterr().err


@pytest.mark.slow
def test_an_installed_wheel_trains_and_predicts_anywhere(tmp_path):
    """In a fresh environment that sees the dependencies of this one, outside the clone."""
    pip = (sys.executable, "-m", "pip")
    subprocess.run((*pip, "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT), check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"qc_jax"}
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    (site,) = (home / "lib").glob("*/site-packages")
    (site / "base.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    subprocess.run((*pip, "install", "-q", "--no-deps", "--target", site, wheel), check=True)
    work = tmp_path / "work"
    work.mkdir()

    def run(*words):
        return subprocess.run(
            (home / "bin/python", "-m", "qc_jax", *words), cwd=work, capture_output=True, text=True
        )

    done = run("train", "--config=egnn:quick", "--workdir=run")
    assert done.returncode == 0, done.stderr
    assert "egnn on ptbp" in done.stdout
    done = run("predict", "--workdir=run", "Ag", "Al")
    assert done.returncode == 0 and "e_homo_ev" in done.stdout, done.stderr
