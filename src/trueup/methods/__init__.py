"""Methods: how inference compute is spent on one problem, or on a batch."""

from trueup.methods.ab_mcts import ab_mcts
from trueup.methods.adaptive_vote import adaptive_vote
from trueup.methods.bayes_vote import bayes_vote
from trueup.methods.beam_search import beam_search
from trueup.methods.best_of_majority import best_of_majority
from trueup.methods.best_of_n import best_of_n
from trueup.methods.beta_vote import beta_vote
from trueup.methods.blend_asc import blend_asc
from trueup.methods.budget_forcing import budget_forcing
from trueup.methods.cascade import cascade
from trueup.methods.chain_of_verification import chain_of_verification
from trueup.methods.compute_optimal import compute_optimal
from trueup.methods.confidence_vote import confidence_vote
from trueup.methods.constrained import constrained
from trueup.methods.decode_with_lexicon import decode_with_lexicon
from trueup.methods.early_stop_vote import early_stop_vote
from trueup.methods.formalise_and_solve import formalise_and_solve
from trueup.methods.generative_verify import generative_verify
from trueup.methods.greedy import greedy
from trueup.methods.greedy_allocate import greedy_allocate
from trueup.methods.judge_best import judge_best
from trueup.methods.judge_pairwise import judge_pairwise
from trueup.methods.lookahead_vote import lookahead_vote
from trueup.methods.mixture_of_agents import mixture_of_agents
from trueup.methods.once import once
from trueup.methods.parallel_revise import parallel_revise
from trueup.methods.particle_filter import particle_filter
from trueup.methods.plan_then_solve import plan_then_solve
from trueup.methods.probability_vote import probability_vote
from trueup.methods.propose_and_assign import propose_and_assign
from trueup.methods.reason_then_constrain import reason_then_constrain
from trueup.methods.reread import reread
from trueup.methods.reset_and_discard import reset_and_discard
from trueup.methods.retract import retract
from trueup.methods.revise import revise
from trueup.methods.route import route
from trueup.methods.run_stored import run_stored
from trueup.methods.solve import solve
from trueup.methods.tree_search import tree_search
from trueup.methods.vote import vote
from trueup.methods.vote_calls import vote_calls
from trueup.methods.weighted_best_of_n import weighted_best_of_n

__all__ = [
    "ab_mcts",
    "adaptive_vote",
    "bayes_vote",
    "beam_search",
    "best_of_majority",
    "best_of_n",
    "beta_vote",
    "blend_asc",
    "budget_forcing",
    "cascade",
    "chain_of_verification",
    "compute_optimal",
    "confidence_vote",
    "constrained",
    "decode_with_lexicon",
    "early_stop_vote",
    "formalise_and_solve",
    "generative_verify",
    "greedy",
    "greedy_allocate",
    "judge_best",
    "judge_pairwise",
    "lookahead_vote",
    "mixture_of_agents",
    "once",
    "parallel_revise",
    "particle_filter",
    "plan_then_solve",
    "probability_vote",
    "propose_and_assign",
    "reason_then_constrain",
    "reread",
    "reset_and_discard",
    "retract",
    "revise",
    "route",
    "run_stored",
    "solve",
    "tree_search",
    "vote",
    "vote_calls",
    "weighted_best_of_n",
]
