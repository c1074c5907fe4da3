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

_PASSED_ON = """IF SQLSTATE IN ('MD604', '55P03') OR pg_catalog.left(SQLSTATE, 2) IN ('40', '53', '57') THEN
        RAISE;
    END IF;"""
"""What is no matter of the row, such as a deadlock or a full disk, and what reject_if decided."""


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

        STABLE spares a new snapshot for each call, and lets the model be what it is to the statement's.
        """
        path = f" {self.scorer.settings}" if self.where or self.reject or self.enrichment else ""
        label = f"<<{SCORED}>>\nDECLARE\n    score float8;\n" if self.reject else ""
        body = f"{label}BEGIN\n{textwrap.indent(self._body(), '    ')}\n    RETURN NEW;\nEND"
        return (
            f"CREATE FUNCTION {self.scorer.function}() RETURNS trigger LANGUAGE plpgsql\n"
            f"STABLE SECURITY DEFINER{path} AS {literal(body)}"
        )

    def row_sql(self) -> str:
        """CREATE FUNCTION for what the trigger function calls to have enrich's columns.

        VOLATILE, because enrich is to see the rows before this one, of the same statement too. STRICT, because a second
        row of enrich would be a second row in a batch.
        """
        s, names = self.scorer, self._given()
        given = {name: f"${at}" for at, name in enumerate(names, 1)}
        features = [f"e.{quote(c.column)}" if c.enriched else given[c.column] for c in s.columns]
        enriched = f"{s.enrich_function}({', '.join(given[name] for name in s.enrich_reads)})"
        body = f"BEGIN SELECT {self._sent(features)} INTO STRICT sent FROM {enriched} AS e; END"
        types = "".join(f"{self.table.columns[name].bare}, " for name in names)
        return f"CREATE FUNCTION {s.row_function}({types}OUT sent bytea) LANGUAGE plpgsql VOLATILE AS {literal(body)}"

    def _given(self) -> list[str]:
        """The columns of the row that ``row_function`` takes."""
        s = self.scorer
        return list(dict.fromkeys([*(c.column for c in s.columns if not c.enriched), *s.enrich_reads]))

    def _body(self) -> str:
        body = "\n".join([*self._score(), *self._rest(), *self._rejection()])
        if self.where is not None:
            body = f"IF {self.where.text} THEN\n{textwrap.indent(body, '    ')}\nELSE\n{self._nothing()}\nEND IF;"
        if self.scorer.error is None or not (self.where or self.reject or self.enrichment):
            return body
        failed = f"NEW.{quote(self.scorer.error)} := modeldb._online_error({self.scorer.id}, SQLERRM);"
        caught = f"EXCEPTION WHEN OTHERS THEN\n    {_PASSED_ON}\n{self._nothing()}\n    {failed}"
        return f"BEGIN\n{textwrap.indent(body, '    ')}\n{caught}\nEND;"

    def _nothing(self) -> str:
        return "\n".join(f"    NEW.{quote(name)} := NULL;" for name in self._targets())

    def _targets(self) -> list[str]:
        s = self.scorer
        return [name for name in (s.into, s.label, s.model_version, s.scored_at, s.error) if name is not None]

    def _score(self) -> list[str]:
        s = self.scorer
        lines = [f"NEW.{quote(s.into)} := {self._call()};"]
        if s.error is not None:
            lines.append(f"NEW.{quote(s.error)} := modeldb._online_error({s.id});")
        return lines

    def _call(self) -> str:
        s = self.scorer
        if s.enrich is None:
            sent = self._sent([f"NEW.{quote(source.column)}" for source in s.columns])
        else:
            sent = f"{s.row_function}({', '.join(f'NEW.{quote(name)}' for name in self._given())})"
        return f"modeldb.{'_online_numbers' if self._numbers() else '_online'}({s.id}, modeldb._epoch(), {sent})"

    def _sent(self, features: Sequence[str]) -> str:
        """The features' values as the bytes that are handed over."""
        row = ", ".join(features)
        return f"modeldb._memory(ARRAY[{row}])" if self._numbers() else f"pg_catalog.record_send(ROW({row}))"

    def _numbers(self) -> bool:
        return all(oid == values.FLOAT8 for oid in self._types())

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
    if s.enrich is not None:
        plpy.execute(function.row_sql())
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
