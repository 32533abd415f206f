"""What every encoder must do before training it makes sense: checked in about a second, on instances thrown away.

`train` refuses an encoder that breaks one of these; `oyster check` shows them first and goes on from there.
"""

import inspect
from difflib import get_close_matches

import torch
from torch import nn

from oyster.algorithms.pearl.carried import carried
from oyster.algorithms.pearl.posterior import Posterior
from oyster.algorithms.pearl.settings import Settings
from oyster.algorithms.pearl.subject import (
    TOLERANCE,
    Breach,
    Note,
    Subject,
    difference,
    global_generators,
    gradients,
    listed,
    mode_name,
)
from oyster.envs.family import TaskFamily
from oyster.runtime import seeds
from oyster.runtime.errors import TrialFailure, encoder_at_fault

SIGNATURE = "__init__(self, hidden_sizes, input_size, output_size, **kwargs)"
STREAM = 0  # of Torch's streams: a trial's own is seeded without a key, its meta-tests use 1, 2, …


def require_contract(encoder_class: type[nn.Module], settings: Settings, family: type[TaskFamily]) -> list[str]:
    """TrialFailure where the encoder breaks the contract; else what was seen that is worth a warning.

    The trial's own random streams stay where they are.
    """
    subject = Subject(encoder_class, settings, family)
    with seeds.separate_torch_stream(settings.seed, STREAM), encoder_at_fault():
        seen = [requirement(subject) for requirement in MUST_HAVE.values()]
    return [f"{note.seen}: {note.fix}" for note in seen if isinstance(note, Note) and note.verdict == "warning"]


# --- the requirements: each returns what was seen, or raises --------------------------------------------------------


def constructor(subject: Subject) -> str | Note:
    with encoder_at_fault():
        parameters = inspect.signature(subject.encoder_class).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    given = ["hidden_sizes", "input_size", "output_size", *subject.settings.encoder_arguments]
    unknown = [] if takes_any else [name for name in given if name not in parameters]
    if unknown:
        raise Breach(
            f"the constructor takes no {', '.join(unknown)} (it takes {', '.join(parameters)})",
            f"write {SIGNATURE}, and name there the arguments that params.yaml gives the encoder",
        )
    if not takes_any and not _defined_in_rlkit(subject.encoder_class):
        raise Breach(f"the constructor takes no **kwargs (it takes {', '.join(parameters)})", f"write {SIGNATURE}")
    try:
        encoder = subject.construct()
    except TrialFailure as failure:
        raise Breach(
            f"constructing it with {', '.join(given)}: {failure.reason}", f"the constructor must be {SIGNATURE}"
        ) from failure
    named = _named_arguments(subject.encoder_class)
    if unnamed := [name for name in subject.settings.encoder_arguments if name not in named]:
        nearest = get_close_matches(unnamed[0], named, 1)
        return Note(
            "warning",
            f"its __init__ names no {', '.join(unnamed)}, which params.yaml gives; only **kwargs takes it",
            f"is it misspelt? {f'It names {nearest[0]}.' if nearest else 'Name it in __init__.'}",
        )
    return f"{type(encoder).__name__}({', '.join(given)})"


def save_init_params(subject: Subject) -> str | Note:
    recorded = vars(subject.construct()).get("_init_params")
    fix = "make self.save_init_params(locals()) the first statement of __init__"
    if recorded is None:
        raise Breach("the constructor does not call save_init_params", fix)
    bases = [base for base in subject.encoder_class.__mro__ if "__init__" in vars(base)]
    arguments = {name for base in bases for name in inspect.signature(base.__init__).parameters} | {"args", "kwargs"}
    if late := sorted(recorded.keys() - arguments):
        return Note("warning", f"called late: it recorded the local {listed(late)} as well", fix)
    return "called"


def output_size(subject: Subject) -> str:
    found = getattr(subject.construct(), "output_size", "missing")
    if found != subject.output_size:
        raise Breach(
            f"the attribute output_size is {found}; it was constructed with output_size={subject.output_size}",
            "set self.output_size = output_size in __init__",
        )
    return str(found)


def reset(subject: Subject) -> str:
    encoder = subject.construct()
    try:
        with encoder_at_fault():
            encoder.reset(num_tasks=2)
            encoder.reset(num_tasks=1)
    except TrialFailure as failure:
        raise Breach(
            f"reset(num_tasks=2): {failure.reason}",
            "define reset(self, num_tasks=1), which drops all that earlier calls left (or passes, if nothing is)",
        ) from failure
    return "reset(num_tasks=…)"


def forward(subject: Subject) -> str:
    """3-D input, as a trial gives it."""
    for num_tasks, num_transitions in ((2, 8), (1, 20), (3, 5)):
        context = subject.context(num_tasks, num_transitions)
        try:
            subject.posterior(subject.construct(), context)
        except Breach:
            raise
        except TrialFailure as failure:
            raise Breach(
                f"input (task, transition, feature) of shape {tuple(context.shape)}: {failure.reason}",
                "return (task, transition, output_size), or (task, output_size) for one Gaussian per task",
            ) from failure
    return f"(task, transition, {subject.input_size}) → (…, {subject.output_size})"


