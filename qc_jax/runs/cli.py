"""Start scripts: flags of their own, errors in one line, signals and exit codes.

A script ends with 0; with 1 for a bug in qc_jax, whose traceback it shows; with 2 for what the user
or the machine got wrong, told in one line; with 130 after Ctrl-C; or with 143 after SIGTERM, which
clouds send beforehand, while there is work left.
"""

import contextlib
import errno
import functools
import io
import logging
import os
import pathlib
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import psutil
from absl import flags
from absl import logging as absl_logging

from qc_jax.errors import InputError
from qc_jax.runs import cards, programs
from qc_jax.train import loop

# What to install for a module that not all users need.
EXTRAS = {
    "apache_beam": "beam",
    "jinja2": "report",
    "pebble": "engines",
    "PIL": "report",
    "sklearn": "boosting",
    "tabulate": "report",
    "tblite": "engines",
    "tensorflow": "tf",
    "torch": "torch",
}
# What a machine may refuse anywhere; also in the words of libraries that are not Python's.
_REFUSED = {
    code: os.strerror(code)
    for code in (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP),
    )
}
_HELP = {"-h", "-help", "--help", "--helpfull", "-?"}


class Card:
    """The card that a script's --config names, with its changed fields.

    Args:
      default: returns the name of the card where the flag is not given; None where it must be.
    """

    def __init__(self, default: Callable[[], str | None] | None = None):
        self._default = default
        self.changes: dict[str, str] = {}
        self.text: Callable[[], str | None] = lambda: None

    @functools.cached_property
    def value(self) -> dict[str, Any]:
        """The configuration, whole: what the card lacks has its default.

        Raises:
          InputError: no such card, or a field or value that it can't have.
        """
        text = self.text() or (self._default() if self._default else None)
        if text is None:
            if not self.changes:
                return {}
            raise InputError(f"--config.{next(iter(self.changes))}: expected --config=CARD, too")
        config = cards.load(*cards.find(text))
        for field in sorted(self.changes, key=lambda field: field != "model"):
            cards.change(config, field, self.changes[field])
        whole = cards.whole(config.to_dict())
        self._check_swept(whole["model"]["name"], whole["sweep"]["model"])
        return whole

    def _check_swept(self, name: str, swept: str) -> None:
        """Raise InputError where fields of a model are changed that the sweep leaves out."""
        if swept and name not in [word.strip() for word in swept.split(",")]:
            for field in self.changes:
                if field.partition(".")[0] == "model":
                    raise InputError(
                        f"--config.{field}: expected {name} in sweep.model, got {swept}"
                    )


class Flags:
    """The flags of one script, of which no other script in the process knows.

    Args:
      about: what --help shows above them; the script's docstring.
    """

    def __init__(self, about: str | None = None):
        self._about, self._values = about or "", flags.FlagValues()
        self._card = Card()
        self._values.set_gnu_getopt()

    def _define(self, kind: Callable[..., flags.FlagHolder], *args: Any, **more: Any):
        return kind(*args, flag_values=self._values, **more)

    string = functools.partialmethod(_define, flags.DEFINE_string)
    integer = functools.partialmethod(_define, flags.DEFINE_integer)
    number = functools.partialmethod(_define, flags.DEFINE_float)
    boolean = functools.partialmethod(_define, flags.DEFINE_boolean)
    enum = functools.partialmethod(_define, flags.DEFINE_enum)
    strings = functools.partialmethod(_define, flags.DEFINE_list)

    def card(
        self,
        about: str = "Experiment card: its name or FILE.py; ':quick' behind it for seconds.",
        required: bool = True,
        default: Callable[[], str | None] | None = None,
    ) -> Card:
        """Define --config and --config.FIELD; see `Card`."""
        self._card = Card(default)
        holder = self.string("config", None, about, required=required)
        self._card.text = lambda: holder.value
        return self._card

    def reset(self) -> None:
        """Forget a command line."""
        self._values.unparse_flags()
        for name in self._values:
            self._values[name].unparse()
        self._card.changes.clear()
        self._card.__dict__.pop("value", None)

    def given(self) -> set[str]:
        """Return the names of the flags that the command line holds."""
        return {name for name in self._values if self._values[name].present}

    def parse(self, words: list[str]) -> list[str]:
        """Take the flags off the words of a command line, and return what is left.

        Raises:
          InputError: an unknown flag, or a wrong value.
        """
        if _HELP & set(words):
            print(self.help())
            sys.exit(0)
        if "config" in self._values:
            words = self._take_changes(words)
        try:
            rest = self._values([sys.argv[0], *words])[1:]
        except flags.Error as error:
            missing = re.search(r"--(\w+)=None: Flag --\w+ must have a value", str(error))
            if missing:
                about = self._values[missing[1]].help
                raise InputError(f"expected --{missing[1]}: {about}") from error
            raise InputError(str(error).replace("flag --", "--")) from error
        for name in sorted(self.given()):
            if self._values[name].value == [] or (name == "config" and not self._card.text()):
                raise InputError(f"--{name}: expected a value, got none")
        return rest

    def _take_changes(self, words: list[str]) -> list[str]:
        """Take off '--config.FIELD=VALUE', and '--config.FIELD VALUE'."""
        rest, todo = [], list(words)
        while todo:
            word = todo.pop(0)
            if not word.startswith(("--config.", "-config.")):
                rest.append(word)
                continue
            field, equals, text = word.lstrip("-").removeprefix("config.").partition("=")
            if not equals:
                text = todo.pop(0) if todo and not todo[0].startswith("--") else "true"
            self._card.changes[field] = text
        return rest

    def help(self) -> str:
        """Return the text of --help."""
        about = self._about.strip()
        started = getattr(sys.modules["__main__"], "__spec__", None)
        if started is not None and started.name.startswith("qc_jax."):  # by `qc-jax`
            about = re.sub(r"python -m experiments\.(\w+)", r"qc-jax \1", about)
        lines = [about, ""]
        for name in sorted(set(self._values) - {"flagfile", "undefok"}):
            flag = self._values[name]
            default = "" if flag.default in (None, "", [], False) else f" (default: {flag.default})"
            lines += [f"  --{name}", f"      {flag.help}{default}"]
        return "\n".join(lines)


