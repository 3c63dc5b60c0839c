"""What a table is made of: columns with a kind, and the label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal["numeric", "category", "text", "datetime", "id"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Form = Literal["text", "code", "real", "whole", "boolean"]
"""How a raw cell is read when its column is known already: as it stands; as the canonical text of the number or
truth value that it is, else as it stands; as a number; as a whole number; as true/false."""

ROW = "_row"
"""Name of the column that carries a row's place in the raw table, from `clean` to the predictions."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the training rows showed it; every kind but ``id`` is a feature.

    ``low`` and ``high`` bound a numeric column (datetimes: seconds since 1970); ``levels`` are the most frequent
    values of a category (as canonical text, at most 1,000) and empty for the other kinds. ``format`` is the strptime
    format of a datetime column whose text is not ISO 8601. ``lemmas`` is the language whose lemmas stand for the words
    of a text column, ``stop_words`` are words that are left out of it, and ``characters`` says that pieces of its words
    are looked at too, all as the project file declares them.
    """

    name: str
    kind: Kind
    nullable: bool = True
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()
    format: str = ""
    lemmas: str = ""
    stop_words: tuple[str, ...] = ()
    characters: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Column:
        lists = {name: tuple(data.get(name, ())) for name in ("levels", "stop_words")}
        return cls(**{**data, **lists})


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns in order, and the label.

    ``labels`` are canonical texts. With two classes the *positive* one stands last, so that class code 1 is positive;
    with more they are in natural order and ``positive`` is None.
    """

    columns: tuple[Column, ...]
    target: str
    labels: tuple[str, ...]
    positive: str | None = None

    @property
    def binary(self) -> bool:
        return len(self.labels) == 2

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns a model may read: all but identifiers."""
        return tuple(column for column in self.columns if column.kind != "id")

    def of_kind(self, *kinds: Kind) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.kind in kinds)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        columns = tuple(Column.from_dict(column) for column in data["columns"])
        return cls(columns, data["target"], tuple(data["labels"]), data["positive"])
