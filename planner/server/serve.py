"""A server from its settings: opens the planner, its models and the decision log, and serves."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from planner.deciding.budgeting import check_money
from planner.models import find_model, shipped
from planner.planner import Planner
from planner.rules_planner import RulesPlanner, check_aim
from planner.server.access.admission import Admission
from planner.server.access.exchange import log_access
from planner.server.access.keys import Keys
from planner.server.access.limits import check_limits
from planner.server.access.origins import ANY, Origins, is_loopback
from planner.server.app import create_app
from planner.server.backends import (
    Backends,
    configured,
    embedded,
    flights_of,
    loader_of,
    opened,
    remote,
)
from planner.server.challenge import Challenge, ChallengeWatch
from planner.server.current import Current, InUse, Ruling
from planner.server.decisions.log import DecisionLog, Retention, removed_unused
from planner.server.decisions.recorder import MemoryRecorder, Recorder
from planner.server.observing.trace import traces_are_wanted, tracing_of
from planner.server.rules import Rules, ShadowRules
from planner.server.run import address_of, bound, check_bind, run
from planner.server.service import Service
from planner.server.settings import ServeSettings
from planner.solving.models_given import check_names
from planner.traffic.sources import Source, Sources
from search.budget import Prices
from search.errors import ServeError
from search.loader import PrmPlace
from search.models_file import ModelsFile
from search.plan import Plan
from search.rewards.prm_names import asks_policies, models_of
from search.sync import run_sync

__all__ = ["origins_of", "rules_of", "serve", "service_of"]

_LOGGER = logging.getLogger("planner.server")

#: requests that are worked on at a time, whatever their policies take
_MOST_RUNNING = 1024


def serve(
    settings: ServeSettings,
    environment: Mapping[str, str],
    *,
    on_ready: Callable[[str], None] | None = None,
    on_loading: Callable[[], None] | None = None,
) -> None:
    """Serve until told to stop. ``on_ready`` hears the address once requests are taken.

    ``on_loading`` is called before models are loaded, which may take long. ``environment`` holds the keys
    that settings name. Raises PlannerError for what cannot be opened, and for an address that cannot be
    bound, which is known before a model is loaded. A server that cannot start leaves no new decision log.
    """
    check_bind(settings.host, Keys.read(settings.keys, environment.get(settings.key_env)))
    with bound(settings.host, settings.port) as taken, removed_unused(settings.decisions):
        if on_loading is not None:
            on_loading()
        if settings.workers > 1:
            _check(settings, environment)
            _together(settings, environment, taken, on_ready)
            return
        service = service_of(settings, environment)
        run(create_app(service), service, host=settings.host, on_ready=on_ready, listening=taken)


def _check(settings: ServeSettings, environment: Mapping[str, str]) -> None:
    """What can be known to be wrong without a model. A decision log that is new is made here.

    Raises PlannerError, OSError.
    """
    keys = Keys.read(settings.keys, environment.get(settings.key_env))
    check_bind(settings.host, keys)
    origins_of(settings, keys)
    if settings.models is not None:
        ModelsFile.read(settings.models)
    rules_of(settings)
    traces_are_wanted(environment)
    run_sync(_recorder(settings, _hash_key(settings, environment)).close())


def _together(
    settings: ServeSettings,
    environment: Mapping[str, str],
    taken: socket.socket,
    on_ready: Callable[[str], None] | None,
) -> None:
    from planner.server.workers.worker import serve_together

    address = address_of(settings.host, taken)
    serve_together(settings, environment, taken, lambda: None if on_ready is None else on_ready(address))


def _hash_key(settings: ServeSettings, environment: Mapping[str, str]) -> str:
    """The secret of keyed hashes; "" where none is needed. Raises ServeError where it is missing."""
    hash_key = environment.get(settings.hash_key_env, "")
    if settings.hash_questions and not hash_key:
        raise ServeError(f"--hash-questions needs a secret in {settings.hash_key_env}, got none")
    return hash_key


def service_of(settings: ServeSettings, environment: Mapping[str, str]) -> Service:
    """Everything a server holds. What is cheap to check is checked before a model is loaded."""
    keys = Keys.read(settings.keys, environment.get(settings.key_env))
    check_bind(settings.host, keys)
    origins = origins_of(settings, keys)
    told = None if settings.models is None else ModelsFile.read(settings.models).divided(settings.workers)
    tracing = tracing_of(environment)
    recorder = _recorder(settings, _hash_key(settings, environment))
    try:
        current: Current | Ruling
        if told is not None and settings.planner is None:
            rules, backends, current = _by_rules(settings, told, environment)
        else:
            rules, backends, current = _by_planner(settings, told, environment)
        challenge = _challenge(settings, backends, current, recorder, rules)
        _check_names("--shadow-policy", backends.models.policies, [rules.plain_policy])
        check_limits(keys, rules.prices)
    except BaseException:
        run_sync(recorder.close())
        raise
    return Service(
        current,
        backends.models,
        rules=rules,
        keys=keys,
        origins=origins,
        recorder=recorder,
        upstreams=backends.upstreams,
        admission=Admission(
            running=_part(settings.running or _MOST_RUNNING, settings.workers),
            waiting=_part(settings.waiting, settings.workers) if settings.waiting else 0,
            floor=settings.floor,
            flights=flights_of(backends.models, settings.running, settings.workers),
        ),
        access_log=None if settings.access_log is None else log_access,
        tracing=tracing,
        challenge=challenge,
    )


def _challenge(
    settings: ServeSettings, backends: Backends, current: InUse, recorder: Recorder, rules: Rules
) -> ChallengeWatch | None:
    """The challenger, checked against the models that are there. Raises PlannerError."""
    if settings.challenger is None or not isinstance(recorder, DecisionLog):
        return None
    folder = find_model(settings.challenger)
    challenger = Current(folder, backends.models.cards, allow_foreign=settings.allow_foreign)
    if challenger.served.fingerprint == current.served.fingerprint:
        raise ServeError(f"a challenger is another planner than the one in use, got {str(folder)!r} for both")
    _check_budgets(rules, challenger.served.planner.policies)
    seed = recorder.store.setting("challenge/seed", secrets.token_hex(16))
    return ChallengeWatch(
        Challenge(challenger, settings.share, seed, promotes=settings.promote),
        current,
        recorder,
        price=rules.price,
        sources=rules.sources,
    )


def _by_planner(
    settings: ServeSettings, told: ModelsFile | None, environment: Mapping[str, str]
) -> tuple[Rules, Backends, Current]:
    """A fitted planner decides."""
    folder = shipped("planner") if settings.planner is None else find_model(settings.planner)
    planner = Planner.load(folder)
    prices = None
    if told is not None:
        check_names(told, planner.policies, planner.prms)
        prices = told.price_table([*planner.policies], [*planner.prms])
    rules = rules_of(settings, prices)
    _check_budgets(rules, planner.policies)
    if told is not None:
        backends = configured(planner, told, threads=settings.threads, environment=environment)
    else:
        backends = _backends(settings, planner, environment.get(settings.upstream_key_env))
    _limit(settings, backends)
    return rules, backends, Current(folder, backends.models.cards, allow_foreign=settings.allow_foreign)


def _by_rules(
    settings: ServeSettings, told: ModelsFile, environment: Mapping[str, str]
) -> tuple[Rules, Backends, Ruling]:
    """There is no log yet, so rules decide between the policies of the models file."""
    policies, prms = [entry.name for entry in told.policy], told.prm_names
    prices = told.price_table(policies, prms)
    rules = rules_of(settings, prices)
    _check_budgets(rules, policies)
    check_aim(rules.default)
    loader = loader_of(told, policies, prms, threads=settings.threads, environment=environment)
    served = [entry.name for entry in told.policy if entry.is_served]
    decider = RulesPlanner.of(loader, policies, prms, served=served, prices=prices, words=told.words)
    if "max_tokens" in settings.model_fields_set:
        decider = decider.limited(settings.max_tokens)
    backends = configured(decider, told, loader=loader, environment=environment)
    _limit(settings, backends)
    _LOGGER.info(
        "no log yet: rules decide, the policies in order of price are %s", ", ".join(decider.ordered)
    )
    return rules, backends, Ruling(decider)


def _check_budgets(rules: Rules, policies: Iterable[str]) -> None:
    """Raises BudgetError for money without prices, ServeError for a plain model that is not there."""
    _check_names("--shadow-policy", policies, [rules.plain_policy])
    for budget in (rules.default, rules.ceiling):
        if budget is not None:
            check_money(budget, rules.prices, policies)


def _limit(settings: ServeSettings, backends: Backends) -> None:
    if "max_tokens" in settings.model_fields_set:
        backends.models.limit(settings.max_tokens)


def origins_of(settings: ServeSettings, keys: Keys) -> Origins:
    """By which names and from which pages the server may be called. Raises ServeError."""
    if ANY in settings.allow_origin and not keys:
        raise ServeError("every page may call a server with keys only, got --allow-origin * without keys")
    return Origins(settings.host_name, settings.allow_origin, any_host=not is_loopback(settings.host))


def rules_of(settings: ServeSettings, prices: Mapping[str, Prices] | None = None) -> Rules:
    """What the settings say of budgets and domains; ``prices`` where they say none. Raises ServeError."""
    return Rules(
        default=settings.default_budget,
        ceiling=settings.ceiling,
        price=settings.price / 1e9,
        prices=prices if settings.prices is None else settings.prices,
        domain=settings.domain,
        open_plan=Plan.parse(settings.open_plan),
        structured_plan=None if settings.plan_structured is None else Plan.parse(settings.plan_structured),
        explore=settings.explore,
        explore_by="thompson" if settings.explore_by == "thompson" else "epsilon",
        sources=Sources(dict(Source.parse(one) for one in settings.source)),
        shadow=ShadowRules(settings.shadow_share, settings.shadow_policy) if settings.shadow else None,
        cancel_within=settings.cancel_within,
    )


def _backends(settings: ServeSettings, planner: Planner, upstream_key: str | None) -> Backends:
    if settings.engine is not None:
        from planner.solving.sourcing import Sourcing

        sourcing = Sourcing(
            settings.engine,
            settings.policy,
            settings.prm,
            options=settings.engine_option,
            threads=settings.threads,
        )
        return opened(planner, sourcing.loader([*planner.policies], [*planner.prms]))
    places = [*settings.policy, *(prm for prm in settings.prm if not asks_policies(prm))]
    given = {path.resolve().name: path for path in map(find_model, places)}
    _check_names("--policy", planner.policies, given.keys() - planner.prms.keys())
    _check_names("--prm-url", planner.prms, settings.prm_urls)

    def found(name: str) -> Path:
        return given.get(name) or find_model(name)

    def place(prm: str) -> PrmPlace:
        models = models_of(prm)
        return {model: found(model) for model in models} if models else found(prm)

    prms = {name: place(name) for name in planner.prms}
    if settings.base_url is None:
        policies = {name: found(name) for name in planner.policies}
        return embedded(planner, policies, prms, threads=settings.threads)
    name = next((name for name in planner.policies if name in given), None)
    name = name or (next(iter(planner.policies)) if len(planner.policies) == 1 else None)
    if name is None:
        raise ServeError(f"--policy must name one of {', '.join(planner.policies)}, got none of them")
    return remote(
        planner,
        settings.base_url,
        prms,
        model=settings.model,
        policy=name,
        tokenizer=found(name),
        api_key=upstream_key,
        prm_urls=settings.prm_urls,
        threads=settings.threads,
    )


def _check_names(flag: str, known: Iterable[str], given: Iterable[str | None]) -> None:
    """Raises ServeError for a model that the planner does not know."""
    foreign = sorted(name for name in set(given) - set(known) if name is not None)
    if foreign:
        raise ServeError(f"{flag} must name one of {', '.join(known)}, got {foreign[0]!r}")


def _recorder(settings: ServeSettings, hash_key: str) -> Recorder:
    if settings.decisions is None:
        return MemoryRecorder()
    return DecisionLog.open(
        settings.decisions,
        hash_key=hash_key.encode() if settings.hash_questions else None,
        retention=Retention(days=settings.keep_days, bytes=settings.keep_bytes),
    )


def _part(whole: int, workers: int) -> int:
    """What one of so many processes may have of a limit: at least 1."""
    return max(1, whole // workers)
