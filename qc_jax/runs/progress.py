"""Progress bars."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from qc_jax.train import hosts

if TYPE_CHECKING:
    from qc_jax.runs.sweep import Sweep


class Bar:
    """A progress bar that learns how much there is to do on its first call.

    What takes a `progress` function takes one; use it in a `with` statement.
    """

    def __init__(self):
        self._bar: tqdm | None = None

    def __call__(self, done: int, total: int) -> None:
        """Shows `done` of `total` pairs."""
        if self._bar is None:
            self._bar = tqdm(total=total, initial=done, unit="pair", file=sys.stderr)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def train(made: "Sweep", stop: Callable[[], bool]) -> None:
    """Trains what is not done, beneath a bar that counts epochs; a row says what is going on."""
    done, seen = set[str](), dict[str, int]()
    with tqdm(
        total=len(made) * made.epochs, unit="epoch", disable=not hosts.first(), smoothing=0.02
    ) as bar:

        def show() -> None:
            going = {name for name in seen if name not in done}
            example = next(iter(going), "")
            words = f"{len(done)} of {len(made)} trainings done, {len(going)} running {example}"
            bar.set_postfix_str(words, refresh=False)

        def on_epoch(name: str, line: dict[str, Any]) -> None:
            bar.update(line["epoch"] - seen.get(name, 0))
            seen[name] = line["epoch"]
            show()

        def on_end(name: str) -> None:
            bar.update(made.epochs - seen.get(name, 0))
            done.add(name)
            show()

        made.train(on_epoch, on_end, stop)
