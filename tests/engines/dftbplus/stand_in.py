"""A stand-in for the program `dftb+`: it checks its input and replays recorded outputs."""

import json
import pathlib
import sys
from collections.abc import Mapping

BANNER = "|" + "=" * 79 + "\n|\n|  DFTB+ release {version}\n|\n"
_SOURCE = """#!{python} -IS
import json, os, pathlib, re, shutil, signal, sys, time

here = pathlib.Path.cwd()
home = pathlib.Path({home!r})
sys.stdout.reconfigure(encoding="utf-8")


def fail(*reasons):
    print({banner!r})
    print("ERROR!")
    for reason in reasons:
        print("->", reason)
    print("ERROR STOP")
    sys.exit(1)


if not (here / "dftb_in.hsd").exists():
    fail("No input file 'dftb_in.hsd' not found.")
if len(list(here.iterdir())) != 3:  # the input, the link, and the log that this is printed to
    fail("something else is here: " + " ".join(sorted(os.listdir(here))))
if os.environ.get("OMP_NUM_THREADS") != "1":
    fail("expected one thread")
text = (here / "dftb_in.hsd").read_text()
species = re.search(r"GenFormat \\{{\\s*2  C\\n *(.*)\\n", text)[1].split()
name = "_".join(species if len(species) == 2 else 2 * species)
prefix = re.search(r'Prefix = "(.*)"', text)[1]
for a in species:
    if not re.search(rf'\\b{{a}} = "[spdf]"', text):
        fail(f"no angular momentum of {{a}}")
    for b in species:
        if not os.path.isfile(f"{{prefix}}{{a}}-{{b}}.skf"):
            fail(f"SK-file {{prefix}}{{a}}-{{b}}.skf does not exist")
with open(home / "started", "a") as file:
    file.write(f"{{name}} {{os.getpid()}}\\n")

how = json.loads((home / "behaviour.json").read_text()).get(name, "replay")
if how == "hang":
    print("***  Geometry step: 0", flush=True)
    time.sleep(1000)
if how == "slow":
    time.sleep(1)
if how == "crash":
    print("***  Geometry step: 0", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
if how == "wrong":
    fail("Invalid keyword", "Path: dftb_in/Hamiltonian")
if how == "silent":
    sys.exit(0)
if how == "mute":
    sys.exit(2)
recorded = pathlib.Path({recorded!r}) / name
if not recorded.is_dir():
    fail(f"nothing is recorded for {{name}}")
log = ""
for file in recorded.iterdir():
    if file.name == "dftb.log":
        log = file.read_text()
    elif file.name != "dftb_in.hsd":
        shutil.copyfile(file, here / file.name)
geometry = here / "geo_end.xyz"
lines = geometry.read_text().splitlines()[2:4] if geometry.exists() else []
order = [line.split()[0] for line in lines if line.strip()]
if order == species[::-1]:  # recorded in the other order: then so was the input
    (here / "dftb_in.hsd").write_text(text.replace(" ".join(species), " ".join(order)))
print(log, end="")
sys.exit(3 if how == "late" else "ERROR STOP" in log)
"""


class StandIn:
    """The stand-in, to be put on PATH.

    Attributes:
      home: the directory of the executable.
    """

    def __init__(self, home: pathlib.Path, recorded: pathlib.Path, version: str = "25.1"):
        """Makes the executable `home`/dftb+, which replays `recorded`/<A>_<B>/."""
        home.mkdir(exist_ok=True)
        self.home = home
        program = home / "dftb+"
        program.write_text(
            _SOURCE.format(
                python=sys.executable,
                home=str(home),
                recorded=str(recorded),
                banner=BANNER.format(version=version),
            )
        )
        program.chmod(0o755)
        self.behave({})

    def behave(self, behaviour: Mapping[str, str]) -> None:
        """Says by pair what else than to replay it: late (replay, but exit code 3), slow (replay),
        hang, crash, wrong (input), silent (exit code 0) or mute (exit code 2).
        """
        (self.home / "behaviour.json").write_text(json.dumps(dict(behaviour)))

    def started(self) -> list[tuple[str, int]]:
        """The pairs for which it was started so far, with the processes."""
        path = self.home / "started"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(name, int(pid)) for name, pid in map(str.split, lines)]
