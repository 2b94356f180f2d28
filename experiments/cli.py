"""How every script here starts: flags parsed, bad input told in one line with exit code 2."""

import sys
from collections.abc import Callable

from absl import app, flags, logging

from qc_jax.errors import InputError


def _fail(error: Exception) -> None:
    text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    print(f"error: {' '.join(str(text).split())}", file=sys.stderr)
    sys.exit(2)


def _parse(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
    # A config file is Python that ml_collections runs while it parses: a wrong field is an
    # AttributeError or KeyError there, a wrong value a TypeError or ValueError.
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        _fail(error)
        raise
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.WARNING)  # absl starts at INFO, where orbax tells every step
    return rest


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
