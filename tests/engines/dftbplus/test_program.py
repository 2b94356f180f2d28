"""The engine that runs DFTB+, with a stand-in that replays recorded outputs."""

import dataclasses
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import pytest

from qc_jax.engines import pool
from qc_jax.engines.dftbplus import program, read_pair, read_tree
from qc_jax.engines.engine import EngineError, Failure, FailureKind
from qc_jax.engines.generate import create_engine, generate, verify
from qc_jax.engines.sanity import NEED_DIAGNOSTICS
from qc_jax.errors import InputError
from tests.engines.dftbplus import skf
from tests.engines.dftbplus.stand_in import StandIn
from tests.engines.dftbplus.test_process import is_alive, wait_until

FIXTURES = pathlib.Path(__file__).parents[2] / "fixtures" / "dftbplus" / "tree"
SHARED = pathlib.Path(__file__).parents[3].parent / "shared" / "dftbplus" / "raw_data"
MOMENTA = {"F": "p", "H": "s", "Li": "p"}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    made = StandIn(tmp_path / "bin", FIXTURES)
    monkeypatch.setenv("PATH", f"{made.home}:{os.environ['PATH']}")
    return made


@pytest.fixture
def engine(stand_in, tmp_path):
    skf.write(tmp_path / "set", MOMENTA)
    return create_engine("dftbplus", skf=str(tmp_path / "set"), raw=str(tmp_path / "raw"))


def test_a_pair(engine, tmp_path):
    assert engine.symbols == ("F", "H", "Li")
    record = engine.compute("F_Li")
    assert record == read_pair(FIXTURES / "F_Li")
    assert record.diagnostics is None and engine.gates.failure(record) is None
    kept = tmp_path / "raw" / "F_Li"
    recorded = {path.name for path in (FIXTURES / "F_Li").iterdir()}
    assert set(os.listdir(kept)) == recorded | {"dftb_in.hsd", "dftb.log", "skfiles"}
    assert (kept / "skfiles" / "F-Li.skf").is_file()
    # 1.1 times 0.57 Å + 1.28 Å (Cordero et al.).
    assert "0.0000000000E+00    2.0350000000E+00\n}" in (kept / "dftb_in.hsd").read_text()
    assert sorted(os.listdir(tmp_path / "raw")) == ["F_Li", "run.json"]
    assert json.loads((tmp_path / "raw" / "run.json").read_text()) == engine.provenance()


def test_provenance(engine, tmp_path):
    said = engine.provenance()
    assert said == json.loads(json.dumps(said))
    assert said["engine"] == "dftbplus" and said["version"] == "25.1"
    assert said["angular_momenta"] == MOMENTA
    assert said["slater_koster"]["files"] == 9
    assert "Temperature [Kelvin] = 300" in said["template"] and said["start_ratio"] == 1.1
    assert said["gates_not_checked"] == list(NEED_DIAGNOSTICS)
    path = tmp_path / "set" / "F-H.skf"
    path.write_text(path.read_text() + "<Documentation>\n")
    again = create_engine(
        "dftbplus", skf=str(tmp_path / "set"), raw=str(tmp_path / "raw")
    ).provenance()
    assert {key for key in said if said[key] != again[key]} == {"slater_koster"}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("hang", "timeout: dftb+ was not ready after 2 s"),
        ("crash", "crash: dftb+ was ended by signal 11 after: ***  Geometry step: 0"),
        ("wrong", "program: 'Invalid keyword; Path: dftb_in/Hamiltonian' in dftb.log"),
        ("silent", "files: no detailed.out"),
        ("mute", "exit: dftb+ left with exit code 2 after: not a word"),
        ("late", "exit: dftb+ left with exit code 3 after: "),
    ],
)
def test_failures(engine, stand_in, tmp_path, how, reason):
    engine = dataclasses.replace(engine, timeout_s=2 if how == "hang" else 60)
    engine.compute("F_Li")
    stand_in.behave({"F_Li": how})
    with pytest.raises(EngineError) as caught:
        engine.compute("F_Li")
    assert str(caught.value).startswith(reason)
    # What there was of the earlier attempt is gone, what there is of this one is kept.
    assert sorted(os.listdir(tmp_path / "raw")) == ["F_Li", "run.json"]
    kept = os.listdir(tmp_path / "raw" / "F_Li")
    assert ("detailed.out" in kept) == (how == "late")
    assert {"dftb_in.hsd", "dftb.log"} <= set(kept)
    wait_until(lambda: not any(is_alive(pid) for _, pid in stand_in.started()))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")
def test_runs_that_did_not_converge(engine, tmp_path):
    StandIn(tmp_path / "bin", SHARED)
    skf.write(tmp_path / "set", {"F": "p", "P": "d", "S": "d", "Cl": "d"})
    engine = create_engine(
        "dftbplus",
        skf=str(tmp_path / "set"),
        raw=str(tmp_path / "raw"),
        symbols=["Cl", "P", "F", "S"],
    )
    reasons = {}
    for name in ("Cl_P", "F_S", "F_P"):
        with pytest.raises(EngineError) as caught:
            engine.compute(name)
        reasons[name] = str(caught.value)
    assert reasons == {
        "Cl_P": "geometry: 'Atoms 2 and 1 too close together' in dftb.log",
        "F_S": "SCC: 'SCC is NOT converged, maximal SCC iterations exceeded' in dftb.log",
        "F_P": "geometry: 'Geometry did NOT converge' in dftb.log",
    }


