"""Cards: front matter that YAML reads, and tables whose cells may hold bars."""

import yaml

from qc_jax.data import hub


def test_a_card_is_yaml_and_then_markdown(tmp_path):
    fields = {"license": "mit", "tags": ["a: b", "Å"], "sizes": [{"name": "train", "rows": 3}]}
    hub.write_card(tmp_path / "README.md", fields, "\n# Title\n\n---\nmore\n")
    _, head, text = (tmp_path / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(head) == fields and list(yaml.safe_load(head)) == list(fields)
    assert text == "\n# Title\n\n---\nmore\n"


def test_a_bar_in_a_cell_does_not_end_it():
    table = hub.table(("a", "b"), [("|q|", "x")])
    assert table.splitlines() == ["| a | b |", "| --- | --- |", r"| \|q\| | x |"]
