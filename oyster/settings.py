"""params.yaml → the validated, immutable settings of one trial.

Configuration is read once, here; everything behind this door gets a `Settings` and cannot be misconfigured. The same
models make `params.schema.json`, from which editors complete and check params.yaml.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from oyster.runtime.errors import InputError

Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, use_attribute_docstrings=True)


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
    encoder_hidden_sizes: Annotated[tuple[Count, ...], Field(min_length=1)]
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
    encoder_arguments: dict[str, Any] = {}
    seed: CountOrZero
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

    environments: Annotated[tuple[Name, ...], Field(min_length=1)]
    encoders: Annotated[tuple[Name, ...], Field(min_length=1)]
    seeds: Annotated[tuple[CountOrZero, ...], Field(min_length=1)]


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
    encoders: dict[Name, dict[str, Any] | None]
    """encoders/NAME.py, and keyword arguments for it beyond the contract's."""
    environments: dict[Name, Environment]
    """oyster/envs/NAME.py, and what belongs to the problem whatever the budget."""
    budgets: dict[Name, dict[Name, BudgetPart]]
    """How much to train: `all`, overridden by the part named as the environment."""

    @model_validator(mode="after")
    def _grids_name_what_exists(self):
        for grid_name, grid in self.grid.items():
            for kind, known in (("environments", self.environments), ("encoders", self.encoders)):
                for name in getattr(grid, kind):
                    if name not in known:
                        raise ValueError(
                            f"grid.{grid_name}.{kind} lists '{name}', which has no entry under `{kind}:` "
                            f"(there: {', '.join(known)}); add `{name}: {{}}` there"
                        )
                if len(set(getattr(grid, kind))) < len(getattr(grid, kind)):
                    raise ValueError(f"grid.{grid_name}.{kind} lists a name twice: {', '.join(getattr(grid, kind))}")
        return self


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and validate params.yaml. Raises InputError with one line for every key that cannot be used."""
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}). Run from the repository's root, or name it by --params."
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path} should hold the keys runtime, grid, encoders, environments and budgets; it holds none."
        )
    params = _validated(Params, content, str(path))
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
    merged["encoder_arguments"] = dict(encoder_arguments)
    return _validated(Settings, merged, f"budgets.{budget} with environments.{environment}")


def schema() -> str:
    """The JSON schema of params.yaml, as text."""
    return json.dumps(Params.model_json_schema(), indent=2) + "\n"


def _unknown(kind: str, given: str, known: Mapping) -> str:
    return f"There is no {kind} '{given}' in params.yaml. Known: {', '.join(sorted(known))}."


def _validated(model: type[_Model], content: Mapping, where: str):
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_explain(item) for item in error.errors()]
        raise InputError(f"{where} cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)) from None


def _explain(item: Mapping) -> str:
    """One pydantic error as: key, what was given, what is allowed."""
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "missing":
        return f"{key}: missing; expected a value"
    if item["type"] == "extra_forbidden":
        return f"{key}: given {item['input']!r}; no such key"
    if item["type"] == "value_error" and not key:
        return str(item["ctx"]["error"])
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{key}: given {item['input']!r}; it {message}"
