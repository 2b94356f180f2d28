"""The bar above a sweep that trains."""

from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from experiments.sweep import Sweep
from qc_jax.train import hosts


def train(made: Sweep, stop: Callable[[], bool]) -> None:
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
