"""The immutable settings of one trial: everything that determines its result, except the code."""

import json
import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator

from oyster.envs.family import TASK_SEED
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
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
Arguments = Annotated[dict[str, Any], AfterValidator(_plain_json)]
FromList = Field(min_length=1, strict=False)  # YAML and JSON know no tuples; what is in them stays strict


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Pearl(Model):
    """PEARL's own settings, which its presets hold: how much a trial trains, and with what networks."""

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
    discount: Fraction
    """Discount factor of the critics' target."""
    reward_scale: Positive
    """Factor on the reward in the critics' target; buffers and context hold unscaled rewards."""
    kl_lambda: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Weight of KL(q(z|c) || N(0, I)) in the encoder's loss."""
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
    meta_batch: Count
    """Tasks a gradient step, drawn with replacement."""
    batch_size: Count
    """Transitions a task in a gradient step's RL batch."""
    embedding_batch_size: Count
    """Context transitions a task from which the posterior is inferred in training."""
    embedding_mini_batch_size: Count | None
    """Context transitions a gradient step; fewer than embedding_batch_size: one step a chunk. null: all."""
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
    update_post_train: Count
    """Trajectories between two inferences of the posterior while collecting with it."""
    num_train_steps_per_itr: Count
    """Gradient steps an iteration."""
    num_steps_per_eval: Count
    """Environment steps of one meta-test run."""
    num_exp_traj_eval: Count
    """From this trajectory on, the posterior is inferred after each trajectory of a meta-test run."""


class Evaluation(Model):
    """Which tasks an agent meets, and how often: the same for every algorithm."""

    train_tasks: Count
    """Training tasks: the first of the family's list."""
    test_tasks: Count
    """Held-out test tasks: the last of the family's list."""
    evaluations: Count
    """Independent meta-test runs of every test task."""
    task_seed: Seed = TASK_SEED
    """Which list of tasks the family draws. Another seed draws other tasks."""


class Settings(Pearl, Evaluation):
    """One trial. `agent` and `preset` are names for readers: they change no result."""

    environment: Name
    agent: Name
    algorithm: Name = "pearl"
    encoder: FileName
    """encoders/NAME.py, or the name of a file of one's own."""
    encoder_arguments: Arguments = {}
    seed: Seed
    preset: Name

    @model_validator(mode="after")
    def _fits_together(self):
        if self.num_steps_prior + self.num_steps_posterior == 0:
            raise ValueError("num_steps_prior and num_steps_posterior are both 0: the context would stay empty")
        if (self.embedding_mini_batch_size or 1) > self.embedding_batch_size:
            raise ValueError("embedding_mini_batch_size must not exceed embedding_batch_size")
        return self


def partial(model: type[Model], name: str) -> type[Model]:
    """The model with every field optional: what a section may hold, of which several are merged."""
    fields = {}
    for key, field in model.model_fields.items():
        kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        fields[key] = (kind | None, Field(None, description=field.description))
    return create_model(name, __base__=Model, **fields)


PearlSection = partial(Pearl, "PearlSection")


def short(value: object) -> str:
    """A value as it can stand in a sentence."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    try:
        text = ascii(value)
    except ValueError:  # it holds an integer of more than 4300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."
