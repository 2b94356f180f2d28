"""Unit conversions, CODATA 2018 (E. Tiesinga et al., Rev. Mod. Phys. 93, 025010, 2021).

The package works in eV, Å, e and Debye; electronic-structure programs speak atomic units.
"""

HARTREE_EV = 27.211386245988  # energy: 1 E_h in eV
BOHR_ANG = 0.529177210903  # length: 1 a_0 in Å
# DFTB+'s a_0 in Å, of CODATA 1986: geometries in Å are those that it computed only with this one
# (by the other a level 30 eV up is off by 1.5e-5 eV).
DFTBPLUS_BOHR_ANG = 0.529177249
EBOHR_DEBYE = 2.541746473  # dipole moment: 1 e·a_0 in Debye
KELVIN_HARTREE = 3.1668115634556e-06  # k_B · 1 K in E_h
KCAL_PER_MOL_EV = 0.0433641042418  # energy: 1 kcal/mol (of 4184 J) in eV
KELVIN_EV = KELVIN_HARTREE * HARTREE_EV  # k_B · 1 K in eV
# Time: 1 fs in Å √(amu/eV), the unit in which masses in amu and energies in eV need no factor.
FS = (1.602176634e-19 / 1.66053906660e-27) ** 0.5 * 1e-5
LIGHT_CM_FS = 2.99792458e-5  # of light: cm in 1 fs
