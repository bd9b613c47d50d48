"""What reads an answer out of a text, and grades it."""

from trueup.verifiers.constraint import constraint
from trueup.verifiers.exact import exact
from trueup.verifiers.function_call import function_call
from trueup.verifiers.gym import gym
from trueup.verifiers.json_schema import json_schema
from trueup.verifiers.lr2bench import lr2bench
from trueup.verifiers.math import math
from trueup.verifiers.number import number
from trueup.verifiers.numerical import numerical
from trueup.verifiers.objective import objective

__all__ = [
    "constraint",
    "exact",
    "function_call",
    "gym",
    "json_schema",
    "lr2bench",
    "math",
    "number",
    "numerical",
    "objective",
]
