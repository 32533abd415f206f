"""params.yaml → the validated, immutable settings of one trial.

Configuration is read once, here; everything behind this door gets a `Settings` and cannot be misconfigured. The same
models make `params.schema.json`, from which editors complete and check params.yaml.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import WIDEST, read_plain_yaml, shown

MOST = 10**9  # above every count and weight that makes sense
RESERVED = {  # what an environment cannot be called
    "all": "the part of a budget for every environment",
    "family": "oyster/envs/family.py is of every environment",
}


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
        f"{key}: given {_short(value)}; expected plain data: text, a finite number (an integer of at most 64 bits), "
        "true, false, null, a list, or a mapping with text keys"
    )


Count = Annotated[int, Field(ge=1, le=MOST)]
CountOrZero = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=WIDEST)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
Arguments = Annotated[dict[str, Any], AfterValidator(_plain_json)]
FromList = Field(min_length=1, strict=False)  # YAML and JSON know no tuples; what is in them stays strict


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Environment(_Model):
    """What belongs to the problem, whatever the budget."""

    max_path_length: Count
    """Steps after which a trajectory is cut (a cut is not a terminal state)."""
    discount: Fraction
    """Discount factor of the critics' target."""
    reward_scale: Positive
    """Factor on the reward in the critics' target; buffers and context hold unscaled rewards."""
    kl_lambda: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Weight of KL(q(z|c) || N(0, I)) in the encoder's loss."""
    sparse_rewards: bool
    """Give the context and the reported return the family's sparse reward; the critics always get the dense one."""


class Budget(_Model):
    """How much a trial trains, and with what networks."""

    num_iterations: Count
    """Meta-training iterations: collect, take gradient steps, meta-test."""
    latent_dim: Count
    """Dimensions of the task latent z."""
    net_size: Count
    """Width of the three hidden layers of the policy, the critics and the value network."""
    encoder_hidden_sizes: Annotated[tuple[Count, ...], FromList]
    """`hidden_sizes` handed to the encoder."""
    learning_rate: Positive
    """Adam's step size, the same for every network."""
    soft_target_tau: Fraction
    """Rate at which the target value network follows the value network."""
    use_information_bottleneck: bool
    """On: z ~ q(z|c), a product of Gaussians. Off: z is the mean of the encoder's outputs over the context."""
    use_next_obs_in_context: bool
    """Append the next observation to each context transition."""
    max_recurrent_context: Count
    """Longest context drawn for an encoder with IS_RECURRENT (the meta-test feeds all that was explored)."""
    precision: Literal["float32", "bfloat16"]
    """Arithmetic of the critics, value and policy; bfloat16 keeps their weights, outputs and sums in float32."""
    threads: Count
    """Intra-op threads of PyTorch: part of the result, so never taken from the machine."""
    num_train_tasks: Count
    """Training tasks: the first of the family's fixed list."""
    num_test_tasks: Count
    """Held-out test tasks: the last of the family's fixed list."""
    meta_batch: Count
    """Tasks a gradient step, drawn with replacement."""
    batch_size: Count
    """Transitions a task in a gradient step's RL batch."""
    embedding_batch_size: Count
    """Context transitions a task from which the posterior is inferred in training."""
    embedding_mini_batch_size: Count | None = None
    """Context transitions a gradient step; fewer than embedding_batch_size: one step a chunk. Default: all."""
    num_initial_steps: Count
    """Environment steps collected a training task before the first iteration, z ~ prior."""
    num_tasks_sample: Count
    """Training tasks collected from in every iteration, drawn with replacement."""
    num_steps_prior: CountOrZero
    """Steps a task and iteration with z ~ prior, kept as context."""
    num_steps_posterior: CountOrZero
    """Steps a task and iteration with z ~ posterior, kept as context."""
    num_extra_rl_steps_posterior: CountOrZero
    """Steps a task and iteration with z ~ posterior, not kept as context."""
    update_post_train: Count = 1
    """Trajectories between two inferences of the posterior while collecting with it."""
    num_train_steps_per_itr: Count
    """Gradient steps an iteration."""
    num_evals: Count
    """Independent meta-test runs of every test task."""
    num_steps_per_eval: Count
    """Environment steps of one meta-test run."""
    num_exp_traj_eval: Count
    """From this trajectory on, the posterior is inferred after each trajectory of a meta-test run."""


