"""The explorer in a browser: what it draws, its keyboard, its fragments, and what axe-core says."""

import os
import pathlib

import numpy as np
import pytest

import qc_jax
from qc_jax.canvas import densities
from qc_jax.report.explorer import writing
from qc_jax.runs import sources
from tests.report.browser import CHROMIUM, FRAME, browse
from tests.report.explorer import made

# Names axe.min.js of npm's axe-core, which is not shipped here.
AXE = os.environ.get("QC_JAX_AXE", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

SELF_TEST = pathlib.Path(__file__).with_name("self_test.js").read_text(encoding="utf-8")


def opened(found, tmp_path, *options):
    """What the self-test finds in a page, and what the console says."""
    text = writing.render(found)
    axe = f"<script>{pathlib.Path(AXE).read_text()}</script>\n" if AXE else ""
    assert text.count("\nstart();\n") == 1
    text = text.replace("\nstart();\n", f"\nstart();\n{SELF_TEST}").replace(
        "</head>", f"{axe}</head>"
    )
    (tmp_path / "tested.html").write_text(text)
    (tmp_path / "frame.html").write_text(FRAME)
    (out,), console = browse(tmp_path, *options, milliseconds=600_000)
    return out, console


@pytest.mark.parametrize("data", ["ptbp", "gfn2_xtb"])
def test_every_pair_opens(data, tmp_path):
    out, console = opened(made.of(data), tmp_path)
    assert console == [] and out["errors"] == []
    assert out["pairs"] == len(sources.open_table(data)) and out["wide"] == []
    assert out["inner"] == 380 and out["unnamed"] == 0
    assert out["covered"] == {"ptbp": 75, "gfn2_xtb": 73}[data]
    assert (out["arrow"], out["chosen"], out["tabstops"]) == ("He", "He–O", 1)
    assert "“Xx” is no element" in out["unknown"]
    assert f"Cerium (Ce) is not among the {out['covered']} elements of {data}" in out["uncovered"]
    assert out["found"] == ["", "H–O"]
    title, words, wide = out["map"]
    assert title.startswith("HOMO: error of ") and "elements. 2" in words and wide <= 0
    assert out["readout"].startswith("H–He: ") and out["opened"] == "#pair=H_He"
    title, wide, points = out["trend"]
    assert title == "Bond length with H · QuantumCanvas explorer" and wide <= 0 and points > 90
    assert out["wrong"] == f"“nothing” is no target of {data}."
    assert out["daggers"] == (2 if data == "ptbp" else 0)  # bond length, repulsive energy


@pytest.mark.skipif(not AXE, reason="QC_JAX_AXE names no axe.min.js")
@pytest.mark.parametrize(
    "options", [(), ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")]
)
def test_nothing_that_axe_knows_is_violated(options, tmp_path):
    out, _ = opened(made.of(symbols=made.SYMBOLS, levels=True), tmp_path, *options)
    assert len(out["axe"]) == 3
    for hash_, passes, violations in out["axe"]:
        assert passes > 20 and violations == [], hash_


def test_it_draws_what_python_draws(tmp_path):
    table = made.table()
    out, console = opened(made.of(symbols=made.SYMBOLS, levels=True), tmp_path)
    assert console == [] and out["errors"] == [] and out["pairs"] == len(table)
    row = table.row("H_O")
    canvas = np.array(out["canvas"]).reshape(32, 32, 10)
    expected = np.asarray(qc_jax.render(qc_jax.features(table)[row]))
    np.testing.assert_allclose(canvas, expected, rtol=1e-5, atol=1e-6)
    assert out["names"] == list(densities.CHANNELS)
    (drawn,) = np.asarray(densities.render(["H_O"], table.targets["distance_ang"][[row]], 32))
    images = np.array(out["images"]).reshape(-1, 32, 32)
    for channel, name in enumerate(densities.CHANNELS):
        largest = np.abs(drawn[..., channel]).max()
        np.testing.assert_allclose(
            images[channel], drawn[..., channel], atol=2e-3 * largest + 1e-7, err_msg=name
        )
    header, first, *_ = out["csv"].splitlines()
    assert header.startswith("target,unit,computed,tight_binding/ptbp,")
    assert float(first.split(",")[2]) == pytest.approx(table.targets["e_g_ev"][row], rel=1e-5)
