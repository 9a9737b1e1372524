"""The functions of the public API: ``import planner`` offers them. They import what they need when called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from search.errors import GridError

if TYPE_CHECKING:
    from planner.evaluation.evaluation import Evaluation
    from planner.planner import Planner
    from planner.rules_planner import RulesPlanner
    from planner.solving.models_given import ModelsGiven
    from search.budget import Prices
    from search.campaigns.grid import Grid
    from search.cards import ModelCard
    from search.loader import Loader
    from search.log.store import SearchLog
    from search.models_file import ModelsFile
    from search.problem import Problem

__all__ = ["evaluate", "extend", "fit", "load", "search"]

#: names of the planner that ships with the project
_LAB = ("lab", "planner")


@overload
def load(
    path: str | Path,
    *,
    models: ModelsGiven = None,
    domain: str | None = None,
    prices: Mapping[str, Prices] | Prices | None = None,
    threads: int = 1,
    allow_foreign: bool = False,
) -> Planner: ...


@overload
def load(
    path: None = None,
    *,
    models: ModelsGiven,
    domain: str | None = None,
    prices: Mapping[str, Prices] | Prices | None = None,
    threads: int = 1,
    allow_foreign: bool = False,
) -> RulesPlanner: ...


def load(
    path: str | Path | None = None,
    *,
    models: ModelsGiven = None,
    domain: str | None = None,
    prices: Mapping[str, Prices] | Prices | None = None,
    threads: int = 1,
    allow_foreign: bool = False,
) -> Planner | RulesPlanner:
    """A planner that recommends and solves: a fitted one, or rules before there is a log.

    Parameters
    ----------
    path:
        A folder that ``Planner.save`` or ``planner fit`` wrote; ``"lab"`` is the planner that ships with the
        project, whose models ship too. None: rules decide between ``models``, and promise nothing
        (``planner.rules_planner``).
    models:
        Where its models are: a mapping from its names of policies and PRMs to checkpoint folders, a models
        file (``models.toml``), or a loader. Default: the shipped models of these names. They are opened when
        something is solved. Without ``path``: a models file, or a mapping from names of policies to folders.
    domain:
        What questions belong to that do not say; None: the planner says it.
    prices:
        Money per million tokens, for budgets in ``usd``; default: the prices of a models file.
    threads:
        Torch threads of models in this process.
    allow_foreign:
        Solve with models that the planner was not learned from too; else they are refused.

    Raises ArtefactError for a folder that holds no planner, or a damaged one, and where neither a folder nor
    models are given; without ``path`` also what models raise.

    >>> import planner
    >>> planner.load("lab").domains
    ('arithmetic', 'chemistry', 'code', 'puzzle')
    >>> rules = planner.load(models={"lab-policy-m": "lab-policy-m"})
    >>> print(rules.recommend("What is 3 + 4?", samples=4).choice)
    lab-policy-m x - x adaptive_vote(n=4, stop=0.95, ahead=4)
    """
    from planner.models import find_model, shipped
    from planner.planner import Planner

    if path is None:
        from planner.solving.models_given import rules_over

        return rules_over(models, domain=domain, prices=prices, threads=threads)
    folder = shipped("planner") if path in _LAB else find_model(path)
    return Planner.load(folder).with_models(
        models, domain=domain, prices=prices, threads=threads, allow_foreign=allow_foreign
    )


def search(
    problems: str | Path | Iterable[Problem],
    *,
    output: str | Path,
    models: ModelsGiven = None,
    grid: str | Path | Mapping[str, Any] | Grid,
    seed: int | None = None,
    threads: int = 1,
    progress: Callable[[Any], None] | None = None,
) -> SearchLog:
    """Run a grid of choices on problems into a search log, and go on where that stopped before.

    Parameters
    ----------
    problems:
        A problem file (JSON lines, JSON, CSV, Parquet), or problems, with reference answers.
    output:
        The folder of the log; what it holds already is not done again.
    models:
        Where the grid's models are, as ``load`` takes it.
    grid:
        A grid file, or what it would hold: ``{"pair": [{"policy": "p", "prm": "r"}], "n": [1, 4]}``.
    seed:
        In the place of the grid's.
    threads:
        Torch threads of models in this process; part of what a log depends on.
    progress:
        Called after each unit of work (``search.campaigns.campaign.Progress``).

    Raises ProblemError, GridError, LogError, and what models raise; what was logged stays.

    >>> import planner, tempfile
    >>> grid = {"pair": [{"policy": "lab-policy-m"}], "strategies": ["majority"], "n": [1, 2]}
    >>> grid |= {"samples": 2, "block": 2}
    >>> asked = [planner.Problem("p1", "sums", "arithmetic", "What is 3 + 4?", "7")]
    >>> log = planner.search(asked, output=tempfile.mkdtemp(), grid=grid)
    >>> log.rows("samples")
    2
    """
    from search.campaigns.campaign import Campaign, check_problems
    from search.log.outcomes import add_outcomes
    from search.log.store import SearchLog
    from search.models_file import ModelsFile
    from search.problem_sets.problem_set import read_problems
    from search.rewards.prm_names import whole_name
    from search.sync import run_sync

    known = read_problems(problems) if isinstance(problems, str | Path) else list(problems)
    check_problems(known)
    wanted = _grid(grid, seed)
    if isinstance(models, str | Path):
        models = _models_file(models)
    wanted = wanted.renamed(models.prm_name if isinstance(models, ModelsFile) else whole_name)
    prms = list(dict.fromkeys(pair.prm for pair in wanted.pair if pair.prm is not None))
    loader = _loader(models, wanted.policies, prms, threads)
    prices = _prices(models, wanted.policies, prms)
    log = SearchLog.at(output)
    try:
        Campaign(known, wanted, log, loader, prices=prices).run(progress)
    finally:
        if loader is not models:
            run_sync(loader.close())
    add_outcomes(log, wanted.plans())
    return log


def fit(
    log: str | Path | SearchLog,
    *,
    trials: int = 20,
    seed: int = 0,
    folds: Literal["family", "problem"] = "family",
    threads: int = 1,
    models: ModelsGiven = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Planner:
    """Learn a planner from a search log.

    Parameters
    ----------
    log:
        What ``search`` or ``planner import`` wrote.
    trials:
        Optuna trials; 0 takes the default settings.
    folds:
        What a fit leaves out to judge itself: whole families of problems, for requests of other kinds, or
        single problems, for requests of the logged kinds.
    threads:
        Folds fitted at the same time; the planner is the same.
    models:
        Where the log's models are, as ``load`` takes it, for ``solve``. Numbers of weights that a models file
        tells count in the place of the log's.
    progress:
        Called after each trial with (trials done, trials, best utility).

    Raises LogError, and TooLittleDataError, which says how many problems would do.

    >>> import planner
    >>> fitted = planner.fit(log, trials=0)  # log = "my-log"
    >>> fitted.card["problems"]
    80
    """
    from training.study import fit as learn

    logged = _log(log)
    manifest = logged.manifest
    if isinstance(models, str | Path):
        models = _models_file(models)
    planner = learn(
        logged,
        _known(manifest.policies, models),
        manifest.prms,
        trials=trials,
        seed=seed,
        threads=threads,
        folds=folds,
        promptings=manifest.promptings,
        drawings=manifest.drawings,
        words=manifest.words,
        date=date.today().isoformat(),
        progress=progress,
    )
    return planner if models is None else planner.with_models(models)


def extend(
    planner: Planner | str | Path, log: str | Path | SearchLog, *, seed: int = 0, models: ModelsGiven = None
) -> Planner:
    """A planner that decides about one more policy or PRM, learned from 50 to 100 problems.

    Parameters
    ----------
    planner:
        A fitted one, or its folder.
    log:
        A search log that holds one model which the planner does not know. Where it holds the known models on
        the same problems too, it is judged whether what was learned beats the rules.
    models:
        Where the models are, as ``load`` takes it, for ``solve``. Numbers of weights that a models file tells
        count in the place of the log's.

    Raises LogError for a log without such a model, or with problems of other kinds, TooLittleDataError for
    fewer than 50 problems, and ArtefactError for a planner of an older version.

    >>> import planner
    >>> planner.extend(fitted, log)  # log = "a-log-with-a-new-model"
    Traceback (most recent call last):
    search.errors.LogError: a log that extends a planner holds one model beside its own
    (bad, good, large, small), got none
    """
    from planner.planner import Planner
    from training.extending.extend import extend as learn

    logged = _log(log)
    manifest = logged.manifest
    if isinstance(models, str | Path):
        models = _models_file(models)
    extended = learn(
        planner if isinstance(planner, Planner) else load(planner),
        logged,
        _known(manifest.policies, models),
        manifest.prms,
        seed=seed,
        date=date.today().isoformat(),
        promptings=manifest.promptings,
        drawings=manifest.drawings,
    )
    return extended if models is None else extended.with_models(models)


def evaluate(
    log: str | Path | SearchLog,
    planner: Planner | str | Path,
    *,
    training: str | Path | SearchLog | None = None,
    budgets: Sequence[float] | None = None,
    seed: int = 0,
    clustered: bool = False,
    models: ModelsGiven = None,
) -> Evaluation:
    """Compare a planner with every baseline at equal mean compute. ``print`` it for a table.

    Parameters
    ----------
    log:
        A search log of problems that the planner has not seen.
    training:
        The log that baselines pick on; default: folds of ``log``.
    budgets:
        Mean budgets, in samples of the main policy. None: four, from the cheapest to the dearest plan of the
        log.
    clustered:
        Intervals draw families of problems, not problems.
    models:
        A models file: numbers of weights that it tells count in the place of the logs'.

    Raises LogError, ArtefactError for models that the planner was not learned from, and BudgetError.

    >>> import planner
    >>> found = planner.evaluate(log, fitted, budgets=[4])  # log = "another-log"
    >>> print(found)  # doctest: +ELLIPSIS
    accuracy in percent at a mean budget of so many samples
    ...
    """
    from planner.evaluation.evaluate import evaluate as compare
    from planner.evidence.training_data import TrainingData, read_training_data

    decider = load(planner) if isinstance(planner, str | Path) else planner
    told = _models_file(models) if isinstance(models, str | Path) else models

    def read(given: str | Path | SearchLog) -> TrainingData:
        logged = _log(given)
        policies, prms = decider.logged(logged.manifest)
        return read_training_data(logged, _known(policies, told), prms)

    return compare(
        decider,
        read(log),
        training=None if training is None else read(training),
        budgets=budgets,
        seed=seed,
        clustered=clustered,
    )


def _log(given: str | Path | SearchLog) -> SearchLog:
    from search.log.store import SearchLog

    return given if isinstance(given, SearchLog) else SearchLog.open(given)


def _grid(given: str | Path | Mapping[str, Any] | Grid, seed: int | None) -> Grid:
    from search.campaigns.grid import Grid

    replaced: dict[str, object] = {} if seed is None else {"seed": seed}
    if isinstance(given, Grid):
        return given if seed is None else given.model_copy(update=replaced)
    if isinstance(given, Mapping):
        return Grid.of({**given, **replaced})
    if isinstance(given, str | Path):
        return Grid.read(given, replaced)
    raise GridError(f"a grid is a file, a mapping or a Grid, got {given!r}")


def _models_file(given: str | Path) -> ModelsFile:
    from planner.solving.models_given import read_models

    return read_models(given)


def _known(cards: Mapping[str, ModelCard], models: ModelsGiven) -> Mapping[str, ModelCard]:
    """Cards with the numbers of weights that a models file tells."""
    from search.models_file import ModelsFile

    return models.known(cards) if isinstance(models, ModelsFile) else cards


def _prices(models: ModelsGiven, policies: Sequence[str], prms: Sequence[str]) -> Mapping[str, Prices]:
    from search.models_file import ModelsFile

    table = models.price_table(policies, prms) if isinstance(models, ModelsFile) else None
    return table or {}


def _loader(models: ModelsGiven, policies: Sequence[str], prms: Sequence[str], threads: int) -> Loader:
    from planner.solving.models_given import loader_for

    return loader_for(policies, prms, models, threads=threads)
