"""What the tests of DFTB+ outputs share: the real samples, edits, and rows of the CSV files."""

import csv
import pathlib

import pytest

SAMPLES = pathlib.Path(__file__).parents[4] / "shared" / "dftbplus"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the samples of real DFTB+ outputs are not at hand"
)

# Of tree/Cl_Mg and tree/N_O_spin, from the numbers in the script: three decimals, as there.
CL_MG = {
    "E_HOMO_eV": "-3.125",
    "e_lumo_ev": "-3.125",
    "E_g_eV": "0.0",
    "softness_eVinv": "inf",  # divided all the same
    "electrophilicity_ev": "1e12",
    "Total_Energy_eV": "-90.954",
    "q_maxabs": "0.34",
    "dipole_z_D": "3.5928",
    "Metal_like": "True",
    "scc_converged": "1",
    "n_levels": "13",
    "geom_opt_step": "6.0",
    "scc_last_error": "1.5e-06",
    "scc_last_total_elec_eh": "-3.38",
    "distance_Ang": "2.2",
    "system_id_guess": "anything",
    "comment": "",
}
N_O = dict.fromkeys(CL_MG, "") | {
    "E_HOMO_eV": "-6.0",
    "E_g_eV": "1.0",
    "softness_eVinv": "1.001",
    "electrophilicity_ev": "30.28",
    "Metal_like": "false",
}
BONDS = {
    "natoms": "2",
    **{"species_1": "Cl", "x1": "0.0", "y1": "0.0", "z1": "0.1"},
    **{"species_2": "Mg", "x2": "0.0", "y2": "0.0", "z2": "2.3"},
    **{"pair": "Cl-Mg", "pair_sorted": "Cl-Mg", "distance_Ang": "2.2"},
}


def write(path: pathlib.Path, rows: dict[str, dict[str, str]]) -> None:
    columns = ["run_dir", *next(iter(rows.values()))]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({"run_dir": run, **row} for run, row in rows.items())


def edit(path: pathlib.Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
