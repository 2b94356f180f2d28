"""How every script here starts: flags parsed, bad input told in one line with exit code 2."""

import contextlib
import pathlib
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from absl import app, flags, logging

from qc_jax.errors import InputError, choose


def _fail(error: BaseException) -> NoReturn:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(2)


def _cause(error: BaseException) -> BaseException:
    """The InputError that a config file raised, from under what ml_collections made of it."""
    found, inner = error, error.__context__
    while inner is not None:
        found = inner if isinstance(inner, InputError) else found
        inner = inner.__context__
    return found


def _paths(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        yield prefix + name
        if hasattr(value, "items"):
            yield from _paths(value, f"{prefix}{name}.")


def _check_fields(argv: list[str]) -> None:
    """Raises InputError where `--config.FIELD` is no field of the `--config` that is given."""
    for item in argv:
        field = re.match(r"--?(\w+)\.([\w.]+)", item)
        if field is None or field[1] not in flags.FLAGS:
            continue
        given = re.findall(rf"\0--?{field[1]}[=\0]([^\0]+)", "\0".join(argv))
        if given:
            config: Any = flags.FLAGS[field[1]].parser.parse(given[-1])
            choose(f"field of --{field[1]}", field[2], _paths(config))


def _parse(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
        for name in flags.FLAGS:
            # ml_collections keeps a config file that is not there as an object that raises on any
            # access: raise now, while it is known to be the user's mistake.
            getattr(flags.FLAGS[name].value, "keys", None)
    # A config file is Python that ml_collections runs while it parses: a wrong field is an
    # AttributeError or KeyError there, a wrong value a TypeError or ValueError.
    except (AttributeError, KeyError) as error:
        try:
            _check_fields(argv)
        except InputError as unknown:
            _fail(unknown)
        _fail(_cause(error))
    except (flags.Error, TypeError, ValueError, OSError) as error:
        _fail(_cause(error))
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.WARNING)  # absl starts at INFO, where orbax tells every step
    return rest


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Says whether the machine has asked this process to end (SIGTERM), as clouds do beforehand."""
    asked = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


def check_out(path: pathlib.Path) -> None:
    """Raises InputError unless `path`, of --out, is an empty directory or not there."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"--out: expected an empty or new directory, got {path}")


def make_out(path: pathlib.Path) -> None:
    """Makes the directory of --out where it is not there; raises InputError where it can't be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: {path}: cannot be written: {error.strerror}") from error


def run(main: Callable[[list[str]], None]) -> None:
    """Runs `main` with the arguments that are no flags, as `absl.app.run` does.

    What the user got wrong (a flag, or an InputError from `main`) is one line on standard error and
    exit code 2, without a traceback; anything else is a bug and shows one.
    """

    def guarded(argv: list[str]) -> None:
        try:
            main(argv[1:])
        except InputError as error:
            _fail(error)

    app.run(guarded, flags_parser=_parse)