def forward_one_task(subject: Subject) -> str:
    """2-D input, (transition, feature), unless the encoder is recurrent."""
    encoder = subject.construct()
    if getattr(encoder, "IS_RECURRENT", False):
        return "not asked of a recurrent encoder"
    context = subject.context(1, 8)[0]
    fix = "act on the last dimensions only: x[..., i], dim=-1, dim=-2 (or declare IS_RECURRENT = True for sequences)"
    try:
        with encoder_at_fault():
            encoder.reset(num_tasks=1)
            output = encoder(context)
    except TrialFailure as failure:
        seen = f"input (transition, feature) of shape {tuple(context.shape)}: {failure.reason}"
        raise Breach(seen, fix) from failure
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    expected = [(*rows, subject.output_size) for rows in ((), (1,), (len(context),), (1, len(context)))]
    if shape not in expected:
        raise Breach(f"input of shape {tuple(context.shape)} gave output of shape {shape}", fix)
    return f"(transition, {subject.input_size}) → {shape}"


def gradient(subject: Subject) -> str:
    encoder = subject.construct()
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    posterior = subject.posterior(encoder, subject.context(2, 8))
    reached = sum(part is not None for part in gradients(posterior, parameters))
    if parameters and not reached:
        raise Breach(
            "no gradient reaches any parameter: it would never learn",
            "remove detach(), .data, torch.no_grad() or a detour through NumPy from forward",
        )
    return f"reaches {reached} of {len(parameters)} parameter tensors"


def repeatable(subject: Subject) -> str:
    before = global_generators()
    for mode in (True, False):
        one, other = (subject.posterior(subject.construct().train(mode), subject.context(3, 8)) for _ in range(2))
        if difference(one, other) > TOLERANCE or global_generators() != before:
            raise Breach(
                f"two equal instances give different posteriors for the same context ({mode_name(mode)} mode), or draw "
                "from NumPy's or Python's global generator",
                "draw random numbers from Torch's global generator only (torch.randn, dropout): no trial could be "
                "repeated otherwise; keep no state in the module or the class",
            )
    return "equal instances, context and generator: equal posterior"


def tasks_apart(subject: Subject, state: dict[str, torch.Tensor] | None = None) -> str:
    """Changing one task's context leaves the others' posteriors as they were."""
    context = subject.context(3, 8)
    for mode in (True, False):
        before = subject.posterior(subject.construct(state=state).train(mode), context)
        for task in range(len(context)):
            changed = context.clone()
            changed[task] = 1.0 + 3.0 * subject.context(1, 8, seed=1)[0]
            after = subject.posterior(subject.construct(state=state).train(mode), changed)
            others = [other for other in range(len(context)) if other != task]
            if (moved := difference(of_tasks(before, others), of_tasks(after, others))) > TOLERANCE:
                raise Breach(
                    f"changing the context of task {task} moved the posteriors of the others by {moved:.1%} "
                    f"({mode_name(mode)} mode)",
                    "pool and normalise within a task only: over dim=-2 (its transitions) or dim=-1 (features), never "
                    "over dim 0; BatchNorm mixes tasks, LayerNorm does not",
                )
    return "one task's context does not touch the others"


def belief_to_act(subject: Subject) -> str:
    """The optional method, asked as a trial asks it: before anything was seen, and given a context."""
    if getattr(subject.construct(), "belief_to_act", None) is None:
        return "none: z is drawn from the prior, then from forward's posterior"
    fix = "take (task, n, input_size), n = 0 before anything was seen; return a Gaussian per task, (task, output_size)"
    for length in (0, 8):
        context = subject.context(3, length)
        try:
            one, other = (subject.posterior(subject.construct().eval(), context, to_act=True) for _ in range(2))
        except TrialFailure as failure:
            seen = f"belief_to_act, context of shape {tuple(context.shape)}: {failure.reason}"
            raise Breach(seen, fix) from failure
        if difference(one, other) > TOLERANCE:
            raise Breach(
                "two equal instances give different beliefs to act on for the same context",
                "draw random numbers from Torch's global generator only; keep no state in the module or the class",
            )
    return f"(task, 0 or more, {subject.input_size}) → (task, {subject.output_size}), in place of prior and posterior"


MUST_HAVE = {
    "constructor": constructor,
    "save_init_params": save_init_params,
    "output_size": output_size,
    "reset": reset,
    "forward, 3-D": forward,
    "forward, 2-D": forward_one_task,
    "gradient": gradient,
    "repeatable": repeatable,
    "tasks kept apart": tasks_apart,
    "belief to act": belief_to_act,
    "checkpoints": carried,
}


def _named_arguments(encoder_class: type) -> list[str]:
    """What the constructor names, and what those of its bases name to which it may hand **kwargs on."""
    owners = [base for base in encoder_class.__mro__ if "__init__" in vars(base) and base.__module__ != "builtins"]
    parameters = [each for base in owners for each in inspect.signature(vars(base)["__init__"]).parameters.values()]
    return [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]


def of_tasks(posterior: Posterior, tasks: list[int]) -> Posterior:
    """Some tasks' rows of a posterior."""
    return Posterior(*(None if part is None else part[tasks] for part in posterior))


def _defined_in_rlkit(encoder_class: type) -> bool:
    """Whether the constructor is rlkit's own, inherited: those take no **kwargs."""
    owner = next(base for base in encoder_class.__mro__ if "__init__" in vars(base))
    return owner.__module__.split(".")[0] == "rlkit"
