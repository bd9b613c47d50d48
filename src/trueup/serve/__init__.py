"""Serving: a policy behind an OpenAI-compatible endpoint."""

from trueup.serve.desk import Desk
from trueup.serve.server import check_exposure, create_app, run_server
from trueup.serve.traffic import Traffic

__all__ = ["Desk", "Traffic", "check_exposure", "create_app", "run_server"]
