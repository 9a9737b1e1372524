"""Every exception of this project, and nothing else.

    PlannerError
    |-- PlanError            a plan that breaks a rule of the grammar
    |-- PluginError          a plug-in that cannot be loaded, or is of another kind than its registry's
    |-- ProblemError         a problem set that cannot be read
    |-- BudgetError          a budget that contradicts itself, or a spend beyond it
    |-- EngineError          the policy's backend failed
    |   |-- ContextError     a prompt longer than the model's context
    |   `-- RemoteError      a server elsewhere failed: a policy's, or (it is a RewardError too) a PRM's
    |       |-- UnreachableError  it cannot be reached or takes no more work; nothing was computed
    |       |-- BrokenError       it fell silent or broke off; work may be lost
    |       |   `-- CutOffError   (a GarbledError too) it ends an answer that has not ended
    |       |-- RefusedError      it refuses: wrong address, key, model or request
    |       `-- GarbledError      it says what its protocol does not know
    |-- RewardError          the PRM's backend failed
    |-- GradingError         a domain or a reference answer the graders do not know
    |   |-- GraderHungError  a grader took longer than its limit and was killed
    |   `-- GraderDiedError  a grader's process ended by itself, out of memory say
    |-- LogError             a search log that is damaged, foreign or of another version
    |   |-- SchemaError      a table or a column is missing or of another type
    |   `-- FingerprintError rows of another policy, PRM, template or sampling
    |-- RecordError          records by others that cannot be read
    |-- GridError            a grid file that breaks a rule
    |-- ClusterError         a cluster that does not answer, or whose actors cannot do their work
    |-- ModelsError          a models file that breaks a rule
    |-- CheckpointError      a model folder that is missing, damaged or of an unknown family
    |-- ArtefactError        a planner artefact that is damaged, foreign or of another version
    |-- TooLittleDataError   a log too small to learn from
    |-- StudyError           a study that cannot be continued, or whose trials all failed
    |-- ServeError           a server's set-up, or a request to it, that breaks a rule
    |   |-- DecisionLogError the decision log cannot be opened, read or written
    |   `-- SettingsError    settings of a server that break rules, one line each
    `-- MissingExtraError    an optional package is not installed

The message of each says the rule first and then the value that broke it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.engines.protocol import ChildFinished, Usage

__all__ = [
    "ArtefactError",
    "BrokenError",
    "BudgetError",
    "CheckpointError",
    "ClusterError",
    "ContextError",
    "CutOffError",
    "DecisionLogError",
    "EngineError",
    "FingerprintError",
    "GarbledError",
    "GraderDiedError",
    "GraderHungError",
    "GradingError",
    "GridError",
    "LogError",
    "MissingExtraError",
    "ModelsError",
    "PlanError",
    "PlannerError",
    "PluginError",
    "ProblemError",
    "RecordError",
    "RefusedError",
    "RemoteError",
    "RewardError",
    "SchemaError",
    "ServeError",
    "SettingsError",
    "StudyError",
    "TooLittleDataError",
    "UnreachableError",
]


class PlannerError(Exception):
    """Root of every exception this project raises on purpose.

    >>> import planner
    >>> try:
    ...     planner.Plan.parse("majority(n=0)")
    ... except planner.PlannerError as error:
    ...     print(type(error).__name__)
    PlanError
    """


class PlanError(PlannerError, ValueError):
    """A plan breaks a rule of the grammar.

    >>> import planner
    >>> planner.Plan.parse("majority(n=4, width=2)")
    Traceback (most recent call last):
    search.errors.PlanError: majority takes n, got 'width'
    """


class PluginError(PlannerError, ValueError):
    """A plug-in cannot be loaded, or is of another kind than its registry takes."""


class ProblemError(PlannerError, ValueError):
    """A problem set cannot be read."""


class BudgetError(PlannerError, ValueError):
    """A budget contradicts itself, or a spend would go beyond it.

    >>> import planner
    >>> planner.Budget(tokens=-1)
    Traceback (most recent call last):
    search.errors.BudgetError: a budget cannot be negative, got tokens=-1
    """


class EngineError(PlannerError, RuntimeError):
    """The policy's backend failed.

    >>> import planner
    >>> issubclass(planner.EngineError, planner.PlannerError)
    True
    """


class ContextError(EngineError):
    """A prompt is longer than the model's context."""


