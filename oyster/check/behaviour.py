"""How an encoder behaves beyond the contract: fresh, and after a short training.

Each check takes a Candidate and returns what was seen (a Note, where that is a warning or just worth knowing); or it
raises a Breach.
"""

from itertools import product

import torch

from oyster.algorithms.pearl.contract import of_tasks, tasks_apart
from oyster.algorithms.pearl.subject import TOLERANCE, Breach, Note, difference, gradients, listed, mode_name
from oyster.check.practice import NET_SIZE, Candidate, Practice
from oyster.runtime.errors import TrialFailure, encoder_at_fault

CONTEXT_LENGTHS, TASKS = (1, 2, 64, 100, 1024), (1, 16)
LARGE = 1e3


def return_preactivations(subject: Candidate) -> str:
    fix = "give forward the argument return_preactivations=False, and with it return (output, preactivation)"
    outputs, context = [], subject.context(2, 8)
    for arguments in ({}, {"return_preactivations": True}):
        encoder = subject.construct()
        try:
            with encoder_at_fault():
                encoder.reset(num_tasks=2)
                outputs.append(encoder(context, **arguments))
        except TrialFailure as failure:
            raise Breach(f"forward(context, return_preactivations=True): {failure.reason}", fix) from failure
    output, pair = outputs
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], torch.Tensor)):
        raise Breach(f"return_preactivations=True gave a {type(pair).__name__}, not two tensors", fix)
    if pair[0].shape != output.shape or not torch.allclose(pair[0], output, rtol=TOLERANCE, atol=1e-6):
        raise Breach("return_preactivations=True changes the output", fix)
    return "(output, preactivation)"


@torch.no_grad()
def shapes(subject: Candidate) -> str:
    for mode, length, num_tasks in product((True, False), CONTEXT_LENGTHS, TASKS):
        context = subject.context(num_tasks, length)
        try:
            subject.posterior(subject.construct().train(mode), context)
        except TrialFailure as failure:
            raise Breach(
                f"{num_tasks} task(s), context length {length}, {mode_name(mode)} mode: {failure.reason}",
                "take tasks and length from the input's shape; at length 1 beware of standard deviations and BatchNorm",
            ) from failure
    return f"context lengths {', '.join(map(str, CONTEXT_LENGTHS))}; {' and '.join(map(str, TASKS))} tasks"


def gradients_everywhere(subject: Candidate) -> str | Note:
    """A parameter counts as reached if it is, fresh or trained."""
    found: dict[str, set[str]] = {}
    for state in subject.states:
        encoder = subject.construct(state=state)
        named = {name: value for name, value in encoder.named_parameters() if value.requires_grad}
        posterior = subject.posterior(encoder, subject.context(4, 16))
        for name, gradient in zip(named, gradients(posterior, list(named.values())), strict=True):
            word = "none" if gradient is None else "some" if gradient.any() else "zero"
            found.setdefault(name, set()).add(word)
    unused = [name for name, words in found.items() if words == {"none"}]
    flat = [name for name, words in found.items() if "some" not in words and name not in unused]
    if unused:
        seen = f"no gradient reaches {listed(unused)} ({len(unused)} of {len(found)} parameter tensors)"
        raise Breach(seen, "use it in forward, do not detach it, or remove it")
    if flat:
        return Note("warning", f"the gradient of {listed(flat)} is exactly zero", "is it used, or behind a dead ReLU?")
    return f"all {len(found)} parameter tensors"


def tasks_kept_apart(subject: Candidate) -> str:
    for state in subject.states:
        seen = tasks_apart(subject, state)
        if getattr(subject.construct(), "belief_to_act", None) is not None:
            _acts_apart(subject, state)
    return seen


def _acts_apart(subject: Candidate, state: dict[str, torch.Tensor] | None) -> None:
    """The same of `belief_to_act`, whose random numbers are drawn alike whatever the contexts hold."""
    context = subject.context(3, 8)
    dull = context.clone()
    dull[0, :, sum(subject.dims)] = 0.0  # the first task's rewards: nothing is known of it now
    one, other = (
        of_tasks(subject.posterior(subject.construct(state=state).eval(), each, to_act=True), [1, 2])
        for each in (context, dull)
    )
    if (moved := difference(one, other)) > TOLERANCE:
        raise Breach(
            f"belief_to_act: changing the context of task 0 moved the beliefs of the others by {moved:.1%}",
            "work within a task, and draw as many random numbers whatever the contexts hold (torch.where chooses)",
        )