def test_what_a_killed_attempt_left(engine, stand_in, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    gone, running = raw / ".F_Li.99999999", raw / f".F_Li.{os.getppid()}"
    for path in (gone, running):
        shutil.copytree(FIXTURES / "F_Li", path)
    engine.compute("F_Li")
    assert not gone.exists() and running.exists()
    assert list(read_tree(raw).names) == ["F_Li"]


def test_outputs_of_others_are_not_replaced(engine, stand_in, tmp_path):
    given = {"skf": str(tmp_path / "set"), "raw": str(tmp_path / "raw")}
    engine.compute("H_H")
    before = (tmp_path / "raw" / "H_H" / "detailed.out").stat().st_mtime_ns
    assert create_engine("dftbplus", **given) == engine
    own = tmp_path / "own.hsd"
    own.write_text(engine.template + "# mine\n")
    with pytest.raises(InputError, match=r"raw: holds outputs of a run with other template; "):
        create_engine("dftbplus", **given, template=str(own))
    with pytest.raises(InputError, match="with other angular_momenta, slater_koster; choose"):
        create_engine("dftbplus", **given, symbols=["H"])
    StandIn(stand_in.home, FIXTURES, version="24.1")
    with pytest.raises(InputError, match="with other version; choose another directory"):
        create_engine("dftbplus", **given)
    (tmp_path / "raw" / "run.json").unlink()
    with pytest.raises(InputError, match="raw: holds something else than outputs of this engine"):
        create_engine("dftbplus", **given)
    (tmp_path / "raw" / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run.json: not JSON, or cut short"):
        create_engine("dftbplus", **given)
    assert (tmp_path / "raw" / "H_H" / "detailed.out").stat().st_mtime_ns == before


def test_table(engine, stand_in, tmp_path):
    out = str(tmp_path / "table.npz")
    stand_in.behave({"F_F": "crash", "Li_Li": "wrong"})
    assert pickle.loads(pickle.dumps(engine)) == engine
    table = generate(dataclasses.replace(engine, workers=2), engine.symbols, out)
    assert list(table.names) == ["F_Li", "H_H"]
    assert list(table.left_out) == ["F_F", "F_H", "H_Li", "Li_Li"]
    assert table.left_out["F_H"] == "program: 'nothing is recorded for F_H' in dftb.log"
    tree = read_tree(engine.raw)
    assert tree.fingerprint() == table.fingerprint()
    assert {k: v for k, v in tree.left_out.items() if k != "F_F"} == {
        k: v for k, v in table.left_out.items() if k != "F_F"
    }
    before = len(stand_in.started())
    rows = verify(engine, table, 2)
    assert rows and all(row.largest == 0 for row in rows)
    assert len(stand_in.started()) == before + 2


def test_goes_on_with_the_same_settings_only(engine, stand_in, tmp_path):
    out = str(tmp_path / "table.npz")

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(engine, engine.symbols, out, progress=stop)
    path = tmp_path / "set" / "F-F.skf"
    path.write_text(path.read_text() + "\n")
    changed = create_engine("dftbplus", skf=str(tmp_path / "set"), raw=str(tmp_path / "other"))
    with pytest.raises(InputError, match="begun by a run with other slater_koster; finish that"):
        generate(changed, changed.symbols, out)
    assert len(generate(engine, engine.symbols, out)) == 2


def test_own_timeout_comes_first(engine, stand_in):
    stand_in.behave({"F_Li": "hang"})
    engine = dataclasses.replace(engine, timeout_s=2, workers=2)
    answers = dict(engine.compute_all(["F_Li", "H_H"], lambda *counts: None))
    assert answers["F_Li"] == Failure(FailureKind.TIMEOUT, "dftb+ was not ready after 2 s")
    assert answers["H_H"] == read_pair(FIXTURES / "H_H")
    wait_until(lambda: not any(is_alive(pid) for _, pid in stand_in.started()))


def test_a_killed_worker_leaves_no_program(engine, stand_in):
    stand_in.behave({"F_Li": "hang"})
    answers = pool.answer_all(engine.compute, ["F_Li"], 1, 1.0)
    assert dict(answers)["F_Li"] == Failure(FailureKind.TIMEOUT, "not ready after 1 s")
    wait_until(lambda: stand_in.started() and not is_alive(stand_in.started()[0][1]))


def test_what_it_needs(stand_in, tmp_path):
    with pytest.raises(InputError, match="engine 'dftbplus' needs --skf=DIR"):
        create_engine("dftbplus")
    with pytest.raises(InputError, match="engine 'dftbplus' needs --raw=DIR"):
        create_engine("dftbplus", skf=str(tmp_path))


def test_all_is_checked_before_anything_runs(stand_in, tmp_path):
    skf.write(tmp_path / "set", MOMENTA)
    (tmp_path / "set" / "F-Li.skf").unlink()
    given = {"skf": str(tmp_path / "set"), "raw": str(tmp_path / "raw")}
    with pytest.raises(InputError, match=r"1 of the 9 files .* missing: F-Li.skf"):
        create_engine("dftbplus", **given)
    assert create_engine("dftbplus", **given, symbols=["F", "H"]).symbols == ("F", "H")
    assert stand_in.started() == [] and not (tmp_path / "raw").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of ended processes")
def test_a_process_that_ended_does_not_run_though_nobody_asked_for_it():
    """A killed worker stays in the list of processes until its new parent asks for it."""
    process = subprocess.Popen(["sleep", "60"])
    assert program._is_running(process.pid)
    process.kill()
    wait_until(lambda: not program._is_running(process.pid))
    os.kill(process.pid, 0)  # it is still there
    process.wait()
    assert not program._is_running(process.pid)
