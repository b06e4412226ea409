"""Is the answer right? One verifier for the training reward and for the evaluation."""

from rlvr.verify.casefile import verify_file
from rlvr.verify.extract import extract_answer
from rlvr.verify.pool import Verifier, grader_version
from rlvr.verify.verdict import VERIFIER_VERSION, AnswerFormat, GraderName, Item, Status, Verdict

__all__ = [
    "VERIFIER_VERSION",
    "AnswerFormat",
    "GraderName",
    "Item",
    "Status",
    "Verdict",
    "Verifier",
    "extract_answer",
    "grader_version",
    "verify_file",
]
