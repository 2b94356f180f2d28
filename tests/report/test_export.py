"""A report as files, and in a browser."""

import dataclasses
import html.parser
import re

import pandas as pd
import pytest

from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.report import export, layout, links, page
from qc_jax.runs import results
from tests.report import planted
from tests.report.browser import CHROMIUM, FRAME, browse


def numbers_of(path):
    """Of a work directory, without what pictures of pairs are made of."""
    return dataclasses.replace(planted.read(path), workdirs={})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of a planted benchmark with a study, that has not ended, beside packaged results."""
    path = tmp_path_factory.mktemp("made")
    rows = planted.write(path / "run", {"egnn": 0.1, "gcn": 0.2, "vit": 0.7}, ended=False)
    study = [
        {**row, "training": f"{row['training']}-{count}", "train_rows": count}
        | {"setting": f"{count} %", "value": row["value"] * 100 / count}
        for row in rows
        for count in (10, 100)
    ]
    (path / "run" / "studies").mkdir()
    results.write(path / "run" / "studies" / "learning_curve.csv", results.table(study))
    for kept in (path / "run" / "trainings").glob("*distance_ang*/predictions.npz"):
        kept.unlink()  # pictures of one target are enough
    own = planted.read(path / "run")
    planted.write(path / "project", {"schnet": 0.3, "gcn": 0.25})
    project = planted.read(path / "project")
    project = dataclasses.replace(project, title="the project's own results", workdirs={})
    report = page.build(own, project)
    return report, path / "report", export.write(report, path / "report")


class Checker(html.parser.HTMLParser):
    """Collects what a page loads, its anchors, and tags that are not closed in order."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.ids += [str(value) for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.mark.slow
def test_the_page_is_whole_and_needs_no_network(made):
    _, out, written = made
    text = (out / "report.html").read_text()
    checker = Checker()
    checker.feed(text)
    assert not checker.wrong and not checker.open
    assert all(link.startswith(("#", "data:")) for link in checker.loads)
    anchors = {link[1:] for link in checker.loads if link.startswith("#")}
    assert anchors <= set(checker.ids)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert len(text) < 5_000_000 and out / "report.html" in written


