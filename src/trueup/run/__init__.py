"""Running: the driver of flows and the clerk that answers and charges."""

from trueup.run.clerk import Clerk, Tab
from trueup.run.collect import Watch, collect
from trueup.run.driver import BatchJob, Job, answer, run_job, run_jobs

__all__ = ["BatchJob", "Clerk", "Job", "Tab", "Watch", "answer", "collect", "run_job", "run_jobs"]
