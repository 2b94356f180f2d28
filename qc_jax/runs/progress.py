"""Progress: bars in terminals, and elsewhere, as in a log, a line a minute."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from qc_jax.train import hosts

if TYPE_CHECKING:
    from qc_jax.runs.sweep import Sweep

_LINE_SECONDS = 60.0


class Bar:
    """Progress that learns how much there is to do on its first call; use it in a `with` statement.

    What takes a `progress` function takes one.

    Args:
      unit: of what is counted.
      name: of the work.
      shown: whether anything is written at all.
    """

    def __init__(self, unit: str = "pairs", name: str = "", shown: bool = True):
        self._unit, self._name, self._shown = unit, name, shown
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._told = time.monotonic()

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Show that `done` of `total` are done; `words` tell more."""
        if not self._shown:
            return
        if not self._console.is_terminal:
            if time.monotonic() - self._told > _LINE_SECONDS:
                self._told = time.monotonic()
                parts = (self._name, f"{done} of {total} {self._unit}", words)
                print(", ".join(filter(None, parts)), file=self._console.file, flush=True)
            return
        if self._bar is None:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn(self._unit))
            self._bar = Progress(
                TextColumn("{task.description}"),
                *columns,
                *(TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[words]}")),
                console=self._console,
            )
            self._bar.add_task(self._name, words="")
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, words=words)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def of_training(bar: Bar, epochs: int, target: str, rows: int) -> Callable[[dict[str, Any]], None]:
    """Return what shows each epoch of one training.

    Args:
      bar: where.
      epochs: at most.
      target: whose validation error is shown.
      rows: of an epoch.
    """

    def on_epoch(line: dict[str, Any]) -> None:
        error = line["validation_mae"][target]
        speed = rows / line["seconds"]
        words = f"loss {line['loss']:.4f}, validation MAE {target} {error:.4f}, {speed:.0f} rows/s"
        bar(line["epoch"], epochs, words)

    return on_epoch


def train(made: "Sweep", stop: Callable[[], bool]) -> None:
    """Train what is not done, beneath a bar that counts epochs; its words say what is going on."""
    done, seen = set[str](), dict[str, int]()
    with Bar("epochs", shown=hosts.first()) as bar:

        def show() -> None:
            going = {name for name in seen if name not in done}
            example = next(iter(going), "")
            words = f"{len(done)} of {len(made)} trainings done, {len(going)} running {example}"
            epochs = sum(seen[name] for name in going) + made.epochs * len(done)
            bar(epochs, len(made) * made.epochs, words)

        def on_epoch(name: str, line: dict[str, Any]) -> None:
            seen[name] = line["epoch"]
            show()

        def on_end(name: str) -> None:
            done.add(name)
            show()

        made.train(on_epoch, on_end, stop)