class RewardError(PlannerError, RuntimeError):
    """The PRM's backend failed.

    >>> import planner
    >>> issubclass(planner.RewardError, planner.PlannerError)
    True
    """


class RemoteError(EngineError, RewardError):
    """A server elsewhere failed, that of a policy or of a PRM."""


class UnreachableError(RemoteError):
    """A server cannot be reached or takes no more work; nothing was computed.

    ``retry_after``: seconds after which it wants to be asked again, where it said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BrokenError(RemoteError):
    """A server failed, fell silent or broke off in its answer; work may be lost.

    ``partial``: from an engine, the children that had not ended, as far as they came (reason ``lost``).
    What they were worth is paid; going on after their tokens draws from the same distribution. ``usage``:
    what the whole request took, as far as it is known; None where nobody knows.
    """

    def __init__(
        self, message: str, partial: tuple[ChildFinished, ...] = (), usage: Usage | None = None
    ) -> None:
        super().__init__(message)
        self.partial = partial
        self.usage = usage


class RefusedError(RemoteError):
    """A server refuses what it is asked: a wrong address, key, model or request.

    ``status``: of its answer, where it answered; ``words``: its own, in full.
    """

    def __init__(self, message: str, status: int | None = None, words: str = "") -> None:
        super().__init__(message)
        self.status, self.words = status, words


class GarbledError(RemoteError):
    """A server says what its protocol does not know."""


class CutOffError(BrokenError, GarbledError):
    """A server ends an answer in good order whose parts have not ended. What was lost is known."""


class GradingError(PlannerError, ValueError):
    """No grader knows this domain, or the reference answer cannot be read."""


class GraderHungError(GradingError):
    """A grader took longer than its limit and was killed."""


class GraderDiedError(GradingError):
    """A grader's process ended by itself, or could not make sense of what it was given."""


class LogError(PlannerError, ValueError):
    """A search log is damaged, foreign or of another version.

    >>> import planner, tempfile
    >>> planner.fit(tempfile.mkdtemp())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    search.errors.LogError: ...
    """


class SchemaError(LogError):
    """A table or a column is missing or has another type."""


class FingerprintError(LogError):
    """Rows come from another policy, PRM, prompt template or sampling setting."""


class RecordError(PlannerError, ValueError):
    """Records by others cannot be read."""


class GridError(PlannerError, ValueError):
    """A grid file breaks a rule."""


class ModelsError(PlannerError, ValueError):
    """A models file breaks a rule. ``faults``: a line each, without the file's name (``where``)."""

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        more = f" (and {len(faults) - 1} more: planner models check)" if len(faults) > 1 else ""
        super().__init__(f"{where}: {faults[0]}{more}" if where else f"{faults[0]}{more}")
        self.where, self.faults = where, tuple(faults)


class CheckpointError(PlannerError, ValueError):
    """A model folder is missing, damaged or of an unknown family."""


class ArtefactError(PlannerError, ValueError):
    """A planner artefact is damaged, foreign or of another version.

    >>> import planner, tempfile
    >>> planner.load(tempfile.mkdtemp())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    search.errors.ArtefactError: ...
    """


class TooLittleDataError(PlannerError, ValueError):
    """A log is too small to learn from."""


class StudyError(PlannerError, ValueError):
    """A study cannot be continued as asked, or none of its trials came to an end."""


class ServeError(PlannerError, ValueError):
    """A server is set up against a rule, or a request to it breaks one."""


class DecisionLogError(ServeError):
    """The decision log cannot be opened, read or written."""


class SettingsError(ServeError):
    """Settings of a server break rules; ``faults`` has a line for each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class ClusterError(PlannerError):
    """A cluster does not answer, or its actors cannot do their work."""


class MissingExtraError(PlannerError, ImportError):
    """An optional package is not installed; the message prints the pip line."""
