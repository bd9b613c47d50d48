"""Quadratic programs in a box: the problem, and two references."""

from trueup.core.quadratic.active_set import active_set
from trueup.core.quadratic.box import BoxQuadratic, box_quadratic
from trueup.core.quadratic.projected_gradient import Descent, projected_gradient

__all__ = ["BoxQuadratic", "Descent", "active_set", "box_quadratic", "projected_gradient"]
