"""The triggers of a synchronous scorer, and the function that they call: SQL that scores a row while it is written."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import plpy

from modeldb.server import values
from modeldb.server.batch.source import literal, quote
from modeldb.server.online.probe import Enrichment, Expression
from modeldb.server.online.scorer import TableScorer
from modeldb.server.online.table import Table

SCORED = "modeldb_scored"
"""The block of the trigger function whose variable ``score`` an expression may use."""


class Function:
    """The trigger function: for each row, the columns of the score and what goes with it."""

    def __init__(
        self,
        scorer: TableScorer,
        table: Table,
        where: Expression | None,
        reject: Expression | None,
        given: Enrichment | None,
    ) -> None:
        self.scorer, self.table, self.where, self.reject, self.enrichment = scorer, table, where, reject, given

    def sql(self) -> str:
        """CREATE FUNCTION. Without expressions every name in it is qualified, and it does without a search_path.

        STABLE spares a new snapshot for each call, and lets the model be what it is to the statement's; enrich is to
        see the rows before this one, of the same statement too, and so needs a snapshot of each row.
        """
        path = f" {self.scorer.settings}" if self.where or self.reject or self.enrichment else ""
        label = f"<<{SCORED}>>\nDECLARE\n    score float8;\n" if self.reject else ""
        body = f"{label}BEGIN\n{textwrap.indent(self._body(), '    ')}\n    RETURN NEW;\nEND"
        return (
            f"CREATE FUNCTION {self.scorer.function}() RETURNS trigger LANGUAGE plpgsql\n"
            f"{'VOLATILE' if self.enrichment else 'STABLE'} SECURITY DEFINER{path} AS {literal(body)}"
        )

    def _body(self) -> str:
        scored = "\n".join([*self._score(), *self._rest(), *self._rejection()])
        if self.where is None:
            return scored
        otherwise = "\n".join(f"    NEW.{quote(name)} := NULL;" for name in self._targets())
        return f"IF {self.where.text} THEN\n{textwrap.indent(scored, '    ')}\nELSE\n{otherwise}\nEND IF;"

    def _targets(self) -> list[str]:
        s = self.scorer
        return [name for name in (s.into, s.label, s.model_version, s.scored_at, s.error) if name is not None]

    def _score(self) -> list[str]:
        s = self.scorer
        into, error = f"NEW.{quote(s.into)}", f"modeldb._online_error({s.id})"
        if s.enrich is None:
            lines = [f"{into} := {self._call()};"]
        else:
            # STRICT, because a second row of enrich would be a second row in a batch.
            lines = [f"SELECT {self._call()} INTO STRICT {into} FROM {s.enriched('NEW')} AS e;"]
        if s.error is None:
            return lines
        noted = f"NEW.{quote(s.error)} := {error};"
        if s.enrich is None:
            return [*lines, noted]
        failed = f"NEW.{quote(s.error)} := modeldb._online_error({s.id}, SQLERRM);"
        return [
            "BEGIN",
            *(f"    {line}" for line in [*lines, noted]),
            "EXCEPTION WHEN OTHERS THEN",
            f"    {into} := NULL;",
            f"    {failed}",
            "END;",
        ]

    def _call(self) -> str:
        given = [f"{'e' if source.enriched else 'NEW'}.{quote(source.column)}" for source in self.scorer.columns]
        start = f"({self.scorer.id}, modeldb._epoch(), "
        if all(oid == values.FLOAT8 for oid in self._types()):
            return f"modeldb._online_numbers{start}modeldb._memory(ARRAY[{', '.join(given)}]))"
        return f"modeldb._online{start}pg_catalog.record_send(ROW({', '.join(given)})))"

    def _types(self) -> list[int]:
        enriched = self.enrichment.columns if self.enrichment else {}
        return [
            (enriched if source.enriched else self.table.columns)[source.column].oid for source in self.scorer.columns
        ]

    def _rest(self) -> list[str]:
        s = self.scorer
        parts = {
            s.label: f"modeldb._online_label({s.id})",
            s.model_version: f"modeldb._online_version({s.id})",
            s.scored_at: "pg_catalog.clock_timestamp()",
        }
        lines = [f"NEW.{quote(name)} := {value};" for name, value in parts.items() if name is not None]
        if s.error is None or not lines:
            return lines
        failed = [f"    NEW.{quote(name)} := NULL;" for name in parts if name is not None]
        scored = [f"    {line}" for line in lines]
        return [f"IF NEW.{quote(s.error)} IS NULL THEN", *scored, "ELSE", *failed, "END IF;"]

    def _rejection(self) -> list[str]:
        if self.reject is None:
            return []
        into = f"NEW.{quote(self.scorer.into)}"
        rounded = f"pg_catalog.trim_scale(pg_catalog.round({into}::pg_catalog.numeric, 6))"
        said = literal(f"the scorer into {self.scorer.into!r} rejects a row of %I.%I: {_escaped(self.reject.given)}")
        return [
            f"score := {into};",
            f"IF {self.reject.text} THEN",
            "    RAISE EXCEPTION USING ERRCODE = 'MD604',",
            f"        MESSAGE = pg_catalog.format({said}, TG_TABLE_SCHEMA, TG_TABLE_NAME),",
            f"        DETAIL = pg_catalog.concat('The score is ', {rounded}, '.'),",
            "        HINT = 'The statement was refused, with all of its rows.',",
            f"        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = {literal(self.scorer.into)};",
            "END IF;",
        ]


def _escaped(text: str) -> str:
    """A text within a format of format()."""
    return text.replace("%", "%%")


def make(function: Function) -> None:
    """Make function and triggers, as the table's owner."""
    s = function.scorer
    plpy.execute(function.sql())
    plpy.execute(f"REVOKE ALL ON FUNCTION {s.function}() FROM PUBLIC")
    plpy.execute(f"COMMENT ON FUNCTION {s.function}() IS {literal(f'Scores {s.table} into {s.into}.')}")
    events = f"INSERT{_update_of(s.reads)} ON {s.table}"
    plpy.execute(f"CREATE TRIGGER {quote(s.trigger)} BEFORE {events} FOR EACH ROW EXECUTE FUNCTION {s.function}()")
    done = quote(f"{s.trigger}_done")
    plpy.execute(
        f"CREATE TRIGGER {done} AFTER {events} FOR EACH STATEMENT EXECUTE FUNCTION modeldb._online_done({s.id})"
    )


def _update_of(columns: Sequence[str]) -> str:
    return f" OR UPDATE OF {', '.join(map(quote, columns))}" if columns else ""
