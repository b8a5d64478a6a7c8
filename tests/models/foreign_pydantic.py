"""Models as they are written for ml_base, whose schemas are classes of pydantic."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import pydantic
from pydantic import v1


class MLModelSchemaValidationException(Exception):
    pass


class Sex(str, Enum):  # noqa: UP042
    FEMALE = "female"
    MALE = "male"


class Address(pydantic.BaseModel):
    city: str
    since: date | None = None


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    barks: bool


class Applicant(pydantic.BaseModel):
    """Somebody who asks for insurance."""

    model_config = {"strict": True}

    age: int = pydantic.Field(ge=18, le=65, description="In years.")
    sex: Sex
    bmi: float
    born: datetime | None = None
    address: Address | None = None
    pet: Cat | Dog | None = pydantic.Field(None, discriminator="kind")
    tags: list[str] = []

    @pydantic.field_validator("bmi")
    @classmethod
    def bmi_is_human(cls, bmi):
        if bmi > 100:
            raise ValueError("must be that of a human")
        return bmi

    @pydantic.model_validator(mode="after")
    def address_follows_birth(self):
        if self.born and self.address and self.address.since:
            assert self.born.date() <= self.address.since, "must live there after birth"
        return self


class Charges(pydantic.BaseModel):
    charges: Decimal
    for_sex: Sex
    computed: datetime
    number: UUID
    note: str = pydantic.Field(None, alias="remark")


class Insurance:
    """As the examples of ml_base: properties, and an object in and out."""

    @property
    def display_name(self):
        return "Insurance charges"

    @property
    def qualified_name(self):
        return "insurance"

    @property
    def description(self):
        return "What insurance will cost."

    @property
    def version(self):
        return "0.3.0"

    @property
    def input_schema(self):
        return Applicant

    @property
    def output_schema(self):
        return Charges

    def predict(self, data: Applicant) -> Charges:
        assert type(data) is Applicant
        return Charges(
            charges=Decimal(str(data.age * data.bmi)),
            for_sex=data.sex,
            computed=datetime(2026, 1, 31, 14, 30),
            number=UUID(int=data.age),
        )


class BreaksItsAnswer(Insurance):
    """Fails to create its output for a valid input."""

    def predict(self, data):
        return Charges(charges="many")


class FromDict(Insurance):
    """As the older ml_base: a dict in, read by the model itself."""

    def predict(self, data: dict) -> Charges:
        return super().predict(Applicant.model_validate(data, strict=False))


class FromMapping(FromDict):
    """The same, with its annotations as text."""

    def predict(self, data: "typing.Mapping[str, Any]") -> "Charges":  # noqa: F821
        return super().predict(data)


class Unsaid(Insurance):
    """Declares no schemas, and accepts both forms of input."""

    def predict(self, data):
        again = {**data}
        return {"charges": f"{again['age'] * data.bmi}", "sex": data["sex"], "all": again}

    output_schema = None


class OldRegion(Enum):
    NORTH = 1
    SOUTH = 2


class OldPlace(v1.BaseModel):
    lat: float
    lon: float | None = None


class OldRow(v1.BaseModel):
    age: int = v1.Field(None, title="Age", ge=18, le=65)
    region: OldRegion = v1.Field(..., description="Where.")
    place: OldPlace | None = None
    span: tuple[int, float] = (1, 2.0)
    seen: datetime | None = None
    extra: Any = None

    class Config:
        schema_extra = {"example": {"age": 20, "region": 2}}

    @v1.root_validator(skip_on_failure=True)
    def south_is_old(cls, values):  # noqa: N805
        if values["region"] is OldRegion.SOUTH and (values["age"] or 0) < 20:
            raise ValueError("must be older in the south")
        return values


class OldAnswer(v1.BaseModel):
    region: OldRegion
    when: datetime
    cost: Decimal
    note: str | None = None
    place: OldPlace | None = None


class Old(Insurance):
    """Of the years of pydantic 1."""

    qualified_name = "old"
    input_schema = OldRow
    output_schema = OldAnswer

    def predict(self, data: OldRow) -> OldAnswer:
        when = data.seen or datetime(2021, 5, 1)
        return OldAnswer(region=data.region, when=when, cost=Decimal("1.5"), place=data.place)


class OldUnsaid(Old):
    def predict(self, data):
        return self.output_schema(
            region=data["region"], when=datetime(2021, 5, 1), cost=len({**data})
        )


class Refuses(Insurance):
    """Says by the packages' own error what is wrong, as their examples do."""

    def predict(self, data: dict):
        try:
            Address(**data["address"])
        except Exception as error:
            raise MLModelSchemaValidationException(f"Wrong input: {type(error).__name__}")  # noqa: B904
        raise MLModelSchemaValidationException

    input_schema = None


class Reads(Refuses):
    """Reads its input by a class that it does not declare."""

    def predict(self, data):
        return Address(**data)


class Fails(Insurance):
    def predict(self, data):
        raise KeyError("secret")
