"""Every exception of this project, and nothing else.

    PlannerError
    |-- PlanError            a plan that breaks a rule of the grammar
    |-- ProblemError         a problem set that cannot be read
    |-- BudgetError          a budget that contradicts itself, or a spend beyond it
    |-- EngineError          the policy's backend failed
    |   `-- ContextError     a prompt longer than the model's context
    |-- RewardError          the PRM's backend failed
    |-- GradingError         a domain or a reference answer the graders do not know
    |-- LogError             a search log that is damaged, foreign or of another version
    |   |-- SchemaError      a table or a column is missing or of another type
    |   `-- FingerprintError rows of another policy, PRM, template or sampling
    |-- RecordError          records by others that cannot be read
    |-- GridError            a grid file that breaks a rule
    |-- CheckpointError      a model folder that is missing, damaged or of an unknown family
    |-- ArtefactError        a planner artefact that is damaged, foreign or of another version
    |-- TooLittleDataError   a log too small to learn from
    |-- ServeError           a server's set-up, or a request to it, that breaks a rule
    |   `-- DecisionLogError the decision log cannot be opened, read or written
    `-- MissingExtraError    an optional package is not installed

The message of each says the rule first and then the value that broke it.
"""

from __future__ import annotations

__all__ = [
    "ArtefactError",
    "BudgetError",
    "CheckpointError",
    "ContextError",
    "DecisionLogError",
    "EngineError",
    "FingerprintError",
    "GradingError",
    "GridError",
    "LogError",
    "MissingExtraError",
    "PlanError",
    "PlannerError",
    "ProblemError",
    "RecordError",
    "RewardError",
    "SchemaError",
    "ServeError",
    "TooLittleDataError",
]


class PlannerError(Exception):
    """Root of every exception this project raises on purpose."""


class PlanError(PlannerError, ValueError):
    """A plan breaks a rule of the grammar."""


class ProblemError(PlannerError, ValueError):
    """A problem set cannot be read."""


class BudgetError(PlannerError, ValueError):
    """A budget contradicts itself, or a spend would go beyond it."""


class EngineError(PlannerError, RuntimeError):
    """The policy's backend failed."""


class ContextError(EngineError):
    """A prompt is longer than the model's context."""


class RewardError(PlannerError, RuntimeError):
    """The PRM's backend failed."""


class GradingError(PlannerError, ValueError):
    """No grader knows this domain, or the reference answer cannot be read."""


class LogError(PlannerError, ValueError):
    """A search log is damaged, foreign or of another version."""


class SchemaError(LogError):
    """A table or a column is missing or has another type."""


class FingerprintError(LogError):
    """Rows come from another policy, PRM, prompt template or sampling setting."""


class RecordError(PlannerError, ValueError):
    """Records by others cannot be read."""


class GridError(PlannerError, ValueError):
    """A grid file breaks a rule."""


class CheckpointError(PlannerError, ValueError):
    """A model folder is missing, damaged or of an unknown family."""


class ArtefactError(PlannerError, ValueError):
    """A planner artefact is damaged, foreign or of another version."""


class TooLittleDataError(PlannerError, ValueError):
    """A log is too small to learn from."""


class ServeError(PlannerError, ValueError):
    """A server is set up against a rule, or a request to it breaks one."""


class DecisionLogError(ServeError):
    """The decision log cannot be opened, read or written."""


class MissingExtraError(PlannerError, ImportError):
    """An optional package is not installed; the message prints the pip line."""
