"""The decision log in its database: writes batches, finds decisions, deletes the oldest.

Every call is one transaction and blocks; none may run on the event loop. It knows nothing of threads
(``writer``), of hashing (``hashing``) or of when to delete (``retention``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from planner.server.decisions.database import connect, head, migrate, revision
from planner.server.decisions.recorder import Decision, DecisionQuery, Feedback, Record
from planner.server.decisions.tables import (
    ASSIGNMENTS,
    CANDIDATES,
    COMPARISONS,
    DECISIONS,
    FEEDBACK,
    SETTINGS,
    STEPS,
    decision_of,
    feedback_of,
    feedback_row,
    rows_of,
)
from search.errors import DecisionLogError

__all__ = ["Store"]

#: ids that one IN list names
_IDS = 500


class Store:
    """One decision log. Safe to use from several threads; ``engine`` is its SQLAlchemy engine."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(writes=True)

    @classmethod
    def open(cls, where: str | Path, *, wait: float = 1.0) -> Store:
        """The log at a file or address (``connect``), created or migrated where that is due.

        Raises DecisionLogError where it cannot be opened or a later program wrote it.
        """
        engine = connect(where, wait=wait)
        try:
            migrate(engine)
        except sa.exc.SQLAlchemyError as error:
            engine.dispose()
            raise DecisionLogError(_unopened(engine, error)) from error
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @classmethod
    def read(cls, where: str | Path) -> Store:
        """A log that exists, of this version; nothing is created or migrated. Raises DecisionLogError."""
        if "://" not in str(where) and not Path(where).is_file():
            raise DecisionLogError(f"a decision log is a file that exists, got {str(where)!r}")
        if "://" not in str(where) and not Path(where).stat().st_size:
            # before SQLite, which would write into it
            raise DecisionLogError(f"a decision log holds decisions, got an empty file {str(where)!r}")
        engine = connect(where)
        try:
            found = revision(engine)
        except sa.exc.SQLAlchemyError as error:
            engine.dispose()
            raise DecisionLogError(_unopened(engine, error)) from error
        if found != head():
            engine.dispose()
            got = repr(found) if found else f"none in {str(where)!r}: it is another database"
            raise DecisionLogError(f"a decision log to read has version {head()}, got {got}")
        return cls(engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # ---- writing

    def write(self, decisions: Sequence[Decision], feedback: Sequence[Feedback] = ()) -> list[bool]:
        """Add decisions, then feedback, in one transaction; durable when this returns.

        Returns which feedback names a decision of the log; only that is kept. A decision whose id is there
        already stays as it was, so a batch whose end was not heard of can be written again.
        """
        with self._writing.begin() as connection:
            fresh = {decision.decision_id: decision for decision in reversed(decisions)}
            known = _known(connection, fresh)
            rows = rows_of([d for d in reversed(fresh.values()) if d.decision_id not in known])
            for table, added in (
                (DECISIONS, rows.decisions),
                (STEPS, rows.steps),
                (CANDIDATES, rows.candidates),
                (COMPARISONS, rows.comparisons),
                (ASSIGNMENTS, rows.assignments),
            ):
                if added:
                    connection.execute(sa.insert(table), added)
            there = _known(connection, {one.decision_id for one in feedback})
            said = [feedback_row(one) for one in feedback if one.decision_id in there]
            if said:
                connection.execute(sa.insert(FEEDBACK), said)
        return [one.decision_id in there for one in feedback]

    def delete(self, ids: Sequence[str]) -> None:
        """Forget decisions with all that belongs to them."""
        with self._writing.begin() as connection:
            for some in _slices(ids):
                connection.execute(sa.delete(DECISIONS).where(DECISIONS.c.decision_id.in_(some)))
        if self.engine.dialect.name == "sqlite" and ids:
            raw = self.engine.raw_connection()
            try:
                # it frees a page per step, and the driver's execute takes one step only
                raw.cursor().executescript("PRAGMA incremental_vacuum")
            finally:
                raw.close()

    def setting(self, name: str, default: str) -> str:
        """A value that the log keeps; ``default`` is kept, and returned, where it has none."""
        query = sa.select(SETTINGS.c.value).where(SETTINGS.c.name == name)
        with self._writing.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE settings IN SHARE ROW EXCLUSIVE MODE"))
            found = connection.execute(query).scalar()
            if found is None:
                connection.execute(sa.insert(SETTINGS), [{"name": name, "value": default}])
        return default if found is None else str(found)

    # ---- reading

    def value(self, name: str) -> str | None:
        """A value that the log keeps (``setting``), if it does."""
        with self.engine.connect() as connection:
            found = connection.execute(sa.select(SETTINGS.c.value).where(SETTINGS.c.name == name)).scalar()
        return None if found is None else str(found)

    def find(self, decision_id: str) -> Record | None:
        """One decision with its feedback."""
        query = sa.select(DECISIONS).where(DECISIONS.c.decision_id == decision_id)
        return next(iter(self._records(query)), None)

    def search(self, wish: DecisionQuery) -> list[Record]:
        """Decisions that match, newest first; of one moment, by id."""
        query = sa.select(DECISIONS)
        table = DECISIONS.c
        if wish.text is not None:
            text = wish.text.lower()
            query = query.where(
                sa.or_(
                    sa.func.lower(table.question).contains(text, autoescape=True),
                    sa.func.lower(table.answer).contains(text, autoescape=True),
                )
            )
        for column, wanted in (
            (table.policy, wish.policy),
            (table.plan, None if wish.strategy else wish.plan),
            (table.domain, wish.domain),
            (table.outcome, wish.outcome),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        if wish.strategy is not None:
            query = query.where(table.plan.startswith(wish.strategy, autoescape=True))
        if wish.since is not None:
            query = query.where(table.created >= wish.since)
        if wish.until is not None:
            query = query.where(table.created < wish.until)
        if wish.with_feedback is not None:
            has_feedback = sa.exists().where(FEEDBACK.c.decision_id == table.decision_id)
            query = query.where(has_feedback if wish.with_feedback else ~has_feedback)
        if wish.before is not None:
            named = sa.select(DECISIONS.c.created).where(DECISIONS.c.decision_id == wish.before)
            moment = named.scalar_subquery()
            query = query.where(
                sa.or_(
                    table.created < moment,
                    sa.and_(table.created == moment, table.decision_id < wish.before),
                )
            )
        ordered = query.order_by(table.created.desc(), table.decision_id.desc())
        return self._records(ordered.limit(wish.limit))

    def with_feedback(self, block: int = 500) -> Iterator[Record]:
        """Every decision with feedback, oldest first, a block in memory at a time."""
        return self._every(FEEDBACK, block)

    def compared(self, block: int = 500) -> Iterator[Record]:
        """Every decision with a comparison, likewise."""
        return self._every(COMPARISONS, block)

    def newest_compared(self, limit: int) -> list[Record]:
        """The newest decisions with a comparison, newest first."""
        table = DECISIONS.c
        has_one = sa.exists().where(COMPARISONS.c.decision_id == table.decision_id)
        query = sa.select(DECISIONS).where(has_one)
        return self._records(query.order_by(table.created.desc(), table.decision_id.desc()).limit(limit))

    def _every(self, having: sa.Table, block: int) -> Iterator[Record]:
        """Every decision with rows in a table that belong to it, oldest first."""
        table = DECISIONS.c
        last: tuple[float, str] | None = None
        while True:
            has_some = sa.exists().where(having.c.decision_id == table.decision_id)
            query = sa.select(DECISIONS).where(has_some)
            if last is not None:
                query = query.where(sa.tuple_(table.created, table.decision_id) > sa.tuple_(*last))
            records = self._records(query.order_by(table.created, table.decision_id).limit(block))
            yield from records
            if len(records) < block:
                return
            last = (records[-1].decision.created, records[-1].decision.decision_id)

    def spent(self, since: float) -> dict[str, tuple[int, float]]:
        """(logical tokens, dollars) by key, of the decisions of keys created since then."""
        table = DECISIONS.c
        query = (
            sa.select(
                table.key,
                sa.func.sum(table.policy_tokens + table.prm_tokens),
                sa.func.coalesce(sa.func.sum(table.spent_usd), 0.0),
            )
            .where(table.created >= since, table.key.is_not(None))
            .group_by(table.key)
        )
        with self.engine.connect() as connection:
            return {str(key): (int(tokens), float(usd)) for key, tokens, usd in connection.execute(query)}

    def count(self) -> int:
        """How many decisions there are."""
        return int(self._scalar(sa.select(sa.func.count()).select_from(DECISIONS)))

    def size(self) -> int:
        """About how many bytes all decisions take."""
        return int(self._scalar(sa.select(sa.func.coalesce(sa.func.sum(DECISIONS.c.bytes), 0))))

    def oldest(self, limit: int, *, before: float | None = None) -> list[tuple[str, int]]:
        """(id, bytes) of the oldest decisions, those created earlier than ``before`` where it is given."""
        query = sa.select(DECISIONS.c.decision_id, DECISIONS.c.bytes)
        if before is not None:
            query = query.where(DECISIONS.c.created < before)
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(DECISIONS.c.created).limit(limit)).all()
        return [(str(name), int(size)) for name, size in rows]

    def features(
        self, planner: str, look: str, limit: int, newest: bool, after: float | None = None
    ) -> list[tuple[float, bytes]]:
        """(created, features) of what a planner saw at a look, by age: the oldest first, or the newest.

        ``after``: only of decisions created later.
        """
        query = (
            sa.select(DECISIONS.c.created, STEPS.c.features)
            .join(STEPS, DECISIONS.c.decision_id == STEPS.c.decision_id)
            .where(STEPS.c.look == look)
        )
        return self._vectors(query, planner, limit, newest, after)

    def rewards(
        self, planner: str, prm: str, limit: int, newest: bool, after: float | None = None
    ) -> list[tuple[float, bytes]]:
        """(created, step rewards) of the candidates that a PRM scored, as ``features`` has it."""
        query = (
            sa.select(DECISIONS.c.created, CANDIDATES.c.step_rewards)
            .join(CANDIDATES, DECISIONS.c.decision_id == CANDIDATES.c.decision_id)
            .where(DECISIONS.c.prm == prm, sa.func.length(CANDIDATES.c.step_rewards) > 0)
        )
        return self._vectors(query, planner, limit, newest, after)

    def _vectors(
        self, query: sa.Select[Any], planner: str, limit: int, newest: bool, after: float | None
    ) -> list[tuple[float, bytes]]:
        table = DECISIONS.c
        query = query.where(table.planner == planner)
        if after is not None:
            query = query.where(table.created > after)
        if newest:
            query = query.order_by(table.created.desc(), table.decision_id.desc())
        else:
            query = query.order_by(table.created, table.decision_id)
        with self.engine.connect() as connection:
            return [(float(at), bytes(vector)) for at, vector in connection.execute(query.limit(limit))]

    def _scalar(self, query: sa.Select[Any]) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def _records(self, query: sa.Select[Any]) -> list[Record]:
        with self.engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
            ids = [str(row["decision_id"]) for row in rows]
            steps = _belonging(connection, STEPS, STEPS.c.place, ids)
            candidates = _belonging(connection, CANDIDATES, CANDIDATES.c.place, ids)
            said = _belonging(connection, FEEDBACK, FEEDBACK.c.feedback_id, ids)
            compared = _belonging(connection, COMPARISONS, COMPARISONS.c.decision_id, ids)
            assigned = _belonging(connection, ASSIGNMENTS, ASSIGNMENTS.c.decision_id, ids)
        return [
            Record(
                decision_of(
                    row,
                    steps.get(name, []),
                    candidates.get(name, []),
                    comparisons=compared.get(name, []),
                    assignments=assigned.get(name, []),
                ),
                tuple(feedback_of(one) for one in said.get(name, [])),
            )
            for name, row in zip(ids, rows, strict=True)
        ]


def _belonging(
    connection: sa.Connection, table: sa.Table, order: sa.Column[Any], ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for some in _slices(ids):
        query = sa.select(table).where(table.c.decision_id.in_(some)).order_by(table.c.decision_id, order)
        rows = [dict(row) for row in connection.execute(query).mappings()]
        found |= {str(name): list(part) for name, part in groupby(rows, key=lambda row: row["decision_id"])}
    return found


def _known(connection: sa.Connection, ids: Iterable[str]) -> set[str]:
    """Which decisions the log holds."""
    known: set[str] = set()
    for some in _slices(list(ids)):
        query = sa.select(DECISIONS.c.decision_id).where(DECISIONS.c.decision_id.in_(some))
        known |= {str(name) for name in connection.execute(query).scalars()}
    return known


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), _IDS):
        yield ids[begin : begin + _IDS]


def _unopened(engine: sa.Engine, error: Exception) -> str:
    shown = engine.url.render_as_string(hide_password=True)
    reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    return f"a decision log can be opened and written, got {shown}: {reason}"
