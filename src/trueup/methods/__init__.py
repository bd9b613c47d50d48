"""Methods: how inference compute is spent on one problem."""

from trueup.methods.adaptive_vote import adaptive_vote
from trueup.methods.best_of_n import best_of_n
from trueup.methods.constrained import constrained
from trueup.methods.once import once
from trueup.methods.revise import revise
from trueup.methods.solve import solve
from trueup.methods.vote import vote

__all__ = ["adaptive_vote", "best_of_n", "constrained", "once", "revise", "solve", "vote"]
