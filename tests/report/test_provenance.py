"""What the last chapter says is not there."""

import dataclasses

from qc_jax.report import provenance, source
from qc_jax.runs import results
from tests.report import planted


def test_failed_trainings_are_counted_as_above(tmp_path):
    """One of three targets is one; one that only a study is about is one, too."""
    rows = planted.write(tmp_path, {"gcn": 0.2}, ["e_homo_ev"], [42])
    failed = {**rows[0], "training": "all", "metric": "", "value": None, "status": "not finite"}
    targets = ("e_g_ev", "e_homo_ev", "e_lumo_ev")
    more = [{**failed, "target": target} for target in targets]
    results.write(tmp_path / "results.csv", results.table([*rows, *more]))
    own = source.read(tmp_path)

    def lists(own):
        return {
            title: lines for title, lines in provenance.part(own, None).lists if "fail" in title
        }

    assert own.partial == ["1 training failed"]
    line = "all, e_g_ev, e_homo_ev, e_lumo_ev: not finite"
    assert lists(own) == {"1 training that failed": [line]}
    aside = results.table([{**failed, "training": "lost", "split": "by_type"}])
    own = dataclasses.replace(own, aside=aside)
    assert own.partial == ["2 trainings failed"]
    both = [line, "lost, e_homo_ev: not finite"]
    assert lists(own) == {"2 trainings that failed": both}
