"""The input of DFTB+, `dftb_in.hsd`: a template with the atoms and their shells filled in."""

import importlib.resources
import string
from collections.abc import Mapping

from qc_jax.data import files
from qc_jax.errors import InputError

# What a template must have, written $geometry; a dollar sign itself is $$.
FIELDS = {
    "geometry": "the atoms, in the gen format",
    "angular_momenta": 'a line like H = "s" for each element',
    "skf": "where the Slater-Koster files are, in quotes, with a slash behind",
}
# Where the program finds the files: a link in the directory in which it runs. So the input says
# nothing of this machine, and no path is too long for the program.
SKF_LINK = "skfiles"


def read_template(path: str | None = None) -> str:
    """Return the text of a template, checked.

    Args:
      path: of the file; the one of this package unless given.

    Raises:
      InputError: it cannot be read, or has other fields than `FIELDS`.
    """
    if path is None:
        text = importlib.resources.files(__package__).joinpath("template.hsd").read_text("utf-8")
        path = "template.hsd"
    else:
        text = files.read_text(path)
    template = string.Template(text)
    expected = ", ".join(f"${field} ({what})" for field, what in FIELDS.items())
    if not template.is_valid():
        raise InputError(f"{path}: a $ that begins no field; write $$ for a dollar sign")
    given = template.get_identifiers()
    for field in given:
        if field not in FIELDS:
            raise InputError(f"{path}: unknown field ${field}; expected {expected}")
    for field in FIELDS:
        if field not in given:
            raise InputError(f"{path}: no field ${field}; expected {expected}")
    return text


def render(template: str, name: str, distance: float, angular_momenta: Mapping[str, str]) -> str:
    """Return the input for one pair.

    Args:
      template: text that `read_template` gave.
      name: of the pair, like 'Ag_Al'.
      distance: Å; the first atom stands at the origin, the second above it on z.
      angular_momenta: letter of the highest shell, by element.
    """
    first, second = name.split("_")
    species = [first] if first == second else [first, second]
    atoms = [(1, 1, 0.0), (2, len(species), distance)]
    geometry = ["2  C", " " + " ".join(species)] + [
        f"{atom:6d}{kind:5d}{0:20.10E}{0:20.10E}{z:20.10E}" for atom, kind, z in atoms
    ]
    return string.Template(template).substitute(
        geometry="\n".join(geometry),
        angular_momenta="\n".join(
            f'    {symbol} = "{angular_momenta[symbol]}"' for symbol in species
        ),
        skf=f'"./{SKF_LINK}/"',
    )
