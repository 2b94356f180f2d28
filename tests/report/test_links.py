"""Links between the pages of one directory."""

from qc_jax.report import links


def test_pages_are_linked_once_both_are_there(tmp_path):
    text = f"<nav>{links._PLACE}</nav>"
    (tmp_path / links.REPORT).write_text(text)
    links.join(tmp_path)
    assert (tmp_path / links.REPORT).read_text() == text
    (tmp_path / links.EXPLORER).write_text(text)
    for _ in range(2):
        links.join(tmp_path)
        for name, other in ((links.REPORT, links.EXPLORER), (links.EXPLORER, links.REPORT)):
            assert (tmp_path / name).read_text().count(f'<a href="{other}">') == 1


def test_both_pages_have_the_place():
    from importlib.resources import files

    package = files("qc_jax.report")
    for path in ("templates/report.html", "explorer/page/explorer.html"):
        assert links._PLACE in (package / path).read_text()
