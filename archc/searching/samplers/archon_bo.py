"""archon-bo: Bayesian optimisation as Archon describes it (arXiv 2409.15254, 3.3 and A.4), for comparison.

230 to 240 random architectures first, then a Gaussian process with one scale for all choices (Matérn 5/2, the default
of the package that it uses) and the expected improvement. Unlike there, the candidates are the points themselves and
none is tried twice; there numbers are rounded to points, some again and again.
"""

from __future__ import annotations

from archc.searching.gaussian import Array
from archc.searching.samplers._modelled import Modelled
from archc.spec.space.points import Point

FIRST = 235
"""Random architectures; the paper finds 230 and 240 best."""


class ArchonBO(Modelled):
    """Many random points, then the expected improvement."""

    name = "archon-bo"
    one_objective = True
    is_alike = True

    def design(self) -> Point | None:
        return self.fresh() if len(self.told) + len(self.pending) < FIRST else None

    def _weights(self) -> Array:
        return super()._weights() * 0 + 1
