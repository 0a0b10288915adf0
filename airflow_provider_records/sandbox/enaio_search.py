"""The subset of SQL that the fake enaio supports in ``POST /objects/search``.

``SELECT a, b FROM Type WHERE a = @x AND b IN (@list) AND c LIKE 'A%' ORDER BY a DESC``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

TOKEN = re.compile(
    r"\s*(?:'(?P<text>(?:[^']|'')*)'|@(?P<param>\w+)|(?P<sign><=|>=|<>|[=<>(),])"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[^\W\d][\w:]*))"
)
WORDS = {"SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "ORDER", "BY", "ASC", "DESC"}
QUERY_KEYS = {
    "statement", "skipCount", "maxItems", "handleDeletedDocuments", "includePermissions", "options", "parameters",
}  # fmt: skip
NUMBER = re.compile(r"-?\d+(\.\d+)?")

Values = Callable[[str], list[str]]


class BadQueryError(ValueError):
    """The query has members that the contract does not know, or its statement is outside the subset."""


def sort_key(value: str) -> tuple[int, float, str]:
    """Return a key that sorts numbers by value, and before texts."""
    return (0, float(value), "") if NUMBER.fullmatch(value) else (1, 0.0, value)


@dataclass(frozen=True)
class Condition:
    """One comparison of the WHERE clause.

    :param field: name of the field.
    :param sign: ``=``, ``<>``, ``<``, ``>``, ``<=``, ``>=``, ``IN`` or ``LIKE``.
    :param operands: one value; for ``IN`` one or more.
    """

    field: str
    sign: str
    operands: tuple[str, ...]

    @property
    def names_ids(self) -> bool:
        """Whether it holds for named objects only; others need not be looked at."""
        return self.field == "system:objectId" and self.sign in {"=", "IN"}

    @cached_property
    def _among(self) -> frozenset[str]:
        return frozenset(self.operands)

    def holds(self, value: str) -> bool:
        operand = self.operands[0]
        if self.sign == "IN":
            return value in self._among
        if self.sign == "LIKE":
            pattern = re.escape(operand).replace("%", ".*").replace("_", ".")
            return re.fullmatch(pattern, value, re.DOTALL) is not None
        numbers = NUMBER.fullmatch(value) and NUMBER.fullmatch(operand)
        left, right = (sort_key(value), sort_key(operand)) if numbers else ((0, 0.0, value), (0, 0.0, operand))
        return {
            "=": value == operand,
            "<>": value != operand,
            "<": left < right,
            ">": left > right,
            "<=": left <= right,
            ">=": left >= right,
        }[self.sign]


@dataclass(frozen=True)
class Statement:
    """A parsed statement.

    :param fields: fields of the SELECT clause.
    :param object_type: object type of the FROM clause.
    :param conditions: conditions of the WHERE clause; all must hold.
    :param order: fields of the ORDER BY clause, each with whether it is descending.
    """

    fields: tuple[str, ...]
    object_type: str
    conditions: tuple[Condition, ...]
    order: tuple[tuple[str, bool], ...]

    def names(self) -> set[str]:
        """Return every field that the statement mentions."""
        return {*self.fields, *(item.field for item in self.conditions), *(name for name, _ in self.order)}

    def matches(self, values: Values) -> bool:
        """Tell whether all conditions hold; none holds for a field without a value, as for NULL in SQL."""
        return all(any(item.holds(value) for value in values(item.field)) for item in self.conditions)

    def sort(self, rows: list[Any], values: Callable[[Any], Values]) -> None:
        """Sort rows in place as ORDER BY asks.

        :param rows: what to sort.
        :param values: returns the lookup of field values for a row.
        """
        for name, descending in reversed(self.order):

            def key(row: Any, name: str = name) -> tuple[int, float, str]:  # noqa: ANN401
                return sort_key((values(row)(name) or [""])[0])

            rows.sort(key=key, reverse=descending)


@dataclass(frozen=True)
class Query:
    """The checked body of a search.

    :param statement: the parsed statement.
    :param skip: number of rows to skip.
    :param most: maximum number of rows in the response.
    :param binned: search the recycle bin instead of the live objects.
    :param permissions: whether the response contains permissions.
    """

    statement: Statement
    skip: int
    most: int
    binned: bool
    permissions: bool


def read_query(body: dict[str, Any]) -> Query:
    """Check the body of a search and parse its statement.

    :param body: the parsed JSON.
    :raises BadQueryError: the body is invalid; the message says why.
    """
    query = body.get("query")
    if set(body) != {"query"} or not isinstance(query, dict) or set(query) - QUERY_KEYS:
        raise BadQueryError(f"the body is one query with {', '.join(sorted(QUERY_KEYS))}")
    skip, most = query.get("skipCount", 0), query.get("maxItems", 100)
    if type(skip) is not int or type(most) is not int or skip < 0 or most < 1:
        raise BadQueryError("skipCount and maxItems are whole numbers from 0 and 1 on")
    scope = query.get("handleDeletedDocuments", "DELETED_DOCUMENTS_EXCLUDE")
    if scope not in ("DELETED_DOCUMENTS_EXCLUDE", "DELETED_DOCUMENTS_ONLY"):
        raise BadQueryError("handleDeletedDocuments is DELETED_DOCUMENTS_EXCLUDE or DELETED_DOCUMENTS_ONLY")
    permissions, options = query.get("includePermissions", False), query.get("options", {})
    if not isinstance(permissions, bool) or not isinstance(options, dict) or set(options) - {"Rights"}:
        raise BadQueryError("includePermissions is a boolean, options knows Rights")
    text, parameters = query.get("statement"), query.get("parameters", {})
    if not isinstance(text, str) or not isinstance(parameters, dict):
        raise BadQueryError("statement is text, parameters is an object")
    return Query(parse_statement(text, parameters), skip, most, scope == "DELETED_DOCUMENTS_ONLY", permissions)


def parse_statement(text: str, parameters: Mapping[str, Any]) -> Statement:
    """Parse a statement and insert its parameters.

    :param text: the statement.
    :param parameters: values of ``@name``; lists only inside ``IN (...)``.
    :raises BadQueryError: the statement is invalid; the message says why and where.
    """
    return _Parser(text, parameters).statement()


class _Parser:
    def __init__(self, text: str, parameters: Mapping[str, Any]) -> None:
        self.parameters = parameters
        self.tokens: list[tuple[str, str]] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            if not (found := TOKEN.match(text, position)):
                raise BadQueryError(f"cannot read the statement at {text[position : position + 20]!r}")
            kind = str(found.lastgroup)
            token = found[kind]
            if kind == "word" and token.upper() in WORDS:
                kind, token = "key", token.upper()
            self.tokens.append((kind, token))
            position = found.end()
        self.tokens.append(("end", ""))

    def statement(self) -> Statement:
        self.demand("key", "SELECT")
        fields = [self.demand("word")]
        while self.accept("sign", ","):
            fields.append(self.demand("word"))
        self.demand("key", "FROM")
        object_type = self.demand("word")
        conditions = []
        if self.accept("key", "WHERE"):
            conditions.append(self.condition())
            while self.accept("key", "AND"):
                conditions.append(self.condition())
        order = []
        if self.accept("key", "ORDER"):
            self.demand("key", "BY")
            order.append(self.sort_field())
            while self.accept("sign", ","):
                order.append(self.sort_field())
        self.demand("end", "")
        return Statement(tuple(fields), object_type, tuple(conditions), tuple(order))

    def sort_field(self) -> tuple[str, bool]:
        name = self.demand("word")
        descending = self.accept("key", "DESC")
        if not descending:
            self.accept("key", "ASC")
        return name, descending

    def condition(self) -> Condition:
        name = self.demand("word")
        if self.accept("key", "IN"):
            self.demand("sign", "(")
            operands = self.operand(many=True)
            while self.accept("sign", ","):
                operands += self.operand(many=True)
            self.demand("sign", ")")
            if not operands:
                raise BadQueryError(f"IN of {name} has an empty list")
            return Condition(name, "IN", operands)
        if self.accept("key", "LIKE"):
            return Condition(name, "LIKE", self.operand())
        sign = self.demand("sign")
        if sign in {"(", ")", ","}:
            raise BadQueryError(f"{name} needs a comparison, not {sign!r}")
        return Condition(name, sign, self.operand())

    def operand(self, *, many: bool = False) -> tuple[str, ...]:
        kind, token = self.tokens.pop(0)
        if kind == "text":
            return (token.replace("''", "'"),)
        if kind == "number":
            return (token,)
        if kind != "param":
            raise BadQueryError(f"a value or @parameter must stand where {token or 'the end'!r} stands")
        if token not in self.parameters:
            raise BadQueryError(f"parameter {token!r} is missing")
        given = self.parameters[token]
        values = given if many and isinstance(given, list) else [given]
        if any(isinstance(value, bool) or not isinstance(value, (str, int, float)) for value in values):
            raise BadQueryError(f"parameter {token!r} must be text or a number; a list only inside IN (...)")
        return tuple(str(value) for value in values)

    def accept(self, kind: str, token: str) -> bool:
        if self.tokens[0] == (kind, token):
            self.tokens.pop(0)
            return True
        return False

    def demand(self, kind: str, token: str | None = None) -> str:
        found_kind, found = self.tokens[0]
        if found_kind != kind or token not in {None, found}:
            raise BadQueryError(f"{token or kind} must stand where {found or 'the end'!r} stands")
        self.tokens.pop(0)
        return found
