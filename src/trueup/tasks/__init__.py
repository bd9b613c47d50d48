"""What is asked: task files, and the sources that their items come from."""

from trueup.tasks.calls import calls
from trueup.tasks.csp import csp
from trueup.tasks.gym import gym
from trueup.tasks.jsonl import jsonl, read_item, read_rows
from trueup.tasks.lr2bench import lr2bench
from trueup.tasks.power_flow import power_flow
from trueup.tasks.prompting import build_chat, build_prompt
from trueup.tasks.quadratic import quadratic
from trueup.tasks.stored_programs import stored_programs
from trueup.tasks.strata import Source, build_strata, equip, sampling_of
from trueup.tasks.suite import GENERAL
from trueup.tasks.taskfile import StratumSpec, TaskFile, read_task
from trueup.tasks.word_problems import word_problems

__all__ = [
    "GENERAL", "Source", "StratumSpec", "TaskFile", "build_chat", "build_prompt", "build_strata", "calls", "csp",
    "equip", "gym", "jsonl", "lr2bench", "power_flow", "quadratic", "read_item", "read_rows", "read_task",
    "sampling_of", "stored_programs", "word_problems",
]  # fmt: skip
