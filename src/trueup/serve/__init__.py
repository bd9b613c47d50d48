"""Serving: a policy behind an OpenAI-compatible endpoint."""

from trueup.serve.desk import Desk
from trueup.serve.server import LANES, check_exposure, create_app, run_server
from trueup.serve.traffic import Traffic

__all__ = ["LANES", "Desk", "Traffic", "check_exposure", "create_app", "run_server"]