def explain(error: BaseException) -> str | None:
    """Return the line that tells what went wrong, or None where it is a bug in qc_jax."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError | flags.Error):
        return text
    if isinstance(error, ModuleNotFoundError):
        module = str(error.name).partition(".")[0]
        if module in EXTRAS:
            return f"{module} is not installed; `pip install 'qc-jax[{EXTRAS[module]}]'` brings it"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED: Out of memory" in text:
        free = psutil.virtual_memory().available / 2**30
        return f"not enough memory, {free:.1f} GiB are free here: {text or 'expected more'}"
    if _lacks_device(error):
        platforms = os.environ.get("JAX_PLATFORMS", "")
        return (
            f"JAX_PLATFORMS={platforms}: JAX finds no such device here; unset it, or install JAX "
            f"for it (`pip install 'qc-jax[cuda]'` or 'qc-jax[tpu]')"
        )
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno in _REFUSED:
            where = "" if inner.filename is None else f"{inner.filename}: "
            return f"{where}{inner.strerror}"
        inner = inner.__cause__ or inner.__context__
    for words in _REFUSED.values():
        if words in text:
            return text
    return None


def _lacks_device(error: BaseException) -> bool:
    """Return whether JAX failed to find devices of the kind that JAX_PLATFORMS asks for."""
    frames = traceback.extract_tb(error.__traceback__)
    in_search = bool(frames) and pathlib.Path(frames[-1].filename).name == "xla_bridge.py"
    return in_search and bool(os.environ.get("JAX_PLATFORMS"))


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell an error in its line, or a bug by its traceback, and end with the exit code of it."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
    except Exception as error:
        line = explain(error)
        if line is None:
            print("a bug in qc_jax, please report it with the lines below:", file=sys.stderr)
            traceback.print_exc()
            _leave(1)
        print(f"error: {line}", file=sys.stderr)
        _leave(2)


def _leave(code: int) -> None:
    """Exit, also where the last words on standard output have no place, as on a full disk."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def prepare_streams() -> None:
    """Let output in ASCII replace what it can't write, and hide what libraries tell in passing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    # What matters is raised; orbax and TFDS tell every step, and errors that they raise as well.
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("qc_jax").setLevel(logging.WARNING)  # ours are told, whatever absl's level


def run(main: Callable[[list[str]], None], own: Flags, words: str | None = None) -> None:
    """Run a script's `main` with the words of the command line that are no flags.

    Args:
      main: of the script.
      own: its flags.
      words: what they are, like 'PAIR …'; None refuses any.
    """
    prepare_streams()
    with told():
        rest = own.parse(sys.argv[1:])
        if rest and words is None:
            known = rest[0].partition("=")[1] and not rest[0].startswith("-")
            hint = f"; did you mean --{rest[0]}?" if known else ""
            raise InputError(f"expected flags only, got {rest[0]!r}{hint}")
        programs.keep()
        main(rest)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C or SIGTERM has asked to stop.

    Where the block raises `loop.Interrupted`, all is saved: says so and exits with 130 or 143. A
    second Ctrl-C stops at once.
    """
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            os.write(2, b"\nstopping after this epoch, to save it; Ctrl-C again stops at once\n")
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    except loop.Interrupted:
        by = asked[0] if asked else signal.SIGTERM  # or another process of the run was asked
        name = "Ctrl-C" if by == signal.SIGINT else "SIGTERM"
        print(f"stopped by {name}, and all is saved: the same command goes on")
        sys.exit(128 + by)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_out(path: pathlib.Path) -> None:
    """Raise InputError unless `path`, of --out, is an empty directory or not there."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"--out: expected an empty or new directory, got {path}")


def check_file(path: str, endings: tuple[str, ...], overwrite: bool, of: str = "") -> None:
    """Raise InputError unless a file may be written at `path`, of --out.

    Args:
      path: of --out.
      endings: that it may have.
      overwrite: whether one that is there may be replaced.
      of: what asks for these endings, like '--format=csv'; '' where nothing else can be asked for.
    """
    if not path.endswith(endings):
        words = f" for {of}" if of else ""
        expected = " or ".join(endings)
        raise InputError(f"--out: expected a file that ends in {expected}{words}, got {path}")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise InputError(f"--out: no such directory: {os.path.dirname(path)}")
    if os.path.exists(path) and not overwrite:
        raise InputError(f"{path}: exists already; add --overwrite or choose another path")


def make_out(path: pathlib.Path) -> None:
    """Make the directory of --out where it is not there; raise InputError where it can't be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: {path}: cannot be written: {error.strerror}") from error
