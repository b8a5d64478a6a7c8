"""Models that declare their schemas as classes, and models with an author's mistakes."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import pydantic
import schema
from msgspec import Meta
from pydantic import v1
from pydantic.dataclasses import dataclass as pydantic_dataclass

from mlmodel import MLModel, endpoint


class Inner(pydantic.BaseModel):
    size: int = 3


class Row(pydantic.BaseModel):
    x: float
    inner: Inner = Inner()
    # A default that is not in the JSON Schema.
    notes: list[str] = pydantic.Field(default_factory=list)

    @pydantic.field_validator("x")
    @classmethod
    def check_x(cls, x):
        if x == 13:
            raise ValueError("must not be 13")
        return x


class Answer(pydantic.BaseModel):
    y: float
    size: int


class OfPydantic(MLModel):
    qualified_name = "of-pydantic"
    input_schema = Row
    output_schema = Answer

    def predict(self, row: Row) -> Answer:
        return Answer(y=2 * row.x, size=row.inner.size)

    @endpoint("explain", methods=["GET", "POST"], input_schema=Row, output_schema=Answer)
    def explain(self, row):
        """Return the row's own values."""
        return Answer(y=row["x"], size=row.inner.size)


class Unannotated(OfPydantic):
    qualified_name = "unannotated"

    def predict(self, row):
        return {"y": 2 * row["x"] + len(row["notes"]), "size": row.inner.size}


class AsDict(OfPydantic):
    qualified_name = "as-dict"

    def predict(self, row: dict) -> Answer:
        return Answer(y=2 * row["x"], size=row["inner"]["size"])


class BreaksOnItsAnswer(OfPydantic):
    qualified_name = "breaks-on-its-answer"

    def predict(self, row: Row) -> Answer:
        return Answer(y="high", size=row.inner.size)


class OldRow(v1.BaseModel):
    x: float
    inner: dict = {"size": 3}


class OfPydantic1(MLModel):
    qualified_name = "of-pydantic-1"
    input_schema = OldRow

    def predict(self, row: OldRow):
        return {"y": 2 * row.x, "size": row.inner["size"]}


@dataclass
class Part:
    size: int = 3


@dataclass
class Whole:
    x: float
    inner: Part = field(default_factory=Part)

    def __post_init__(self):
        if self.x == 13:
            raise ValueError("must not be 13")


@dataclass
class Result:
    y: float
    size: int
    price: Decimal = Decimal("1.5")
    day: date = date(2026, 1, 31)


class OfDataclass(MLModel):
    qualified_name = "of-dataclass"
    input_schema = Whole
    output_schema = Result

    def predict(self, row):
        assert type(row) is Whole
        return Result(2 * row.x, row.inner.size)


@pydantic_dataclass
class Validated:
    x: float
    inner: Inner = field(default_factory=Inner)

    @pydantic.field_validator("x")
    @classmethod
    def check_x(cls, x):
        if x == 13:
            raise ValueError("must not be 13")
        return x


class OfPydanticDataclass(OfPydantic):
    qualified_name = "of-pydantic-dataclass"
    input_schema = Validated

    def predict(self, row: Validated) -> Answer:
        return Answer(y=2 * row.x, size=row.inner.size)


class OfSchemaPackage(MLModel):
    qualified_name = "of-schema-package"
    input_schema = schema.Schema({"x": schema.And(float, lambda x: x != 13)})

    def predict(self, row):
        return {"y": 2 * row["x"], "size": 3}


@dataclass
class Timed:
    when: Annotated[datetime, Meta(tz=True)]
    notes: list[Part] = field(default_factory=list)


class OfTimes(MLModel):
    qualified_name = "of-times"
    input_schema = Timed

    def predict(self, row):
        return row.when.year + len(row.notes)


