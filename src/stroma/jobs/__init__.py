"""What the verbs of the command line do, as functions: train, resume, predict, evaluate.

A job reads data and options, leaves a run folder and returns its record. It prints nothing: who
wants to see it work hands it a `Watch`.
"""

from stroma.jobs.evaluate import Evaluated, EvaluatedMeasured, evaluate
from stroma.jobs.options import TrainOptions
from stroma.jobs.predict import Said, predict
from stroma.jobs.resume import resume
from stroma.jobs.train import Job, prepare, train
from stroma.jobs.watch import Watch

__all__ = [
    "Evaluated", "EvaluatedMeasured", "Job", "Said", "TrainOptions", "Watch", "evaluate",
    "predict", "prepare",
    "resume", "train",
]  # fmt: skip
