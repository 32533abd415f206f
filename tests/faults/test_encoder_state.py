"""What an encoder remembers: a killed trial goes on to the same bytes, or is refused before it trains."""

import json
from pathlib import Path

import pytest

from oyster.runtime.records import DETERMINISTIC
from tests.faults.conftest import check, oyster, train, train_in_child, train_killed

FADING = "out = out * (1.0 - 0.5 * 0.95 ** float({count}))"  # a count that shows in every loss
LEARNING = f"if self.training and torch.is_grad_enabled():\n    {{step}}\n    {FADING}"

CARRIED = {
    "a buffer that is not saved": {
        "init": "self.register_buffer('steps', torch.zeros(()), persistent=False)",
        "forward": LEARNING.format(step="self.steps += 1", count="self.steps"),
    },
    "a member of an enumeration of text": {
        "top": """
            from enum import Enum
            class Pool(str, Enum):
                MEAN = 'mean'
                MAX = 'max'
        """,
        "init": "self.pool = Pool('max')",
        "after": "out = out.amax(dim=-2) if self.pool is Pool.MAX else out.mean(dim=-2)",
    },
    "a plain attribute": {
        "init": "self.steps = 0",
        "forward": LEARNING.format(step="self.steps += 1", count="self.steps"),
    },
    "an attribute that begins with an underscore": {
        "init": "self._steps = 0",
        "forward": LEARNING.format(step="self._steps += 1", count="self._steps"),
    },
    "a mapping": {
        "init": "self.state = {'steps': 0}",
        "forward": LEARNING.format(step="self.state['steps'] += 1", count="self.state['steps']"),
    },
    "a deque": {
        "top": "from collections import deque",
        "init": "self.seen = deque(maxlen=7)",
        "forward": LEARNING.format(step="self.seen.append(sum(self.seen) % 5 + 1)", count="sum(self.seen)"),
    },
    "an array of NumPy": {
        "top": "import numpy as np",
        "init": "self.steps = np.zeros(1, np.int64)",
        "forward": LEARNING.format(step="self.steps += 1", count="self.steps[0]"),
    },
    "extra state that is a tensor": {
        "init": """
            self.steps = nn.Identity()
            self.count = 0
        """,
        "forward": LEARNING.format(step="self.count += 1", count="self.count"),
        "methods": """
            def get_extra_state(self):
                return torch.tensor(self.count)

            def set_extra_state(self, state):
                self.count = int(state)
        """,
    },
    "two tensors in one memory": {
        "init": """
            self.pair = torch.zeros(2)
            self.second = self.pair[1:]
        """,
        "forward": LEARNING.format(step="self.second += 1", count="self.pair[1]"),
    },
    "a view of a weight": {
        "init": "self.bias = None",
        "forward": """
            if self.bias is None:
                self.bias = self.net[0].bias.detach()
            out = out + 0.1 * self.bias.mean()
        """,
    },
    "random numbers in training": {"forward": "out = F.dropout(out, 0.3, training=self.training)"},
    "an encoder's own cache": {
        "init": "self.cache = {}",
        "forward": "out = out * self.cache.setdefault(len(input), torch.ones(input.shape[-1]))",
    },
    "a module listed twice": {
        "init": """
            self.first = self.net[0]
            self.again = nn.ModuleList([self.net])
        """,
    },
    "a view that is kept": {
        "init": """
            self.kept = None
            self.last = None
        """,
        "after": """
            self.kept = out.detach()
            self.last = self.kept[-1]
        """,
    },
    "a buffer that reset makes anew for the tasks": {
        "init": "self.register_buffer('hidden', torch.zeros(1, 1, 16))",
        "forward": "self.hidden = self.hidden + 1.0",
        "reset": "self.hidden = self.hidden.new_zeros(1, num_tasks, 16)",
    },
    "layers that take their size from the first input": {
        "init": "self.net = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.Linear(16, output_size))",
    },
}

