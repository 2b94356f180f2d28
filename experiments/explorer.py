"""Writes a page to explore all pairs: orbitals, levels, curves, predictions, maps.

    python -m experiments.explorer --out=DIR [--data=ptbp] [--workdir=runs/egnn,runs/benchmark]
    python -m experiments.explorer --serve          # and shows it at http://127.0.0.1:8000
    python -m experiments.explorer --out=DIR --elements=H,C,N,O

DIR gets explorer.html, one file that needs neither the network nor a server; a report.html beside
it is linked, both ways. Levels, orbitals and energy curves come from tight binding: those of all
pairs take five CPU minutes the first time, ten seconds later; --nolevels leaves them out.
"""

import functools
import http.server
import os
import tempfile
from pathlib import Path

from qc_jax.data.table import DEFAULT
from qc_jax.errors import InputError
from qc_jax.report import links
from qc_jax.report.explorer import contents, writing
from qc_jax.runs import cli, sources
from qc_jax.runs.progress import Bar

FLAGS = cli.Flags(__doc__)
_OUT = FLAGS.string("out", None, "Where to: a new directory, or one with a report.")
_DATA = FLAGS.string("data", DEFAULT, "A table of pairs, as of train.")
_ELEMENTS = FLAGS.strings("elements", None, "Only pairs of these, like H,C,N,O.")
_WORKDIR = FLAGS.strings("workdir", None, "Models or benchmarks whose predictions are shown, too.")
_LEVELS = FLAGS.boolean("levels", True, "Levels, orbitals and curves where the data have them.")
_SERVE = FLAGS.boolean("serve", False, "Serve the page on this machine until Ctrl-C.")
_PORT = FLAGS.integer("port", 8000, "Of --serve.", lower_bound=0, upper_bound=65535)


def main(_: list[str]) -> None:
    """Write the page and say where it is; serve it where asked."""
    if _OUT.value is None and not _SERVE.value:
        raise InputError("expected --out=DIR, --serve, or both")
    if _PORT.present and not _SERVE.value:
        raise InputError("--port belongs to --serve")
    if _OUT.value is None:
        with tempfile.TemporaryDirectory() as folder:
            _make(Path(folder))
        return
    out = Path(_OUT.value)
    links.check_out(out)
    _make(out)


def _make(out: Path) -> None:
    symbols = None if _ELEMENTS.value is None else [one.strip() for one in _ELEMENTS.value]
    table = sources.open_table(_DATA.value)
    with Bar(name="tight binding") as bar:
        found = contents.build(table, bar, symbols, _WORKDIR.value or (), _LEVELS.value)
    cli.make_out(out)
    replaced = ", in place of the one before" if (out / writing.NAME).exists() else ""
    path = writing.write(found, out)
    size = path.stat().st_size / 1e6
    pairs = found.about["places"]["base"]["atoms"]["shape"][0]
    print(f"{path}: {pairs} pairs, {size:.1f} MB{replaced}; open it in a browser")
    for sentence in found.about["not_shown"]:
        print(sentence)
    if _SERVE.value:
        _serve(out)


def _serve(out: Path) -> None:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:  # one line a request is none of the reader's
            pass

    handler = functools.partial(Handler, directory=os.fspath(out))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", _PORT.value), handler)
    except OSError as error:
        raise InputError(f"--port: {_PORT.value} cannot be served: {error.strerror}") from error
    with server:
        print(f"http://127.0.0.1:{server.server_port}/{writing.NAME}  (Ctrl-C ends it)", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    cli.run(main, FLAGS)
