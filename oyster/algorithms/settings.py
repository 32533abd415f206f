"""The immutable settings of one trial: everything that determines its result, except the code. Imports no torch.

Here stands what all algorithms share; each adds its own in its folder.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator

from oyster.envs.family import TASK_SEED
from oyster.runtime.validated import short
from oyster.runtime.yaml_file import WIDEST

MOST = 10**9  # above every count and weight that makes sense


def _plain_json(value: Any, key: str = "") -> Any:
    """A deep copy of plain data: text, finite numbers, booleans, null, lists and mappings with text keys."""
    match value:
        case None | bool():
            return value
        case int() if -WIDEST <= value < WIDEST:
            return value
        case float() if math.isfinite(value):
            return value
        case str() if not any("\ud800" <= character <= "\udfff" for character in value):
            return value
        case list():
            return [_plain_json(item, f"{key}.{index}") for index, item in enumerate(value)]
        case dict() if all(type(name) is str for name in value):
            return {_plain_json(name, key): _plain_json(item, f"{key}.{name}") for name, item in value.items()}
    raise ValueError(
        f"{key}: given {short(value)}; expected plain data: text, a finite number (an integer of at most 64 bits), "
        "true, false, null, a list, or a mapping with text keys"
    )


Count = Annotated[int, Field(ge=1, le=MOST)]
CountOrZero = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=WIDEST)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
AlgorithmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$", max_length=64)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
Arguments = Annotated[dict[str, Any], AfterValidator(_plain_json)]
FromList = Field(min_length=1, strict=False)  # YAML and JSON know no tuples; what is in them stays strict


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Length(Model):
    """Of one meta-test run: exactly one of both."""

    steps: Count | None = None
    """Environment steps; the trajectory that reaches them is lived to its end."""
    trajectories: Count | None = None

    @model_validator(mode="after")
    def _one_of_both(self):
        if (self.steps is None) == (self.trajectories is None):
            raise ValueError(": expected either steps or trajectories, as {steps: 60}")
        return self


class Common(Model):
    """What every algorithm's presets say."""

    num_iterations: Count
    """Meta-training iterations; after each the agent is meta-tested."""
    test_length: Length
    """Of one meta-test run: {steps: N} or {trajectories: N}."""
    counted: Annotated[tuple[int, int], Field(strict=False)]
    """First and last of a run's trajectories, whose mean return counts; [-1, -1]: the last one alone."""
    precision: Literal["float32", "bfloat16"]
    """Arithmetic of the gradient steps; in bfloat16, weights, outputs and sums stay float32."""
    threads: Count
    """Intra-op threads of PyTorch: part of the result, so never taken from the machine."""


class Evaluation(Model):
    """Which tasks an agent meets, and how often: the same for every algorithm."""

    train_tasks: Count
    """Training tasks: the first of the family's list."""
    test_tasks: Count
    """Held-out test tasks: the last of the family's list."""
    evaluations: Count
    """Independent meta-test runs of every test task."""
    task_seed: Annotated[int, Field(ge=0, lt=2**32)] = TASK_SEED
    """Which list of tasks the family draws. Another seed draws other tasks."""


class Settings(Common, Evaluation):
    """One trial. `agent` and `preset` are names for readers: they change no result."""

    @model_validator(mode="after")
    def _counts_something(self):
        first, last = self.counted
        if first > last or (first < 0) != (last < 0):
            raise ValueError(
                f"counted is [{first}, {last}]; expected first and last from one end, as [-1, -1] or [0, 2]"
            )
        return self

    environment: Name
    agent: Name
    algorithm: AlgorithmName = "pearl"
    seed: Seed
    preset: Name


TRIAL = {"environment", "agent", "algorithm", "seed", "preset", "encoder", "encoder_arguments"}


def partial(model: type[Model], names: Iterable[str]) -> type[Model]:
    """A model of these fields, all optional: what a section may hold, of which several are merged."""
    fields = {}
    for key in names:
        field = model.model_fields[key]
        kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        fields[key] = (kind | None, Field(None, description=field.description))
    return create_model("Section", __base__=Model, **fields)


def section_of(settings: type["Settings"]) -> type[Model]:
    """What a preset's section may hold: the fields that are neither a trial's own nor its evaluation's."""
    fields = settings.model_fields.keys() - TRIAL - Evaluation.model_fields.keys()
    return partial(settings, [name for name in settings.model_fields if name in fields])
