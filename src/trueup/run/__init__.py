"""Running: the driver of flows and the clerk that answers and charges."""

from trueup.run.clerk import Clerk, Tab
from trueup.run.collect import Watch, collect
from trueup.run.driver import Job, answer, run_job, run_jobs

__all__ = ["Clerk", "Job", "Tab", "Watch", "answer", "collect", "run_job", "run_jobs"]