class Nested(MLModel):
    """Relies on defaults inside its schema."""

    qualified_name = "nested"
    input_schema = {
        "type": "object",
        "properties": {
            "home": {
                "type": "object",
                "properties": {"rooms": {"type": "integer", "default": 2}},
                "default": {},
            },
            "pets": {"type": "array", "items": {"$ref": "#/$defs/Pet"}},
        },
        "$defs": {"Pet": {"type": "object", "properties": {"legs": {"default": 4}}}},
    }

    def predict(self, row):
        return [row["home"]["rooms"], *(pet["legs"] for pet in row["pets"])]


class Nameless(MLModel):
    def predict(self, row):
        return row


class AsyncPredict(MLModel):
    qualified_name = "async-predict"

    async def predict(self, row):
        return row


class AsyncForeign:
    qualified_name = "async-foreign"

    async def predict(self, row):
        return row


class AsyncLoad(Nameless):
    qualified_name = "async-load"

    async def load(self):
        pass


class AsyncEndpoint(Nameless):
    qualified_name = "async-endpoint"

    @endpoint("explain")
    async def explain(self, row):
        """Is not awaited."""
        return row


class WrongEndpoint(Nameless):
    qualified_name = "wrong-endpoint"

    @endpoint("Explain")
    def explain(self, row):
        """Has an invalid name."""
        return row


class NameIsNone(Nameless):
    qualified_name = None


class NoParentheses(Nameless):
    qualified_name = "no-parentheses"

    @endpoint
    def explain(self, row):
        """Has no name."""
        return row


class TextAsNotes(Nameless):
    qualified_name = "text-as-notes"
    notes = "careful"


class RowAsExamples(Nameless):
    qualified_name = "row-as-examples"
    examples = {"x": 1}


class TextAsExampleNames(Nameless):
    qualified_name = "text-as-example-names"
    example_names = "first"


class ListAsArtifacts(Nameless):
    qualified_name = "list-as-artifacts"
    artifacts = ["n.py"]


class TextAsMetadata(Nameless):
    qualified_name = "text-as-metadata"
    metadata = "hello"


class WrongDefault(Nameless):
    qualified_name = "wrong-default"
    input_schema = {"properties": {"x": {"type": "number", "default": "one"}}}


class TwoArguments(MLModel):
    qualified_name = "two-arguments"

    def predict(self, context, model_input):
        return model_input


class Odd:
    pass


@dataclass
class HasOdd:
    odd: Odd


class OddDataclass(Nameless):
    qualified_name = "odd-dataclass"
    input_schema = HasOdd


class InstanceAsSchema(Nameless):
    qualified_name = "instance-as-schema"
    input_schema = Part()


class TooFew(MLModel):
    """Returns one prediction, however many rows there are."""

    qualified_name = "too-few"
    input_schema = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}

    def predict(self, row):
        return 1

    def predict_rows(self, rows):
        return [1]


class WrongType(TooFew):
    qualified_name = "wrong-type"
    output_schema = {"type": "number"}

    def predict(self, row):
        return "high"

    def predict_rows(self, rows):
        return [self.predict(row) for row in rows]


class WrongTypeForOwnExample(WrongType):
    qualified_name = "wrong-type-for-own-example"
    examples = [{"x": 1}]


class ReturnsNothing(MLModel):
    """Lacks a return."""

    qualified_name = "returns-nothing"
    examples = [{"x": 1}]

    def predict(self, row):
        row["y"] = row["x"] + 1


class MayReturnNothing(ReturnsNothing):
    """Returns nothing for some rows, as its schema defines."""

    qualified_name = "may-return-nothing"
    output_schema = {"type": ["number", "null"]}


class LoadsSchema(MLModel):
    """Knows its schema only after it was loaded."""

    qualified_name = "loads-schema"
    loads = 0

    def load(self):
        type(self).loads += 1
        self.columns = ["x"]

    @property
    def input_schema(self):
        return {"type": "object", "properties": {name: {} for name in self.columns}}

    def predict(self, row):
        return row
