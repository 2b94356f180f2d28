"""experiments.explorer, run as a user runs it."""

import re
import socket
import subprocess
import sys
import urllib.request

import pytest


def run(*flags):
    command = [sys.executable, "-m", "experiments.explorer", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_page_beside_a_report(tmp_path):
    (tmp_path / "report.html").write_text("<nav><!-- link to the other page --></nav>")
    done = run(f"--out={tmp_path}", "--elements=H,O", "--nolevels")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r".*explorer\.html: 3 pairs, 0\.\d MB; open it in a browser\n", done.stdout)
    again = run(f"--out={tmp_path}", "--elements=H,O", "--nolevels")
    assert "explorer.html: 3 pairs, 0." in again.stdout
    assert " MB, in place of the one before; open it" in again.stdout
    assert '<a href="report.html">' in (tmp_path / "explorer.html").read_text()
    assert '<a href="explorer.html">' in (tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "expected --out=DIR, --serve, or both"),
        (["--out=DIR/new", "--port=1"], "--port belongs to --serve"),
        (["--out=DIR"], "holds other files"),
        (["--out=DIR/file"], "expected a directory, got the file"),
        (["--out=DIR/new", "--data=nothing"], "unknown data 'nothing'"),
        (["--out=DIR/new", "--elements=H,Ce", "--nolevels"], "unknown element of ptbp 'Ce'"),
        (["--out=DIR/new", "--workdir=DIR/none", "--nolevels"], "none: no such directory"),
    ],
)
def test_bad_input_is_one_line(tmp_path, flags, words):
    (tmp_path / "file").write_text("")
    done = run(*(flag.replace("DIR", str(tmp_path)) for flag in flags))
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and words in line
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_it_serves(tmp_path):
    command = [sys.executable, "-m", "experiments.explorer", "--serve", "--port=0"]
    process = subprocess.Popen(
        [*command, "--elements=H,O", "--nolevels"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert "3 pairs" in process.stdout.readline()
        url = process.stdout.readline().split()[0]
        with urllib.request.urlopen(url, timeout=10) as page:
            assert b"QuantumCanvas explorer" in page.read()
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--serve", f"--port={port}", "--elements=H,O", "--nolevels")
    assert done.returncode == 2 and f"--port: {port} cannot be served" in done.stderr
