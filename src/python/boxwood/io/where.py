"""Rows of a table by an expression such as ``rlnCtfMaxResolution < 6 and rlnDefocusU > 5000``.

Grammar (keywords in any case, nothing is ever evaluated as Python)::

    either     = both { "or" both }
    both       = negated { "and" negated }
    negated    = "not" negated | "(" either ")" | comparison
    comparison = operand ( compare operand { compare operand } | ["not"] "in" members )
    members    = "(" literal { "," literal } ")"
    compare    = "<" | "<=" | ">" | ">=" | "==" | "=" | "!=" | "contains"
    operand    = column | literal          a column may carry the leading underscore of the file
    literal    = number | "text" | 'text'
"""

import difflib
import operator
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from boxwood.errors import InputError

BoolArray = npt.NDArray[np.bool_]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
          |(?P<text>"[^"]*"|'[^']*')
          |(?P<word>[A-Za-z_][\w.]*)
          |(?P<symbol><=|>=|==|!=|[<>=(),]))""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
}
_KEYWORDS = {"and", "or", "not", "in", "contains"}


def rows_where(table: pd.DataFrame, expression: str) -> BoolArray:
    """Rows of `table` that satisfy `expression`.

    Parameters
    ----------
    table : DataFrame (n rows)
    expression : str
        Comparisons of columns with numbers, quoted text or each other, joined by ``and``, ``or``, ``not``
        and parentheses; ``column in (1, 4)``, ``name contains "text"`` and ``3 < column <= 6`` work too.
        A value that is not a number (nan) satisfies no comparison but ``!=``.

    Returns
    -------
    (n,) bool

    Raises
    ------
    InputError
        The expression cannot be understood, names a column that is not there (the nearest ones are
        listed), or compares a column of text with a number.
    """
    parser = _Parser(table, expression)
    chosen = parser.either()
    if parser.kind != "end":
        parser.refuse("'and', 'or' or the end")
    return chosen


class _Operand:
    """One side of a comparison: an array of one value per row, or a single value that fits every row."""

    def __init__(self, name: str, values: Any, is_text: bool) -> None:
        self.name, self.values, self.is_text = name, values, is_text


class _Parser:
    """Recursive descent over the tokens of one expression; each rule returns a mask over the rows."""

    def __init__(self, table: pd.DataFrame, expression: str) -> None:
        self.table, self.expression = table, expression
        self.position = 0
        self.advance()

    def advance(self) -> str:
        """Step to the next token and return the text of the one just left."""
        left = getattr(self, "token", "")
        rest = self.expression[self.position :]
        self.start = len(self.expression) - len(rest.lstrip())
        if not rest.strip():
            self.kind, self.token = "end", ""
            return left
        match = _TOKEN.match(self.expression, self.position)
        if match is None:
            self.kind, self.token = "unknown", rest.split()[0]
            self.refuse("a column, a number, quoted text or a comparison")
        self.position = match.end()
        self.kind = str(match.lastgroup)
        self.token = match.group(self.kind)
        if self.kind == "word" and self.token.lower() in _KEYWORDS:
            self.kind, self.token = "keyword", self.token.lower()
        return left

    def refuse(self, expected: str) -> NoReturn:
        found = f"'{self.token}' at character {self.start + 1}" if self.token else "the end"
        raise InputError(
            f"The expression '{self.expression}' has {found} where {expected} is expected; "
            "write for example: rlnCtfMaxResolution < 6 and rlnDefocusU > 5000"
        )

    def take(self, *tokens: str) -> str:
        """The current token if it is one of `tokens` (and step over it), else an empty string."""
        if self.kind in ("symbol", "keyword") and self.token in tokens:
            return self.advance()
        return ""

    def demand(self, token: str) -> None:
        if not self.take(token):
            self.refuse(f"'{token}'")

    def either(self) -> BoolArray:
        chosen = self.both()
        while self.take("or"):
            chosen = chosen | self.both()
        return chosen

    def both(self) -> BoolArray:
        chosen = self.negated()
        while self.take("and"):
            chosen = chosen & self.negated()
        return chosen

    def negated(self) -> BoolArray:
        if self.take("not"):
            return ~self.negated()
        if self.take("("):
            chosen = self.either()
            self.demand(")")
            return chosen
        return self.comparison()

    def comparison(self) -> BoolArray:
        left = self.operand()
        if self.take("not"):
            self.demand("in")
            return ~self.member(left)
        if self.take("in"):
            return self.member(left)
        chosen = np.ones(len(self.table), dtype=bool)
        compared = False
        while sign := self.take(*_COMPARE, "contains"):
            right = self.operand()
            chosen &= self.compare(left, sign, right)
            left, compared = right, True
        if not compared:
            self.refuse("a comparison (<, <=, >, >=, ==, !=, in, contains)")
        return chosen

    def member(self, left: _Operand) -> BoolArray:
        self.demand("(")
        chosen = np.zeros(len(self.table), dtype=bool)
        while True:
            if self.kind not in ("number", "text"):
                self.refuse("a number or quoted text")
            chosen |= self.compare(left, "==", self.operand())
            if self.take(")"):
                return chosen
            self.demand(",")

    def operand(self) -> _Operand:
        if self.kind == "number":
            text = self.advance()
            return _Operand(text, float(text), is_text=False)
        if self.kind == "text":
            text = self.advance()
            return _Operand(text, text[1:-1], is_text=True)
        if self.kind == "word":
            return self.column(self.advance())
        self.refuse("a column, a number or quoted text")

    def column(self, word: str) -> _Operand:
        name = word if word in self.table.columns else word.removeprefix("_")
        if name not in self.table.columns:
            raise InputError(unknown_column(name, list(self.table.columns)))
        series = self.table[name]
        if pd.api.types.is_numeric_dtype(series):
            return _Operand(name, series.to_numpy(np.float64), is_text=False)
        return _Operand(name, series.astype(str).to_numpy(dtype=str), is_text=True)

    def compare(self, left: _Operand, sign: str, right: _Operand) -> BoolArray:
        if left.is_text != right.is_text or (sign == "contains" and not left.is_text):
            kinds = [f"{side.name} is {'text' if side.is_text else 'a number'}" for side in (left, right)]
            raise InputError(
                f"The expression '{self.expression}' cannot compare by '{sign}': {' and '.join(kinds)}; "
                "text is written in quotes, numbers without."
            )
        if sign == "contains":
            found = np.char.find(left.values, right.values) >= 0
        else:
            found = _COMPARE[sign](left.values, right.values)
        return np.broadcast_to(np.asarray(found, dtype=bool), (len(self.table),)).copy()


def unknown_column(name: str, columns: list[str]) -> str:
    """A sentence that says `name` is no column, with the nearest ones among `columns`."""
    folded = {column.lower(): column for column in columns}
    near = [folded[hit] for hit in difflib.get_close_matches(name.lower(), list(folded), n=4, cutoff=0.5)]
    hint = f"did you mean {', '.join(near)}?" if near else f"the columns are {', '.join(columns)}."
    return f"There is no column '{name}' in this table; {hint}"