class Settings(Environment, Budget):
    """Everything that determines one trial's result, except the code."""

    environment: Name
    encoder: Name
    encoder_arguments: Arguments = {}
    seed: Seed
    budget: Name

    @model_validator(mode="after")
    def _fits_together(self):
        if self.num_steps_prior + self.num_steps_posterior == 0:
            raise ValueError("num_steps_prior and num_steps_posterior are both 0: the context would stay empty")
        if (self.embedding_mini_batch_size or 1) > self.embedding_batch_size:
            raise ValueError("embedding_mini_batch_size must not exceed embedding_batch_size")
        trajectories = -(-self.num_steps_per_eval // self.max_path_length)
        if self.num_exp_traj_eval >= trajectories:
            raise ValueError(
                f"num_exp_traj_eval is {self.num_exp_traj_eval}, but a meta-test of {self.num_steps_per_eval} steps "
                f"has {trajectories} trajectories of {self.max_path_length}: none would be left to act on the posterior"
            )
        return self


class Grid(_Model):
    """Every encoder x environment x seed is one trial."""

    environments: Annotated[tuple[Name, ...], FromList]
    encoders: Annotated[tuple[Name, ...], FromList]
    seeds: Annotated[tuple[Seed, ...], FromList]


# A budget is written as `all` and one part an environment; each part may hold any of the fields, together all of them.
BudgetPart = create_model(
    "BudgetPart",
    __base__=_Model,
    **{
        name: (field.annotation | None, Field(None, description=field.description, json_schema_extra=None))
        if not field.metadata
        else (Annotated[(field.annotation, *field.metadata)] | None, Field(None, description=field.description))
        for name, field in Budget.model_fields.items()
    },
)


class Params(_Model):
    """The whole of params.yaml."""

    runtime: Literal["host", "docker", "podman", "apptainer"] = "host"
    """Where a trial's command runs."""
    grid: dict[Name, Grid]
    """The trials of each pipeline target, by name."""
    encoders: dict[Name, Arguments | None]
    """encoders/NAME.py, and keyword arguments for it beyond the contract's."""
    environments: dict[Name, Environment]
    """oyster/envs/NAME.py, and what belongs to the problem whatever the budget."""
    budgets: dict[Name, dict[Name, BudgetPart]]
    """How much to train: `all`, overridden by the part named as the environment."""

    @model_validator(mode="after")
    def _fits_together(self):
        if problems := [*_problems_of_names(self), *_problems_of_budgets(self), *_problems_of_grids(self)]:
            raise ValueError("\n  - ".join(problems))
        return self


def _problems_of_names(params: Params) -> Iterator[str]:
    for name in RESERVED.keys() & params.environments.keys():
        yield f"environments.{name}: `{name}` is taken ({RESERVED[name]}); give the environment another name"
    for key in ("grid", "encoders", "environments", "budgets"):
        for names in _sharing(getattr(params, key), str.lower).values():
            yield f"{key}: {' and '.join(names)} differ in case alone: one file on some disks; rename one"


def _problems_of_budgets(params: Params) -> Iterator[str]:
    known = ["all", *params.environments]
    for budget, parts in params.budgets.items():
        if "all" not in parts:  # DVC and Snakemake look for it
            yield f"budgets.{budget}: has no part `all`; add `all: {{}}` there"
        for name in parts:
            if name not in known:
                yield f"budgets.{budget}.{name}: no such environment{_nearest(name, known)} (there: {_list(known)})"


def _problems_of_grids(params: Params) -> Iterator[str]:
    for grid_name, grid in params.grid.items():
        for kind, known in (("environments", params.environments), ("encoders", params.encoders)):
            for name in getattr(grid, kind):
                if name not in known:
                    yield (
                        f"grid.{grid_name}.{kind}: lists '{name}', which has no entry under `{kind}:`"
                        f"{_nearest(name, known)} (there: {_list(known)}); add `{name}: {{}}` there"
                    )
        for kind in ("environments", "encoders", "seeds"):
            for value, times in Counter(getattr(grid, kind)).items():
                if times > 1:
                    yield f"grid.{grid_name}.{kind}: lists {value} twice; keep one"
        pairs = product(dict.fromkeys(grid.environments), dict.fromkeys(grid.encoders))
        for stage, same in _sharing(pairs, "-".join).items():
            trials = " and ".join(f"{encoder} on {environment}" for environment, encoder in same)
            yield f"grid.{grid_name}: {trials} would be one stage of DVC, train@{stage}-SEED; rename one of them"


def _sharing(items: Iterable, label: Callable[[Any], str]) -> dict[str, list]:
    """The items with a label that others of them have too, by label."""
    found = {}
    for item in items:
        found.setdefault(label(item), []).append(item)
    return {text: same for text, same in found.items() if len(same) > 1}


def load_params(path: str | Path = "params.yaml", grids: Iterable[str] = ()) -> Params:
    """Read and validate params.yaml, which must hold `grids`, with a budget for each.

    Raises InputError with one line for every key that cannot be used.
    """
    params = _validated(Params, read_plain_yaml(path), str(path))
    for name in grids:
        for key, known in (("grid", params.grid), ("budgets", params.budgets)):
            if name not in known:
                raise InputError(f"{path} has no `{key}.{name}`, which the pipeline needs (there: {_list(known)}).")
    for name, grid in params.grid.items():  # trained at the budget of its name: say now what would fail later
        for environment in grid.environments if name in params.budgets else ():
            trial_settings(params, environment=environment, encoder=grid.encoders[0], seed=grid.seeds[0], budget=name)
    return params


def trial_settings(
    params: Params, *, environment: str, encoder: str, seed: int, budget: str, encoder_arguments: Mapping | None = None
) -> Settings:
    """Resolve one trial: the budget's `all`, its part for the environment, the environment, the encoder.

    `encoder` may be unlisted (a file of one's own); its arguments are then `encoder_arguments` or none.
    """
    if environment not in params.environments:
        raise InputError(_unknown("environment", environment, params.environments))
    if budget not in params.budgets:
        raise InputError(_unknown("budget", budget, params.budgets))
    parts = params.budgets[budget]
    if environment not in parts:
        raise InputError(f"Budget '{budget}' has no part for environment '{environment}' (parts: {', '.join(parts)}).")
    merged = {}
    for part in (parts.get("all"), parts[environment]):
        merged |= part.model_dump(exclude_unset=True) if part else {}
    merged |= params.environments[environment].model_dump()
    if encoder_arguments is None:
        encoder_arguments = params.encoders.get(encoder) or {}
    merged |= {"environment": environment, "encoder": encoder, "seed": seed, "budget": budget}
    merged["encoder_arguments"] = dict(encoder_arguments)  # copied deeply by its validation
    return _validated(Settings, merged, f"budgets.{budget} with environments.{environment}")


def schema() -> str:
    """The JSON schema of params.yaml, as text."""
    return json.dumps(Params.model_json_schema(), indent=2) + "\n"


def _unknown(kind: str, given: str, known: Iterable[str]) -> str:
    return f"There is no {kind} '{given}' in params.yaml{_nearest(given, known)}. Known: {_list(sorted(known))}."


def _nearest(given: object, known: Iterable[str]) -> str:
    """Words that suggest the name that may have been meant, where one is near."""
    found = get_close_matches(str(given), list(known), n=1)
    return f", did you mean {found[0]}?" if found else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _short(value: object) -> str:
    """A value as it can stand in a sentence."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    try:
        text = ascii(value)
    except ValueError:  # it holds an integer of more than 4300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def _validated(model: type[_Model], content: Mapping, where: str):
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_explain(item, model) for item in error.errors() if not _follows(item)]
        raise InputError(f"{where} cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)) from None


def _follows(item: Mapping) -> bool:
    """Whether another error says all: a list whose items cannot be used counts as empty."""
    return item["type"] == "too_short" and len(item["input"]) > 0


EXPECTED = {  # by pydantic's names of errors; others speak for themselves
    "int_type": "expected an integer",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping, as {key: value}",
    "model_type": "expected a mapping, as {key: value}",
    "too_short": "expected at least 1 item",
    "string_pattern_mismatch": "expected a name of letters, digits, - and _ that begins with a letter or digit "
    "(DVC reads a dot as a level)",
    "string_too_long": "expected a name of at most 64 characters",
}


def _explain(item: Mapping, model: type[_Model]) -> str:
    """One pydantic error as: key, what was given, what is allowed."""
    key = ".".join(shown(str(part)) for part in item["loc"] if part != "[key]") or "top level"
    if item["type"] == "missing":
        return f"{key}: missing; expected a value"
    if item["type"] == "extra_forbidden":
        known = _fields(model, item["loc"])
        nearest = _nearest(item["loc"][-1], known)
        return f"{key}: given {_short(item['input'])}; no such key{nearest or f' (there are: {_list(known)})'}"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if item["type"] == "value_error":
        return message if not item["loc"] else key + message
    return f"{key}: given {_short(item['input'])}; {EXPECTED.get(item['type'], f'it {message}')}"


def _fields(model: type[_Model], key: tuple) -> Iterable[str]:
    """The keys that could stand in the place of `key`."""
    parents = {"grid": Grid, "environments": Environment, "budgets": BudgetPart}
    return (model if len(key) == 1 else parents[key[0]]).model_fields
