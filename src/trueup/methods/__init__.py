"""Methods: how inference compute is spent on one problem."""

from trueup.methods.adaptive_vote import adaptive_vote
from trueup.methods.best_of_n import best_of_n
from trueup.methods.budget_forcing import budget_forcing
from trueup.methods.chain_of_verification import chain_of_verification
from trueup.methods.constrained import constrained
from trueup.methods.mixture_of_agents import mixture_of_agents
from trueup.methods.once import once
from trueup.methods.parallel_revise import parallel_revise
from trueup.methods.plan_then_solve import plan_then_solve
from trueup.methods.reread import reread
from trueup.methods.revise import revise
from trueup.methods.solve import solve
from trueup.methods.vote import vote
from trueup.methods.vote_calls import vote_calls

__all__ = [
    "adaptive_vote",
    "best_of_n",
    "budget_forcing",
    "chain_of_verification",
    "constrained",
    "mixture_of_agents",
    "once",
    "parallel_revise",
    "plan_then_solve",
    "reread",
    "revise",
    "solve",
    "vote",
    "vote_calls",
]
