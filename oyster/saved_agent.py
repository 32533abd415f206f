"""A trial's agent as it was when training ended: built from the recorded settings, filled with the saved weights."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from oyster.runtime.errors import InputError, TrialFailure
from oyster.settings import Settings
from oyster.trial import Trial


def load_trial(settings: Settings, encoder_file: Path, weights: Path, device: str = "auto") -> Trial:
    """The trial assembled, its agent holding what the file `weights` holds.

    InputError where that is no weights file, or one of other networks.
    """
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{weights} cannot be read as a safetensors file: {error}") from error
    trial = Trial(settings, encoder_file, device)
    try:
        agent = trial.assemble().agent
    except TrialFailure as failure:
        raise InputError(f"{encoder_file.name} does not construct at these settings: {failure.reason}") from failure
    own = {name: tuple(value.shape) for name, value in agent.state_dict().items()}
    saved = {name: tuple(value.shape) for name, value in state.items()}
    odd = sorted(name for name in own.keys() | saved.keys() if own.get(name) != saved.get(name))
    if odd:
        raise InputError(
            f"{weights} holds other networks than {encoder_file.name} at these settings: {odd[0]} is "
            f"{saved.get(odd[0], 'missing')} there, expected {own.get(odd[0], 'none')} ({len(odd)} arrays differ)."
        )
    agent.load_state_dict(state)
    return trial