def calls_apart(subject: Candidate) -> str:
    """After another call and a reset, the same context gives the same posterior."""
    context = subject.context(3, 8)
    for state, before, after in product(subject.states, (True, False), (True, False)):
        posteriors = []
        for seed in (1, 2):
            encoder = subject.construct(state=state)
            for num_tasks in (5, len(context)):
                subject.posterior(encoder.train(before), 3.0 * subject.context(num_tasks, 8, seed))
            posteriors.append(subject.posterior(encoder.train(after), context))
        if not before and not after:  # in train mode, what does not depend on the context may move: spectral norms
            posteriors.append(subject.posterior(subject.construct(state=state).eval(), context))
        if (moved := max(difference(posteriors[0], other) for other in posteriors[1:])) > TOLERANCE:
            raise Breach(
                f"an earlier call ({mode_name(before)} mode), and then a reset, moved the same context's posterior by "
                f"{moved:.1%} ({mode_name(after)} mode)",
                "let reset(num_tasks) drop every state, and keep no running statistics over contexts (BatchNorm does)",
            )
    return "an earlier call leaves no trace after reset"


def instances_apart(subject: Candidate) -> str:
    context = subject.context(3, 8)
    alone = subject.posterior(subject.construct(), context)
    encoder, neighbour = subject.construct(), subject.construct(seed=1)
    fix = "keep state on self, in buffers: not in the module, the class or a default argument"
    try:
        encoder.reset(num_tasks=3)
        subject.posterior(neighbour, 3.0 * subject.context(5, 8, seed=1))
        beside = subject.posterior(encoder, context, reset=False)
    except TrialFailure as failure:
        raise Breach(f"after a call of another instance: {failure.reason}", fix) from failure
    if (moved := difference(alone, beside)) > TOLERANCE:
        raise Breach(f"a call of another instance moved the posterior by {moved:.1%}", fix)
    return "instances share nothing"


def order(subject: Candidate) -> str | Note:
    context = subject.context(3, 16)
    shuffled = context.flip(1).roll(3, dims=1)
    moved = 0.0
    for state in subject.states:
        one, other = (subject.posterior(subject.construct(state=state).eval(), each) for each in (context, shuffled))
        moved = max(moved, difference(one, other))
    if not getattr(subject.construct(), "IS_RECURRENT", False):
        if moved > TOLERANCE:
            raise Breach(
                f"another order of the same context moved the posterior by {moved:.1%}",
                "treat the context as a set, or set IS_RECURRENT = True on the class: it then gets ordered episodes",
            )
        return "the posterior does not depend on it"
    if moved > TOLERANCE:
        return Note("info", f"recurrent and order-aware: another order moves the posterior by {moved:.1%}")
    return Note("info", "declared IS_RECURRENT, yet the order makes no difference", "IS_RECURRENT can go")


def finite(subject: Candidate) -> str:
    context = subject.context(3, 8)
    sparse = context.clone()
    sparse[..., sum(subject.dims)] = 0.0  # the reward
    cases = {"all-zero": torch.zeros_like(context), "large (1e3)": LARGE * context, "zero-reward": sparse}
    for (name, case), mode, state in product(cases.items(), (True, False), subject.states):
        encoder = subject.construct(state=state).train(mode)
        try:
            posterior = subject.posterior(encoder, case)
        except Breach as breach:
            raise Breach(f"{name} context: {breach.seen}", breach.fix) from breach
        parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        if not all(part is None or torch.isfinite(part).all() for part in gradients(posterior, parameters)):
            raise Breach(f"{name} context: a gradient is not finite", "add an epsilon inside square roots and norms")
    return "outputs and gradients for all-zero, large (1e3) and zero-reward context"


def finite_in_training(subject: Candidate) -> str:
    if isinstance(subject.trained, TrialFailure):
        raise subject.trained
    return f"{subject.steps_taken} gradient steps on made-up tasks"


def sharpens(subject: Candidate) -> Note:
    """What more context does to the posterior's variance, after the short training."""
    if not subject.settings.use_information_bottleneck:
        return Note("info", "without the information bottleneck there is no variance")
    encoder, variances = subject.construct(state=subject.states[-1]).eval(), []
    context = Practice(subject, encoder, NET_SIZE).draw(num_tasks=16, batch_size=1, context_length=64).context
    for length in (4, 16, 64):
        variance = subject.posterior(encoder, context[:, :length]).variance.mean()
        variances.append(f"{length}: {variance:.2g}")
    return Note("info", f"mean posterior variance by context length: {', '.join(variances)}")
