"""All of a MetaTraining's state, as tensors and JSON, and back: what a checkpoint holds.

Between two gradient steps nothing else is alive: every trajectory begins with a reset, so the simulations carry nothing
over, and the meta-test draws from streams of its own.
"""

import torch

from oyster.algorithms.pearl import encoder_state
from oyster.algorithms.pearl.learner import MetaTraining, Row
from oyster.rl.replay import Positions
from oyster.runtime import seeds
from oyster.runtime.checkpoint import Checkpoint
from oyster.runtime.errors import encoder_at_fault

COUNTERS = ("iteration", "steps_taken", "gradient_steps", "train_returns", "first_rewards")


def capture(training: MetaTraining) -> Checkpoint:
    """The state at this moment (tensors are not copied: write them before training goes on)."""
    tensors = {f"agent/{name}": value for name, value in training.agent.weights().items()}
    for optimizer_name, optimizer in training.gradient_step.optimizers().items():
        for index, moments in optimizer.state.items():
            for key, value in moments.items():
                tensors[f"optimizer/{optimizer_name}/{index}/{key}"] = value
    tensors["store"] = training.store.rows[: training.store.size]
    tensors["loss_sums"] = training.loss_sums
    tensors |= {f"first_losses/{step}": losses for step, losses in enumerate(training.first_losses)}
    tensors |= {f"torch_generator/{name}": value for name, value in seeds.torch_state().items()}
    with encoder_at_fault():
        memory, attributes = encoder_state.capture(training.agent.context_encoder)
    tensors |= {f"encoder/{name}": value for name, value in memory.items()}
    state = {
        "replay": training.replay.episodes,
        "context": training.context.episodes,
        "generators": {name: rng.bit_generator.state for name, rng in training.rngs.items()},
        "rows": training.rows,
        "encoder": attributes,
        **{name: getattr(training, name) for name in COUNTERS},
    }
    return Checkpoint(tensors, state)


@torch.no_grad()
def restore(training: MetaTraining, checkpoint: Checkpoint) -> None:
    """Put a freshly assembled MetaTraining of the same trial into the captured state."""
    tensors, state = checkpoint
    device = training.agent.device
    training.agent.load_weights(_under("agent/", tensors))
    training.agent.set_mode(training=True)
    for optimizer_name, optimizer in training.gradient_step.optimizers().items():
        for key, value in _under(f"optimizer/{optimizer_name}/", tensors).items():
            index, _, name = key.partition("/")
            optimizer.state.setdefault(int(index), {})[name] = value.to(device)
    training.store.size = len(tensors["store"])
    training.store.rows[: training.store.size] = tensors["store"].to(device)
    training.loss_sums.copy_(tensors["loss_sums"])
    first_losses = _under("first_losses/", tensors)
    training.first_losses = [first_losses[str(step)] for step in range(len(first_losses))]
    training.replay, training.context = _positions(state["replay"]), _positions(state["context"])
    for name, generator_state in state["generators"].items():
        training.rngs[name].bit_generator.state = generator_state
    training.rows = [Row(*row) for row in state["rows"]]
    for name in COUNTERS:
        setattr(training, name, state[name])
    with encoder_at_fault():
        encoder_state.restore(training.agent.context_encoder, _under("encoder/", tensors), state["encoder"])
    seeds.set_torch_state(_under("torch_generator/", tensors))


def _positions(episodes: list[list[list[int]]]) -> Positions:
    positions = Positions(len(episodes))
    for which, listed in enumerate(episodes):
        positions.replace(which, listed)
    return positions


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
