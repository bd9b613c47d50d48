"""Running: the driver of flows and the clerk that answers and charges."""

from trueup.run.clerk import Clerk
from trueup.run.collect import Watch, collect
from trueup.run.driver import BatchJob, Job, answer, run_job, run_jobs
from trueup.run.rehearsal import rehearse
from trueup.run.tab import Tab

__all__ = ["BatchJob", "Clerk", "Job", "Tab", "Watch", "answer", "collect", "rehearse", "run_job", "run_jobs"]
