"""Tables and pictures as a report shows them: on the page, in Markdown, LaTeX and CSV."""

import dataclasses
import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

LEAKED_MARK = "†"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
      text: what is read.
      order: what a column is sorted by; the text where None.
      bold: for what is significantly best.
      leaked: for a score on a target that the model's inputs leak.
      note: a few small words behind the text.
      title: a longer word, for those who point at it.
    """

    text: str
    order: float | None = None
    bold: bool = False
    leaked: bool = False
    note: str = ""
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column's heading: its name, what stands small below it, and whether it holds numbers."""

    name: str
    unit: str = ""
    numeric: bool = True


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that is shown.

    Attributes:
      name: of its files.
      title: above it.
      columns: the first names the rows.
      rows: of as many cells as there are columns.
      caption: below the title.
      folded: whether the page shows it only when asked to.
      muted: the rows, by number, that are set apart: baselines.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    folded: bool = False
    muted: frozenset[int] = frozenset()

    def _frame(self, strong: str, mark: str, escape=lambda text: text) -> pd.DataFrame:
        heads = [
            escape(f"{one.name} ({one.unit})" if one.unit else one.name) for one in self.columns
        ]
        lines = []
        for row in self.rows:
            words = []
            for cell in row:
                text = escape(f"{cell.text} {cell.note}".strip())
                text = strong.format(text) if cell.bold else text
                words.append(text + mark if cell.leaked else text)
            lines.append(words)
        return pd.DataFrame(lines, columns=heads)

    def markdown(self) -> str:
        """With its title as a heading."""
        frame = self._frame("**{}**", f" {LEAKED_MARK}", lambda text: text.replace("|", "\\|"))
        align = ["right" if one.numeric else "left" for one in self.columns]
        # Numbers stay as they are written: 0.3360 has four digits.
        body = frame.to_markdown(index=False, disable_numparse=True, colalign=align)
        words = f"### {self.title}\n\n" + (f"{self.caption}\n\n" if self.caption else "")
        return f"{words}{body}\n"

    def latex(self) -> str:
        """A table environment of the package booktabs."""
        frame = self._frame("\\textbf{{{}}}", "$^\\dagger$", _for_latex)
        return frame.to_latex(
            index=False,
            escape=False,
            column_format="".join("r" if one.numeric else "l" for one in self.columns),
            caption=_for_latex(f"{self.title}. {self.caption}".strip()),
            label=f"tab:{self.name}",
            position="htbp",
        )

    def csv(self) -> str:
        """What the page shows, without marks."""
        return self._frame("{}", "").to_csv(index=False)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure that is shown.

    Attributes:
      name: of its files.
      title: above it, and its description for those who do not see it.
      figure: drawn in the style of `qc_jax.report.style`.
      data: what it shows.
      caption: below it.
      width: pixels below which it is scrolled, not shrunk.
      data_name: of the file of its data, where several pictures show the same.
    """

    name: str
    title: str
    figure: Figure
    data: pd.DataFrame
    caption: str = ""
    width: int = 640
    data_name: str = ""

    def csv(self) -> str:
        """The data, numbers with six significant digits."""
        return self.data.to_csv(index=False, float_format="%.6g")


@dataclasses.dataclass(frozen=True)
class Group:
    """Things that are shown together, folded away."""

    title: str
    items: Sequence[Table | Picture]
    columns: int = 3  # side by side, where there is room


@dataclasses.dataclass(frozen=True)
class Part:
    """A chapter of the report."""

    anchor: str
    title: str
    items: Sequence[Table | Picture | Group]
    words: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    lists: Sequence[tuple[str, Sequence[str]]] = ()


@dataclasses.dataclass(frozen=True)
class Report:
    """All of it.

    Attributes:
      title: of the page.
      subtitle: below it.
      warnings: what a reader must know before anything else.
      parts: the chapters.
    """

    title: str
    subtitle: str
    warnings: Sequence[str]
    parts: Sequence[Part]

    def tables(self) -> list[Table]:
        """All tables, in their order."""
        return [item for item in self._items() if isinstance(item, Table)]

    def pictures(self) -> list[Picture]:
        """All pictures, in their order."""
        return [item for item in self._items() if isinstance(item, Picture)]

    def _items(self) -> list[Table | Picture]:
        found: list[Table | Picture] = []
        for part in self.parts:
            for item in part.items:
                found += item.items if isinstance(item, Group) else [item]
        return found


_LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "²": "$^2$",
    "Å": r"\AA{}",
    LEAKED_MARK: r"$^\dagger$",
    "χ": r"$\chi$",
    "μ": r"$\mu$",
    "η": r"$\eta$",
    "α": r"$\alpha$",
    "<": "$<$",
    ">": "$>$",
    "–": "--",
    "…": r"\ldots{}",
}


def _for_latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def counted(count: int, one: str) -> str:
    """Return '1 training' or '2 trainings'."""
    return f"{count:,} {one}" + ("" if count == 1 else "s")


def number(value: float, digits: int = 3) -> str:
    """A number with as many significant digits, a proper minus, and no needless exponent."""
    if not math.isfinite(value):
        return "–"
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        text = f"{value:.{digits - 1}e}"
    else:
        text = f"{value:.{_decimals(value, digits)}f}"
    return text.replace("-", "−")


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else digits - 1


def spread(mean: float, std: float, digits: int = 3) -> str:
    """'0.336 ± 0.012', both to the same place; the mean alone where there is no deviation."""
    text = number(mean, digits)
    if not (math.isfinite(mean) and math.isfinite(std)):
        return text
    if "e" in text:
        return f"{text} ± {number(std, 2)}"
    return f"{text} ± {std:.{_decimals(mean, digits)}f}"
