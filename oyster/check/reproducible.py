"""Whether a trial with this encoder can be repeated, resumed, saved and moved: random numbers, state, devices.

Checks as in behaviour.py.
"""

import safetensors.torch
import torch

from oyster.algorithms.pearl.encoder_state import is_lazy
from oyster.algorithms.pearl.posterior import Posterior
from oyster.algorithms.pearl.subject import TOLERANCE, Breach, Note, difference, global_generators
from oyster.check.practice import Candidate
from oyster.runtime.errors import TrialFailure
from rlkit.torch import pytorch_util as ptu

DEVICE_TOLERANCE = 1e-3


def random_numbers(subject: Candidate) -> str:
    """Only Torch's global generator, never re-seeded, and none at all in eval mode."""
    context, before = subject.context(3, 8), global_generators()
    fix = "use Torch's global generator (torch.randn, nn.init…): a trial seeds it and keeps it in its checkpoints"
    for mode in (True, False):
        subject.posterior(subject.construct().train(mode), context)
    if global_generators() != before:
        raise Breach("it draws from (or seeds) NumPy's or Python's global generator", fix)
    one, other = (subject.construct().state_dict() for _ in range(2))
    if any(not torch.equal(value, other[name]) for name, value in one.items() if not is_lazy(value)):
        raise Breach("constructed twice with the same Torch seed, it starts with different weights", fix)
    states = []
    for seed in (1, 2):
        fresh = subject.construct(seed=seed)
        states.append(torch.get_rng_state())
        subject.posterior(fresh, context, seed=seed)
        states.append(torch.get_rng_state())
    if torch.equal(states[0], states[2]) or torch.equal(states[1], states[3]):
        raise Breach(
            "it seeds Torch's generator: trials with different seeds would share their draws", "remove the call"
        )
    for state in subject.states:
        one, other = (subject.posterior(subject.construct(state=state).eval(), context, seed=seed) for seed in (1, 2))
        if (moved := difference(one, other)) > TOLERANCE:
            raise Breach(
                f"in eval mode the posterior depends on Torch's generator (moved by {moved:.1%})",
                "draw only while self.training: nn.Dropout does, F.dropout needs training=self.training",
            )
    return "Torch's generator only; none in eval mode"


def save_and_load(subject: Candidate) -> str:
    """weights.safetensors holds all that the posterior depends on."""
    context = subject.context(3, 8)
    fix = "keep what the output depends on in parameters or buffers (self.register_buffer), made by the constructor"
    trained = [] if isinstance(subject.trained, TrialFailure) else [subject.trained]
    for encoder in (subject.construct(), *trained):
        state = {name: value.contiguous().clone() for name, value in encoder.state_dict().items()}
        try:
            loaded = subject.construct(seed=1, state=safetensors.torch.load(safetensors.torch.save(state)))
        except TrialFailure as failure:
            raise Breach(f"a new instance cannot load what was saved: {failure.reason}", fix) from failure
        before, after = (subject.posterior(each.eval(), context) for each in (encoder, loaded))
        if (moved := difference(before, after)) > TOLERANCE:
            raise Breach(f"saved and loaded into a new instance, it gives another posterior (by {moved:.1%})", fix)
    return "a new instance gives the same posterior"


def other_device(subject: Candidate) -> str | Note:
    if not torch.cuda.is_available():
        return Note("info", "no CUDA device here to compare with")
    context = subject.context(3, 8)
    encoders = [subject.construct(state=state).eval() for state in subject.states]
    here = [subject.posterior(encoder, context) for encoder in encoders]
    ptu.set_gpu_mode(True)
    try:
        for encoder, expected in zip(encoders, here, strict=True):
            there = subject.posterior(subject.construct(state=encoder.state_dict()).eval(), context.to(ptu.device))
            moved = difference(expected, Posterior(*(None if part is None else part.cpu() for part in there)))
            if moved > DEVICE_TOLERANCE:
                raise Breach(f"on CUDA the posterior differs by {moved:.1%}", "make tensors on the input's device")
    finally:
        ptu.set_gpu_mode(False)
    return "the same posterior on CUDA"