@pytest.mark.slow
def test_every_figure_has_files_and_data(made):
    report, out, written = made
    assert {path for path in out.rglob("*") if path.is_file()} == set(written)
    names = {picture.name for picture in report.pictures()}
    assert any("parity" in name for name in names) and "study-learning_curve" in names
    for picture in report.pictures():
        assert (out / "figures" / f"{picture.name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / "figures" / f"{picture.name}.svg").read_text()
        data = pd.read_csv(out / "data" / f"{picture.data_name or picture.name}.csv")
        assert len(data)
    assert not list(out.rglob("*.partial"))


@pytest.mark.slow
def test_tables_say_the_same_everywhere(made):
    report, out, _ = made
    markdown, latex = (out / "tables.md").read_text(), (out / "tables.tex").read_text()
    assert markdown.count("\n### ") == latex.count(r"\begin{tabular}") == len(report.tables())
    # Best, significant, of those whose inputs do not leak the distance.
    text = (out / "report.html").read_text()
    assert "**0.100 ± 0.000**" in markdown and r"\textbf{0.100 $\pm$ 0.000}" in latex
    assert "<b>0.100 ± 0.000</b>" in text
    assert "0.100 ± 0.000 †" in markdown and "<sup>†</sup>" in text


@pytest.mark.slow
def test_what_a_reader_must_know(made):
    report, out, _ = made
    text = (out / "report.html").read_text()
    assert report.warnings == ["the last command has not ended"]
    assert "partial" in text and "far fewer facts" in text
    assert "left out: 18 of 20 targets" in text and "He_He: no LUMO" in text
    assert "0123456789abcdef" in text and "abcdef" in text and "jax 0.10.2" in text
    assert "gfn2_xtb has changed since" in text  # why no canvases are drawn
    assert text.count("training median") >= 2 and "pair mean" in text
    for title in ("Learning curves", "Published numbers, of another dataset", "All scores"):
        assert title in text
    # The project's results stand beside the user's, and are told apart.
    board = next(table for table in report.tables() if table.name.endswith("frontier"))
    assert [(row[0].text, row[0].note) for row in board.rows[:3]] == [
        *((name, "yours") for name in ("egnn", "gcn", "vit")),
    ]
    assert {row[0].text for row in board.rows if row[0].note == "project"} == {"gcn", "schnet"}


@pytest.mark.slow
def test_the_worst_pairs_are_named(made):
    report, *_ = made
    table = next(table for table in report.tables() if table.name.endswith("e_homo_ev-worst"))
    # The planted errors grow along the names.
    names = [row[0].text for row in table.rows]
    assert names == [name.replace("_", "–") for name in planted.NAMES[::-1][:10]]


def test_other_data_stand_apart_and_are_told(tmp_path):
    rows = planted.write(tmp_path, {"gcn": 0.2}, ["e_homo_ev"], [42])
    other = [{**row, "data_fingerprint": "f" * 16, "training": "x", "value": 9.0} for row in rows]
    results.write(tmp_path / "results.csv", results.table([*rows, *other]))
    report = page.build(numbers_of(tmp_path), None)
    assert any("different data" in line and "f" * 16 in line for line in report.warnings)
    boards = [table for table in report.tables() if table.name.endswith("-frontier")]
    boards = [table for table in boards if "MAE" in table.title]
    assert [table.rows[0][1].text for table in boards] == ["0.200", "9.00"]


def test_trainings_of_studies_are_no_models_of_the_leaderboard(tmp_path):
    rows = planted.write(tmp_path, {"gcn": 0.2}, ["e_homo_ev"], [42])
    part = [{**row, "setting": "train_fraction 0.1", "training": "gcn-part"} for row in rows]
    results.write(tmp_path / "results.csv", results.table([*rows, *part]))

    def labels():
        report = page.build(numbers_of(tmp_path), None)
        (board,) = [table for table in report.tables() if table.name == "leaderboard-frontier"]
        return [row[0].text for row in board.rows[:-2]]

    assert labels() == ["gcn", "gcn, train_fraction 0.1"]
    (tmp_path / "studies").mkdir()
    results.write(tmp_path / "studies" / "learning_curve.csv", results.table([*rows, *part]))
    assert labels() == ["gcn"]


def test_a_start_as_pytorchs_stays_beside_a_study_of_trainings_of_that_name(tmp_path):
    rows = planted.write(tmp_path, {"gcn": 0.2}, ["e_homo_ev"], [42], data="ptbp")
    torch = [{**row, "setting": "init torch", "training": "gcn-e_homo_ev-seed42"} for row in rows]
    results.write(tmp_path / "results.csv", results.table([*rows, *torch]))
    (tmp_path / "studies").mkdir()
    results.write(tmp_path / "studies" / "elements.csv", results.table(torch))
    report = page.build(numbers_of(tmp_path), None)
    (board,) = [table for table in report.tables() if table.name == "leaderboard-frontier"]
    assert [row[0].text for row in board.rows[:-2]] == ["gcn", "gcn, init torch"]


def test_published_numbers_are_compared_on_their_data_only(tmp_path):
    for data, words in (
        ("gfn2_xtb", "Published numbers, of another dataset"),
        ("tfds:quantum_canvas/ptbp", "Published numbers beside ours"),
    ):
        path = tmp_path / data[:4]
        planted.write(path, {"gcn": 0.53, "vit": 0.7}, ["e_homo_ev"], [42], data=data)
        report = page.build(numbers_of(path), None)
        (table,) = [one for one in report.tables() if one.name.endswith("published")]
        assert table.title == words
        cells = [cell.text for cell in table.rows[0]]
        assert cells[:5] == ["gcn", "e_homo_ev", "eV", "0.265", "0.530"]
        assert table.rows[0][0].note == "published as egnn"
        compared = ["2.0", "one seed", "not found", "benchmark"]
        assert cells[5:] == ([] if data == "gfn2_xtb" else compared)
        first = next(one for one in report.tables())
        assert (first.name == table.name) == (data != "gfn2_xtb")


@pytest.mark.slow
def test_canvases_are_drawn_where_the_data_are_the_same(tmp_path):
    table = open_table("gfn2_xtb")
    planted.write(
        tmp_path, {"gcn": 0.2}, ["e_homo_ev"], [42], fingerprint=table.fingerprint(), epochs=1
    )
    report = page.build(planted.read(tmp_path), None)
    (picture,) = [one for one in report.pictures() if one.name.endswith("canvases")]
    assert picture.data.name.tolist() == ["Ag_Al", "Al_Al", "O_Ti", "N_N"]
    assert not any(one.name.startswith("leaderboard-training") for one in report.pictures())


def test_nothing_to_report():
    with pytest.raises(InputError, match="expected --workdir"):
        page.build(None, None)


EMPTY = layout.Report("nothing", "", (), ())


def test_what_is_ended_while_it_is_drawn_leaves_nothing(tmp_path, monkeypatch):
    def ended(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "render", ended)
    with pytest.raises(KeyboardInterrupt):
        export.write(EMPTY, tmp_path)
    links.check_out(tmp_path)
    assert not list(tmp_path.iterdir())


def test_bad_input(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "render", lambda *_: "")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be made"):
        export.write(EMPTY, tmp_path / "file" / "report")


SELF_TEST = """
<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const table = document.querySelector("#leaderboard-frontier");
  const texts = () => [...table.tBodies[0].rows].map((row) => row.cells[1].textContent.trim());
  const before = texts();
  const button = table.tHead.rows[0].cells[1].querySelector("button");
  button.click();
  const up = texts();
  button.click();
  const down = texts();
  const head = table.tHead.rows[0].cells[0].querySelector("button");
  head.click();
  const names = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
  const wide = document.documentElement.scrollWidth;
  const dark = getComputedStyle(document.body).backgroundColor;
  const map = document.querySelector(".drawing").parentElement;
  const hint = getComputedStyle(map.previousElementSibling).display;
  const hidden = map.scrollWidth - map.clientWidth;
  parent.postMessage({ hint, hidden, before, up, down, names, wide, dark, inner: innerWidth }, "*");
});
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_in_a_browser(made, tmp_path):
    """No console errors, tables sort, nothing overflows on a phone, and it is dark at night."""
    _, out, _ = made
    text = (out / "report.html").read_text()
    (tmp_path / "tested.html").write_text(text.replace("</body>", SELF_TEST + "</body>"))
    (tmp_path / "frame.html").write_text(FRAME)
    (found,), console = browse(tmp_path)
    assert console == []
    assert found["inner"] == 380 and found["wide"] <= 380
    assert found["hint"] == "block" and found["hidden"] > 100  # the page says that it scrolls

    def numbers(texts):
        return [float(text.split()[0]) for text in texts if text != "–"]

    assert numbers(found["before"]) != numbers(found["up"])
    assert numbers(found["up"]) == sorted(numbers(found["before"]))
    assert numbers(found["down"]) == sorted(numbers(found["before"]), reverse=True)
    names = [name.casefold() for name in found["names"]]
    assert names == sorted(names)
    (night,), _ = browse(tmp_path, "--force-dark-mode", "--blink-settings=preferredColorScheme=0")
    assert found["dark"] == "rgb(255, 255, 255)" != night["dark"]
