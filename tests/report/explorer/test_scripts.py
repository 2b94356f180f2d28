"""Functions of the explorer's page, run by Node without a browser."""

import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from qc_jax.report.explorer import contents, packing, predictions, writing
from tests.report.explorer import made

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="no node on this machine")

# What the scripts ask of a browser: elements that keep their text.
BROWSER = """
const element = () => ({
  words: [], setAttribute() {}, addEventListener() {},
  append(...more) { this.words.push(...more.map((one) => one.textContent ?? String(one))); },
  get textContent() { return this.words.join(" "); },
});
globalThis.document = {
  documentElement: { dataset: { theme: "light" } }, createElement: element,
  createElementNS: element, getElementById: (id) => ({ textContent: TEXTS[id] }),
};
globalThis.location = { hash: "" };
"""


@pytest.fixture(scope="module")
def run():
    """Evaluates expressions in the page of five elements and two models, of known parts."""
    table = made.table()
    table = dataclasses.replace(table, charges=np.full_like(table.charges, np.nan))
    parts = {"O_O": "train", "H_O": "validation", "Ag_O": "test", "H_H": "unused"}
    codes = [
        predictions.PARTS.index(parts[name]) if name in parts else predictions.NO_PART
        for name in table.names
    ]
    homo = table.columns(("e_homo_ev",))
    models = [
        predictions.Model(name, name, ("metal_like", "e_homo_ev"), np.hstack([homo, homo]), of, {})
        for name, of in (
            ("gcn", np.stack([codes, codes], axis=1)),
            ("egnn", np.full((len(table), 2), predictions.PARTS.index("test"))),
        )
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictions, "collect", lambda *_: models)
        found = contents.build(table, made.silent, levels=False)
    text = writing.render(found)
    (script,) = re.findall(r"<script>(.*?\nstart\(\);\n.*?)</script>", text, re.DOTALL)
    texts = {f"blob-{key}": blob for key, blob in found.blobs.items()}
    texts["about"] = packing.script_json(found.about)

    def evaluate(*expressions):
        told = f"console.log(JSON.stringify([{','.join(expressions)}]));"
        asked = script.replace("\nstart();\n", f"\n{told}\n")
        source = f"const TEXTS = {json.dumps(texts)};{BROWSER}{asked}"
        done = subprocess.run([NODE, "-"], input=source, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[:500]
        return json.loads(done.stdout)

    return evaluate


def test_a_word_of_two_symbols_is_a_pair(run):
    words = {
        **{"HO": ["H", "O"], "AgAl": ["Ag", "Al"], "OO": ["O", "O"], "OAl": ["O", "Al"]},
        **{"AG": ["Ag", "Ag"], "ag": ["Ag", "Ag"], "He": ["He", "He"], "HE": ["He", "He"]},
        **{"silver": ["Ag", "Ag"], "Ag Al": ["Ag", "Al"], "silver-oxygen": ["Ag", "O"]},
    }
    found = run(*(f"parsePair({json.dumps(word)})" for word in words))
    assert found == [{"symbols": pair} for pair in words.values()]
    (uncovered,) = run('parsePair("CO")')
    assert "Cobalt (Co) is not among the 5 elements" in uncovered["error"]


def test_what_is_not_known_of_a_pair_is_told(run):
    (words,) = run('molecule(rowOf("H", "O")).textContent')
    assert "charges not known" in words and "NaN" not in words
    (words,) = run(
        'TARGET.get("dipole_z_d").values.fill(NaN) && molecule(rowOf("H", "O")).textContent'
    )
    assert "dipole not known" in words and "no dipole" not in words


def test_whether_a_model_was_trained_on_a_pair(run):
    pairs = ("O_O", "H_O", "Ag_O", "H_H", "Ag_Al")
    told = run(*(f'targetCard(ROWS.get("{pair}")).textContent' for pair in pairs))
    for words, head, sentence in zip(
        told,
        ("train pair", "validation pair", "test pair", "pair in no split", "part not known"),
        ("has learned this pair:", "is not quite honest.", *2 * ["No model was"], "nothing tells"),
        strict=True,
    ):
        assert f"gcn {head}" in words and sentence in words
        assert words.count("No model was trained") == (head in ("test pair", "pair in no split"))


def test_addresses(run):
    right = "#map=e_homo_ev&show=error&model=gcn", "#trend=e_g_ev&partner=H&beside=egnn"
    wrong = {
        "#trend=e_g_ev&partner=H&beside=vit": "“vit” is no choice of beside.",
        "#trend=e_g_ev&partner=H&groups=f": "“f” is no choice of groups.",
        "#map=e_g_ev&model=vit": "“vit” is no choice of model.",
        "#map=e_g_ev&order=none": "“none” is no choice of order.",
        "#map=e_g_ev&part=training": "“training” is no choice of part.",
    }
    visits = (f"(location.hash = {json.dumps(one)}, read())" for one in (*right, *wrong))
    found = run(*visits, "state.beside")
    assert found == ["", "", *wrong.values(), "egnn"]
