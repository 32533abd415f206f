"""PEARL's settings, and the user's file that determines its agent. Imports no torch."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from oyster.algorithms import settings as shared
from oyster.algorithms.settings import Arguments, Count, CountOrZero, FileName, Fraction, FromList, Positive
from oyster.runtime.errors import InputError

ENCODERS = Path(__file__).resolve().parents[3] / "encoders"
START_TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}


class Settings(shared.Settings):
    """How much a trial trains, and with what networks."""

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
    meta_batch: Count
    """Tasks per gradient step, drawn with replacement."""
    batch_size: Count
    """Transitions per task in a gradient step's RL batch."""
    embedding_batch_size: Count
    """Context transitions per task, from which the posterior is inferred in training."""
    embedding_mini_batch_size: Count | None
    """Context transitions per gradient step; fewer than embedding_batch_size: one step per chunk. null: all."""
    num_initial_steps: Count
    """Environment steps collected per training task before the first iteration, z ~ prior."""
    num_tasks_sample: Count
    """Training tasks collected from in every iteration, drawn with replacement."""
    num_steps_prior: CountOrZero
    """Steps per task and iteration with z ~ prior, kept as context."""
    num_steps_posterior: CountOrZero
    """Steps per task and iteration with z ~ posterior, kept as context."""
    num_extra_rl_steps_posterior: CountOrZero
    """Steps per task and iteration with z ~ posterior, not kept as context."""
    update_post_train: Count
    """Trajectories between two inferences of the posterior while collecting with it."""
    num_train_steps_per_itr: Count
    """Gradient steps per iteration."""
    num_exp_traj_eval: Count
    """From this trajectory on, the posterior is inferred after each trajectory of a meta-test run."""
    encoder: FileName
    """encoders/NAME.py, or the name of a file of one's own."""
    encoder_arguments: Arguments = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self):
        if self.num_steps_prior + self.num_steps_posterior == 0:
            raise ValueError("num_steps_prior and num_steps_posterior are both 0: the context would stay empty")
        if (self.embedding_mini_batch_size or 1) > self.embedding_batch_size:
            raise ValueError("embedding_mini_batch_size must not exceed embedding_batch_size")
        return self


def problem(settings: Settings, horizon: int) -> str | None:
    """What does not fit together, in words."""
    length, explore = settings.test_length, settings.num_exp_traj_eval
    trajectories = length.trajectories or -(-length.steps // horizon)
    if explore < trajectories:
        return None
    steps = length.steps or length.trajectories * horizon
    return (
        f"num_exp_traj_eval is {explore}, but a meta-test of {steps} steps has {trajectories} trajectories of "
        f"{horizon}: none would be left to act on the posterior."
    )


def sources(settings: Settings, encoder: str | None = None) -> dict[str, Path]:
    """The encoder's file: the settings', or `encoder`, a name or a file. InputError where there is none."""
    return {"encoder": find_encoder_file(encoder or settings.encoder)}


def find_encoder_file(name_or_path: str) -> Path:
    """`mlp` → encoders/mlp.py; anything that ends in .py or holds a slash is a path. InputError where there is none."""
    looks_like_path = name_or_path.endswith(".py") or "/" in name_or_path
    path = Path(name_or_path) if looks_like_path else ENCODERS / f"{name_or_path}.py"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in ENCODERS.glob("*.py")))
        raise InputError(
            f"There is no encoder '{name_or_path}': {path} is not a file. Give the name of one in encoders/ "
            f"({known}), or the path of a .py file."
        )
    return path


def start_tolerance(settings: Settings) -> float:
    """Largest relative difference of a start on other hardware. Between two instruction sets of one CPU, 20 gradient
    steps differed by 5e-7 in float32 and by 2e-3 in bfloat16; an edit of the algorithm by more than that.
    """
    return START_TOLERANCE[settings.precision]
