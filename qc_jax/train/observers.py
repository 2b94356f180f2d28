"""Observers: what is told of a training as it goes, and may keep, show or stop it."""

import pathlib
from collections.abc import Callable
from typing import Any


class Observer:
    """What is told of one training; each method here does nothing.

    Attributes:
      checkpoints: The directory that states are kept in and restored from; None keeps none.

    Example:
      >>> import qc_jax
      >>> class Shown(qc_jax.Observer):
      ...     def on_epoch(self, line, resumed):
      ...         print("epoch", line["epoch"])
      >>> task = qc_jax.prepare(qc_jax.open_table("gfn2_xtb"), "e_homo_ev", train_fraction=0.1)
      >>> run = qc_jax.fit(qc_jax.create("pair_mean"), task, observers=[Shown()])
      epoch 1
    """

    checkpoints: pathlib.Path | None = None

    def history(self, epochs: int) -> list[dict[str, Any]] | None:
        """Return what each of the epochs of a restored state measured; None where not known."""
        del epochs
        return None

    def on_epoch(self, line: dict[str, Any], resumed: bool) -> None:
        """Take what an epoch measured, as `loop.fit_stack` says; `resumed`: read from `history`."""

    def stop(self) -> bool:
        """Return whether to save and to stop; asked after every epoch.

        The training then raises `qc_jax.train.loop.Interrupted`.
        """
        return False


class Callbacks(Observer):
    """Functions as an observer.

    Args:
      on_epoch: Told of every epoch, those before an interruption included.
      stop: Asked after every epoch whether to save and to stop.
    """

    def __init__(
        self,
        on_epoch: Callable[[dict[str, Any]], Any] = lambda line: None,
        stop: Callable[[], bool] = lambda: False,
    ):
        self._on_epoch, self._stop = on_epoch, stop

    def on_epoch(self, line: dict[str, Any], resumed: bool) -> None:
        """Call the function with the line."""
        self._on_epoch(line)

    def stop(self) -> bool:
        """Return what the function says."""
        return self._stop()
