"""Every file under `results/`: its path, its fields or columns, and how it is read and written.

Code that writes or reads a file of a study imports its class from here, so that each name is defined once.
Reading checks names, types and format versions. `docs/reference/artifacts.md` is generated from this package.
"""

from rlvr.artifacts.folder import RunFolder, StudyFolder
from rlvr.artifacts.learning import ForgettingRow, LearningRow, ReferenceScore
from rlvr.artifacts.metrics import METRICS, SPECTRA, TRAIN_LOG, TRAIN_LOG_VERSION
from rlvr.artifacts.reading import (
    read_record,
    read_records,
    read_rows,
    read_run,
    read_train_log,
    write_record,
    write_records,
    write_rows,
    write_train_log,
)
from rlvr.artifacts.records import (
    ClaimRecord,
    Environment,
    FailedRun,
    Failure,
    Hardware,
    MetaInfo,
    PaperAccuracy,
    PaperNumbers,
    Registration,
    RunInfo,
    RunRecord,
    TrainInfo,
)
from rlvr.artifacts.rows import Row
from rlvr.artifacts.tables import (
    MEANS,
    OVERALL,
    SAMPLE_WEIGHTED,
    TABLES,
    UNCONTAMINATED,
    AuditRow,
    BudgetRow,
    ComparisonRow,
    ContaminatedProblem,
    ContaminationRow,
    Grade,
    RunRow,
    Sample,
    SpectrumRow,
    SummaryRow,
)
from rlvr.config.choices import FinishReason, Status
from rlvr.errors import RunStatus

__all__ = [
    "MEANS",
    "METRICS",
    "OVERALL",
    "SAMPLE_WEIGHTED",
    "SPECTRA",
    "TABLES",
    "TRAIN_LOG",
    "TRAIN_LOG_VERSION",
    "UNCONTAMINATED",
    "AuditRow",
    "BudgetRow",
    "ClaimRecord",
    "ComparisonRow",
    "ContaminatedProblem",
    "ContaminationRow",
    "Environment",
    "FailedRun",
    "Failure",
    "FinishReason",
    "ForgettingRow",
    "Grade",
    "Hardware",
    "LearningRow",
    "MetaInfo",
    "PaperAccuracy",
    "PaperNumbers",
    "ReferenceScore",
    "Registration",
    "Row",
    "RunFolder",
    "RunInfo",
    "RunRecord",
    "RunRow",
    "RunStatus",
    "Sample",
    "SpectrumRow",
    "Status",
    "StudyFolder",
    "SummaryRow",
    "TrainInfo",
    "read_record",
    "read_records",
    "read_rows",
    "read_run",
    "read_train_log",
    "write_record",
    "write_records",
    "write_rows",
    "write_train_log",
]
