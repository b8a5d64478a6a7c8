"""Models that work."""

import threading

from mlmodel import InvalidInput, MLModel, endpoint


class Doubler(MLModel):
    qualified_name = "doubler"
    input_schema = {
        "type": "object",
        "properties": {
            "x": {"type": "number", "minimum": -1e300, "maximum": 1000, "examples": [999]}
        },
        "required": ["x"],
        "additionalProperties": False,
    }
    output_schema = {"type": "object", "properties": {"y": {"type": "number"}}, "required": ["y"]}

    def predict(self, row):
        return {"y": 2 * row["x"]}


class Echo(MLModel):
    """Answers what it was given."""

    qualified_name = "echo"
    description = "Answers what it was given."
    version = "2.1"

    def predict(self, row):
        return row


class Defaulted(MLModel):
    """Relies on the default of its schema."""

    qualified_name = "defaulted"
    input_schema = {"type": "object", "properties": {"z": {"type": "integer", "default": 7}}}

    def predict(self, row):
        return {"z": row["z"]}


class Statement(MLModel):
    """Its schemas do not name the members of accounts."""

    qualified_name = "statement"
    input_schema = {
        "type": "object",
        "properties": {"accounts": {"type": "array"}},
        "additionalProperties": False,
    }
    output_schema = {"type": "object"}

    def predict(self, row):
        return row["accounts"][0]


class Account(MLModel):
    """Returns an account, of which its output schema names some members."""

    qualified_name = "account"
    input_schema = {
        "type": "object",
        "properties": {"total": {"type": "integer"}},
        "additionalProperties": False,
    }

    def __init__(self, named):
        members = {name: {"type": ["integer", "string"]} for name in named}
        self.output_schema = {"type": "object", "properties": members}

    def predict(self, row):
        return {**row, "iban": "DE"}


class Household(MLModel):
    """A schema with definitions, nesting, choices and optional members."""

    qualified_name = "household"
    input_schema = {
        "type": "object",
        "properties": {
            "head": {"$ref": "#/$defs/Person"},
            "others": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
            "home": {"enum": ["flat", "house"], "description": "Where they live."},
        },
        "required": ["head", "home"],
        "$defs": {
            "Person": {
                "type": "object",
                "description": "Somebody.",
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "age": {"type": "integer", "minimum": 0},
                },
                "required": ["name", "age"],
            }
        },
    }
    output_schema = {"$ref": "#/$defs/Size", "$defs": {"Size": {"type": "integer"}}}

    def predict(self, row):
        return 1 + len(row.get("others", ()))


class Ordered(MLModel):
    """Rejects rows by a rule that its schema cannot express."""

    qualified_name = "ordered"

    def predict(self, row):
        if row["start"] > row["end"]:
            raise InvalidInput("must not be before start", pointer="/end")
        return row["end"] - row["start"]


class Counting(MLModel):
    """Counts loads and calls of all its instances."""

    qualified_name = "counting"
    input_schema = {"type": "object", "properties": {"x": {"type": "number"}}}
    loads = 0
    calls = 0

    def load(self):
        type(self).loads += 1

    def predict(self, row):
        raise NotImplementedError

    def predict_rows(self, rows):
        type(self).calls += 1
        return [type(self).calls] * len(rows)


class Waiting(MLModel):
    """Predicts once ``go`` is set; ``asked`` counts the calls."""

    qualified_name = "waiting"
    asked = threading.Semaphore(0)
    go = threading.Event()

    def predict(self, row):
        self.asked.release()
        self.go.wait(10)
        return "done"


class Together(Waiting):
    """Predicts the number of rows in the call, once ``go`` is set."""

    qualified_name = "together"

    def predict_rows(self, rows):
        self.predict(rows[0])
        return [len(rows)] * len(rows)


class Greeter(MLModel):
    def __init__(self, greeting, times=1):
        self.greeting = greeting
        self.times = times

    @property
    def qualified_name(self):
        return "greeter"

    def predict(self, row):
        return " ".join([self.greeting] * self.times)


class Versioned(MLModel):
    """Has the version in its settings."""

    qualified_name = "versioned"

    def __init__(self, version):
        self.version = version

    def predict(self, row):
        return self.version


class Explained(MLModel):
    """Offers more than predict."""

    qualified_name = "explained"
    input_schema = Doubler.input_schema

    def predict(self, row):
        return 2 * row["x"]

    @endpoint(
        "explain",
        methods=["GET", "POST"],
        input_schema=Doubler.input_schema,
        output_schema={"type": "object", "properties": {"why": {"type": "string"}}},
    )
    def explain(self, row):
        """Say how the answer came about."""
        return {"why": f"2 * {row['x']}"}

    @endpoint("history", methods=["GET"])
    def past(self, row):
        """Tell what was asked before."""
        return [row]

    @endpoint("wrong", output_schema={"type": "string"})
    def fails(self, row):
        """Answer what may not be."""
        return 3


class Hanging(MLModel):
    """Hangs at load or during a call until ``go`` is set, and records unloads meanwhile."""

    qualified_name = "hanging"
    go = threading.Event()
    running = 0
    unloaded_while_running = 0

    def __init__(self, at="predict"):
        self.at = at

    def load(self):
        if self.at == "load":
            self.go.wait(10)

    def predict(self, row):
        Hanging.running += 1
        if self.at == "predict":
            self.go.wait(10)
        Hanging.running -= 1
        return "done"

    def unload(self):
        Hanging.unloaded_while_running = Hanging.running


class Lazily(MLModel):
    """Returns a generator, which computes late."""

    qualified_name = "lazily"

    def predict(self, row):
        raise NotImplementedError

    def predict_rows(self, rows):
        return (1 / row["x"] for row in rows)
