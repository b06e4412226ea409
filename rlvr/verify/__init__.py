"""Is the answer right? One verifier for the training reward and for the evaluation."""

from rlvr.verify.extract import extract_answer
from rlvr.verify.pool import Verifier, grader_version
from rlvr.verify.verdict import VERIFIER_VERSION, AnswerFormat, GraderName, Item, Status, Verdict
from rlvr.verify.verify_file import verify_file

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