REFUSED = {
    "a closure": {
        "top": """
            def counter():
                steps = 0
                def step():
                    nonlocal steps
                    steps += 1
                    return steps
                return step
        """,
        "init": "self.step = counter()",
        "forward": LEARNING.format(step="steps = self.step()", count="steps"),
    },
    "a class attribute": {
        "attributes": "steps = 0",
        "forward": LEARNING.format(step="Encoder.steps += 1", count="Encoder.steps"),
    },
    "a list in the class": {
        "attributes": "seen = []",
        "forward": LEARNING.format(step="self.seen.append(1)", count="len(self.seen)"),
    },
    "a global variable": {
        "top": "STEPS = [0]",
        "forward": LEARNING.format(step="STEPS[0] += 1", count="STEPS[0]"),
    },
    "an attribute of a function": {
        "top": """
            def steps():
                steps.count = getattr(steps, 'count', 0) + 1
                return steps.count
        """,
        "forward": LEARNING.format(step="count = steps()", count="count"),
    },
    "a default argument": {
        "methods": """
            def step(self, seen=[]):
                seen.append(1)
                return len(seen)
        """,
        "forward": LEARNING.format(step="count = self.step()", count="count"),
    },
    "a weak mapping": {
        "top": """
            import weakref
            SEEN = weakref.WeakKeyDictionary()
        """,
        "forward": LEARNING.format(step="SEEN[self] = SEEN.get(self, 0) + 1", count="SEEN[self]"),
    },
    "an iterator": {
        "top": "import itertools",
        "init": "self.steps = itertools.count()",
        "forward": LEARNING.format(step="count = next(self.steps)", count="count"),
    },
    "a generator": {
        "top": """
            def count():
                steps = 0
                while True:
                    yield steps
                    steps += 1
        """,
        "init": "self.steps = count()",
        "forward": LEARNING.format(step="steps = next(self.steps)", count="steps"),
    },
    "a generator of Torch's": {
        "init": """
            self.noise = torch.Generator()
            self.noise.manual_seed(0)
        """,
        "forward": LEARNING.format(step="count = torch.rand((), generator=self.noise)", count="count"),
    },
    "an object of a class of its own": {
        "top": """
            class Counter:
                __slots__ = ('steps',)
                def __init__(self):
                    self.steps = 0
        """,
        "init": "self.counter = Counter()",
        "forward": LEARNING.format(step="self.counter.steps += 1", count="self.counter.steps"),
    },
    "a layer outside the module's lists": {
        "init": "self.hidden = [nn.BatchNorm1d(16)]",
        "forward": LEARNING.format(
            step="self.hidden[0].num_batches_tracked += 1", count="self.hidden[0].num_batches_tracked"
        ),
    },
    "a member of an enumeration that changes": {
        "top": """
            from enum import Enum
            class Phase(Enum):
                WARM = 1
                HOT = 2
        """,
        "init": "self.phase = Phase.WARM",
        "forward": LEARNING.format(step="self.phase = Phase.HOT", count="self.phase.value"),
    },
    "a hook": {
        "top": """
            def hook(steps):
                def count(module, args):
                    steps[0] += 1
                    return (args[0] * (1.0 - 0.5 * 0.95 ** steps[0]),)
                return count
        """,
        "init": "self.net.register_forward_pre_hook(hook([0]))",
    },
    "a number put into torch": {
        "forward": LEARNING.format(
            step="torch.steps_of_mine = getattr(torch, 'steps_of_mine', 0) + 1", count="torch.steps_of_mine"
        ),
    },
    "weights that stop learning": {
        "init": "self.steps = 0",
        "forward": """
            self.steps += 1
            self.net[0].weight.requires_grad_(self.steps < 3)
        """,
    },
    "extra state that is a mapping": {
        "init": "self.count = 0",
        "methods": """
            def get_extra_state(self):
                return {'count': self.count}

            def set_extra_state(self, state):
                self.count = state['count']
        """,
    },
    "a layer made by forward": {
        "forward": """
            if not hasattr(self, 'embed'):
                self.embed = nn.Linear(input.shape[-1], input.shape[-1])
            out = F.relu(self.embed(out))
        """,
    },
    "the default type": {
        "init": """
        torch.set_default_dtype(torch.float64)
        torch.set_default_dtype(torch.float64)
    """
    },
    "the number of threads": {"init": "torch.set_num_threads(2)"},
    "algorithms": {"forward": "torch.use_deterministic_algorithms(False)"},
    "denormal numbers": {"forward": "torch.set_flush_denormal(False)"},
}


@pytest.mark.parametrize("kind", CARRIED)
def test_what_is_carried_survives_a_kill(kind, encoder_file, tmp_path: Path):
    file = encoder_file(**CARRIED[kind])
    train_in_child(file, tmp_path / "whole")
    train_killed(file, tmp_path / "killed")
    train_in_child(file, tmp_path / "killed")
    for name in DETERMINISTIC:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_carried_is_refused_by_train(kind, encoder_file, tmp_path: Path, switches):
    done = train(encoder_file(**REFUSED[kind]), tmp_path / "out", "--record-failure")
    assert done.exit_code in (0, 2), done.output
    if done.exit_code == 0:
        failure = json.loads((tmp_path / "out" / "metrics.json").read_text())["failure"]
        assert failure and failure["iteration"] == 0, "trained to its end"
        assert "To fix it" in failure["reason"] or "does not require grad" in failure["reason"]


@pytest.mark.parametrize("kind", ["a closure", "a hook", "a layer made by forward", "the number of threads"])
def test_what_is_not_carried_is_refused_by_check_encoder(kind, encoder_file, switches):
    done = check(encoder_file(**REFUSED[kind]))
    assert done.exit_code == 1
    assert "Traceback" not in done.output


@pytest.mark.parametrize("kind", ["a module listed twice", "a buffer that reset makes anew for the tasks"])
def test_what_is_carried_passes_check_encoder(kind, encoder_file):
    done = check(encoder_file(**CARRIED[kind]))
    assert "No check failed." in done.output, done.output


@pytest.mark.parametrize("kind", ["a buffer that reset makes anew for the tasks", "a module listed twice"])
def test_simulate_shows_what_trained(kind, encoder_file, tmp_path: Path):
    file = encoder_file(**CARRIED[kind])
    assert train(file, tmp_path / "out").exit_code == 0
    done = oyster("simulate", tmp_path / "out", "--encoder", file, "--out", tmp_path / "simulated")
    assert done.exit_code == 0, done.output
    assert "to the last bit" in done.output


@pytest.fixture
def switches():
    """Puts back what a refused encoder changed in this process."""
    import torch

    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)
    vars(torch).pop("steps_of_mine", None)
