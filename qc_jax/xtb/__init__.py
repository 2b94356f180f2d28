"""GFN2-xTB through the `tblite` wheel: self-consistent solutions, and the basis of their orbitals.

C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
"""
