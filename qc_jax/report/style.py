"""How the report's figures look, and how they become SVG and PNG."""

import contextlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import matplotlib
from matplotlib import colormaps
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Text and axes. On the page this colour becomes that of the text around it, by day and by night.
INK = "#16181d"
GREY = "#7f8790"  # reads on white and on black
ACCENT = "#3b82c4"
HEAT = "viridis"
_PNG_DPI = 160
# Rasterised parts of an SVG: points of a scatter plot, images.
_SVG_DPI = 110

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "qc_jax",  # the same figure gives the same file
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor"), INK),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), GREY),
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """What is drawn inside looks like the report."""
    with matplotlib.rc_context(cast(Any, _SETTINGS)):  # the keys are a literal type
        yield


def colours(labels: Sequence[str]) -> dict[str, Any]:
    """A colour for each label, the same wherever the same labels are given."""
    names = sorted(set(labels))
    map_ = colormaps["tab10" if len(names) <= 10 else "tab20"]
    return {name: map_(index % map_.N) for index, name in enumerate(names)}


def marks(labels: Sequence[str]) -> dict[str, str]:
    """A line style for each label, for those who do not see the colours apart."""
    styles = ("-", "--", "-.", ":")
    return {name: styles[index % 4] for index, name in enumerate(sorted(set(labels)))}


def plain_ticks(axis: Axis) -> None:
    """Numbers like 0.2 and 50 on a logarithmic axis, not powers of ten, and not too many.

    Called when everything is drawn: the range says how many there is room for.
    """
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    steps = [1.0] if decades > 1.8 else [1.0, 2.0, 5.0]
    if decades < 0.6:
        steps = [1.0, 1.5, 2.0, 3.0, 5.0, 7.0]
    axis.set_major_locator(LogLocator(base=10, subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axis.set_minor_formatter(NullFormatter())


def columns_of(panels: int, most: int = 4) -> int:
    """How many of the panels stand side by side, so that no row is much shorter."""
    return -(-panels // -(-panels // most))


def svg(figure: Figure) -> str:
    """A figure as an SVG file without a background; it is drawn in `style()`."""
    file = io.StringIO()
    with style():
        figure.savefig(file, format="svg", transparent=True, dpi=_SVG_DPI, metadata={"Date": None})
    figure.set_layout_engine("none")  # what is laid out stays; it is half the time of drawing again
    return file.getvalue()


def for_page(text: str) -> str:
    """What `svg` gives, made to stand in a page: its size, font and colour are the page's."""
    text = text[text.index("<svg") :]
    for needless in (
        r"<metadata>.*?</metadata>",
        r"<!--.*?-->",
        r' id="(?:figure|axes|patch|text|line2d|xtick|ytick|matplotlib|PolyCollection)_?[^"]*"',
        r"font-family: [^;\"]*; ",
        r'<path d="[^"]*" style="fill: none"/>',  # which nothing draws
        r' transform="rotate\(-0 [^"]*"',
    ):
        text = re.sub(needless, "", text, flags=re.DOTALL)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)  # hundredths of a point are enough
    text = re.sub(r"\s+", " ", text).replace("> <", "><")
    for _ in range(3):
        text = text.replace("<g/>", "").replace("<g></g>", "")
    return text.replace(INK, "currentColor")


def png(figure: Figure) -> bytes:
    """A figure as PNG on white."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format="png", dpi=_PNG_DPI, facecolor="white")
    return file.getvalue()
