"""The folder of a model: what `qc_jax.load` opens, and a card with its errors."""

import dataclasses

import yaml

import qc_jax
from qc_jax.report import model_card


def test_a_packed_model_of_the_package(tmp_path):
    run = qc_jax.load("tight_binding/ptbp")
    model_card.write(run, tmp_path, "apache-2.0")
    again = qc_jax.load(tmp_path / model_card.MODEL)
    assert (again.predict("Ag_Al") == run.predict("Ag_Al")).all()
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "apache-2.0" and head["library_name"] == "qc_jax"
    (told,) = head["model-index"]
    errors = {one["task"]["name"]: one["metrics"][0]["value"] for one in told["results"]}
    assert errors["e_homo_ev (eV)"] == run.result["test"]["e_homo_ev"]["mae"]
    # Leaked by the positions: shown with its mark, and no result for machines.
    assert "distance_ang (Å)" not in errors and "| Å | positions |" in text
    order = [text.index(f"| `{name}` |") for name in run.targets]
    assert order == sorted(order)


def test_a_model_of_ones_own_data(small_table, tmp_path):
    task = qc_jax.prepare(small_table, "e_homo_ev")
    run = qc_jax.fit(qc_jax.create("pair_mean"), task)
    model_card.write(run, tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\nlicense: unknown\n" in text.replace("---", "") and "# pair_mean on own data" in text
    assert "model.predict(atoms)" in text


def test_imported_weights_claim_no_training(tmp_path):
    imported = {"file": "best.pt", "sha256": "0" * 64, "scaled_by": "the checkpoint"}
    imported["presumed"] = "trained and chosen on the rows of split random"
    run = qc_jax.load("gcn/ptbp_e_homo_ev")
    model_card.write(
        dataclasses.replace(run, result={**run.result, "imported": imported}), tmp_path
    )
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "model-index" not in text and "chosen by" not in text and "Best epoch" not in text
    told = (
        "weights imported from best.pt, labels scaled by the checkpoint; a test only if they were"
    )
    assert f"{told} {imported['presumed']}.\nThat file's SHA-256 is `000" in text
