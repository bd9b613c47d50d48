"""The plan room: what was measured, what causes it, what to do about it, how sure that is."""

from trueup.plan.alarm import Standing, hold_against
from trueup.plan.assess import assess
from trueup.plan.calibrate import Calibration, calibrate
from trueup.plan.certify import certify, halves
from trueup.plan.choose import choose
from trueup.plan.diagnose import diagnose
from trueup.plan.estimate import exact_interval, pass_at_k
from trueup.plan.frequencies import save_frequencies, shares, tallies
from trueup.plan.judge import JudgeRates, correct_judged, measure_judge
from trueup.plan.measure import coverage, measure
from trueup.plan.policy import Policy, PolicyStratum, read_policy, write_policy
from trueup.plan.replay import Replayed, replay
from trueup.plan.resample import Resampler, cluster_bootstrap, paired_bootstrap
from trueup.plan.rightness import Rightness, fit_rightness
from trueup.plan.sheet import lay_out
from trueup.plan.wish import Wish

__all__ = [
    "Calibration",
    "JudgeRates",
    "Policy",
    "PolicyStratum",
    "Replayed",
    "Resampler",
    "Rightness",
    "Standing",
    "Wish",
    "assess",
    "calibrate",
    "certify",
    "choose",
    "cluster_bootstrap",
    "correct_judged",
    "coverage",
    "diagnose",
    "exact_interval",
    "halves",
    "hold_against",
    "lay_out",
    "fit_rightness",
    "measure",
    "measure_judge",
    "paired_bootstrap",
    "pass_at_k",
    "read_policy",
    "replay",
    "save_frequencies",
    "shares",
    "tallies",
    "write_policy",
]
