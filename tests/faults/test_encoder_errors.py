"""Whatever an encoder does wrong, and wherever: its recorded failure, or a sentence. Never lines of the engine."""

import json
from pathlib import Path

import pytest

from oyster.runtime.records import RESULT_FILES, WEIGHTS
from tests.faults.conftest import check, train

LATE = """
learning = self.training and torch.is_grad_enabled()
self.calls = getattr(self, 'calls', 0) + (1 if learning else 0)
if self.calls > 33:
    {}
"""
HUGE = {"after": "out = 1e22 * out"}
NOT_SHOWN = """
class Odd(Exception):
    def __str__(self):
        raise ValueError('no text')
"""

FAILURES = {
    "losses that overflow in the first gradient step": (HUGE, "non-finite"),
    "an error in the constructor": ({"init": "raise ValueError('no luck')"}, "ValueError: no luck"),
    "an error in reset": ({"reset": "raise KeyError('hidden')"}, "KeyError"),
    "an error in state_dict": (
        {
            "methods": """
            def state_dict(self, *args, **kwargs):
                raise ValueError('no state')
        """
        },
        "no state",
    ),
    "an error in state_dict, late": (
        {
            "forward": LATE.format("pass"),
            "methods": """
                def state_dict(self, *args, **kwargs):
                    if getattr(self, 'calls', 0) > 33:
                        raise ValueError('no state')
                    return super().state_dict(*args, **kwargs)
            """,
        },
        "no state",
    ),
    "an error in train()": (
        {
            "methods": """
            def train(self, mode=True):
                if not mode:
                    raise ValueError('no eval')
                return super().train(mode)
        """
        },
        "no eval",
    ),
    "an error in parameters()": (
        {
            "methods": """
        def parameters(self, recurse=True):
            raise ValueError('none')
    """
        },
        "none",
    ),
    "an error of a property": (
        {
            "methods": """
            @property
            def IS_RECURRENT(self):
                raise ValueError('who knows')
        """
        },
        "who knows",
    ),
    "an error in the backward pass": (
        {
            "top": """
            class Back(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    return x.clone()
                @staticmethod
                def backward(ctx, g):
                    raise ValueError('no way back')
        """,
            "after": "out = Back.apply(out)",
        },
        "no way back",
    ),
    "an error in a late gradient step": ({"forward": LATE.format("raise ValueError('enough')")}, "enough"),
    "an error whose text raises": ({"top": NOT_SHOWN, "forward": LATE.format("raise Odd()")}, "Odd"),
    "an error whose text is no UTF-8": ({"forward": LATE.format("raise ValueError('caf\\udce9')")}, "caf\\udce9"),
    "an error whose text steers a terminal": ({"forward": LATE.format("raise ValueError('\\x1b[2J')")}, "\\x1b[2J"),
    "an error of a megabyte": ({"forward": LATE.format("raise ValueError('a' * 1_000_000)")}, "aaa"),
    "an error that is no Exception": (
        {
            "top": """
            class Stop(BaseException):
                pass
        """,
            "forward": LATE.format("raise Stop('stopped')"),
        },
        "Stop: stopped",
    ),
    "an exit": ({"forward": LATE.format("raise SystemExit(0)")}, "SystemExit"),
    "endless recursion": ({"forward": LATE.format("return self(input)")}, "RecursionError"),
    "sparse gradients": (
        {
            "init": "self.table = nn.Embedding(4, input_size, sparse=True)",
            "forward": "out = out + self.table(torch.zeros(1, dtype=torch.long))[0]",
        },
        "raised",
    ),
    "complex weights": (
        {
            "init": "self.phase = nn.Parameter(torch.ones(1, dtype=torch.complex64))",
            "forward": "out = out * self.phase.real",
        },
        "",
    ),
    "posteriors that become infinite": ({"forward": LATE.format("out = out / 0.0")}, "finite"),
    "weights that become infinite": (
        {"forward": LATE.format("self.net[0].weight.data.fill_(float('inf'))")},
        "finite",
    ),
    "actions that are no numbers": ({"after": "out = 3e37 * torch.tanh(out)"}, ""),
}
MACHINE = {
    "a package that is missing": {"init": "import not_installed_anywhere"},
    "a file that is missing": {"init": "open('/nowhere/weights.pt')"},
    "a full disk": {"forward": LATE.format("raise OSError(28, 'No space left on device', 'scratch')")},
    "memory": {"forward": LATE.format("raise MemoryError()")},
    "memory, in the allocator's words": {
        "forward": LATE.format('raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory")')
    },
    "the GPU's memory": {"forward": LATE.format("raise torch.OutOfMemoryError('CUDA out of memory')")},
    "the GPU": {"forward": LATE.format("raise RuntimeError('CUDA error: unspecified launch failure')")},
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_recorded(kind, encoder_file, tmp_path: Path):
    parts, words = FAILURES[kind]
    done = train(encoder_file(**parts), tmp_path / "out", "--record-failure")
    assert done.exit_code == 0, done.output
    failure = json.loads((tmp_path / "out" / "metrics.json").read_text())["failure"]
    if kind not in ("complex weights", "actions that are no numbers"):  # fine, where torch and the trial can cope
        assert words in failure["reason"], failure
    assert failure is None or len(failure["reason"]) < 1500
    assert all((tmp_path / "out" / name).exists() for name in (*RESULT_FILES, WEIGHTS))


@pytest.mark.parametrize("kind", ["an error whose text is no UTF-8", "an error whose text steers a terminal"])
def test_a_failure_is_said(kind, encoder_file, tmp_path: Path):
    done = train(encoder_file(**FAILURES[kind][0]), tmp_path / "out")
    assert done.exit_code == 1
    assert FAILURES[kind][1] in done.output and "\x1b[2J" not in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", MACHINE)
def test_what_the_machine_did_is_not_recorded(kind, encoder_file, tmp_path: Path):
    done = train(encoder_file(**MACHINE[kind]), tmp_path / "out", "--record-failure")
    assert done.exit_code == 3, done.output
    assert "error: " in done.output
    assert not (tmp_path / "out").exists()


def test_a_full_disk_alone_asks_for_space(encoder_file, tmp_path: Path):
    missing = train(encoder_file(init="open('/nowhere/weights.pt')"), tmp_path / "out").output
    assert "Free space" not in missing and "/nowhere/weights.pt" in missing


@pytest.mark.parametrize(
    ("top", "code"),
    [
        ("raise ValueError('at import')", 2),
        ("raise SystemExit(0)", 2),
        ("def f(:", 2),
        (
            NOT_SHOWN
            + """
            raise Odd()
        """,
            2,
        ),
        (
            """
            class Stop(BaseException):
                pass
            raise Stop()
        """,
            2,
        ),
        ("torch.set_default_dtype(torch.float64)", 2),
        ("import not_installed_anywhere", 3),
        ("open('/nowhere')", 3),
    ],
)
def test_what_goes_wrong_at_import_is_a_sentence(top, code, encoder_file, tmp_path: Path):
    import torch

    file = encoder_file(top=top)
    for command in (lambda: train(file, tmp_path / "out", "--record-failure"), lambda: check(file)):
        done = command()
        assert done.exit_code == code, done.output
        assert done.output.startswith("error: ") and "Traceback" not in done.output
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x = '\x00'", b"", b"# caf\xe9\n"])
def test_a_file_that_is_no_python(content, tmp_path: Path):
    (tmp_path / "odd.py").write_bytes(content)
    done = train(tmp_path / "odd.py", tmp_path / "out")
    assert done.exit_code == 2 and "odd.py" in done.output


# --- arguments --------------------------------------------------------------------------------------------------------


def params_with(tmp_path: Path, arguments: str) -> Path:
    from tests.faults.conftest import TINY

    path = tmp_path / "params.yaml"
    mine = f"  mine: {{encoder: mine, arguments: {arguments}}}"
    path.write_text(TINY.read_text().replace("agents:\n", f"agents:\n{mine}\n"))
    return path


def test_an_argument_that_a_constructor_changes_is_its_own_copy(encoder_file, tmp_path: Path):
    file = encoder_file(
        methods="pass",
        init="""
            for _ in range(kwargs['options'].pop('depth', 1)):
                self.net.append(nn.Linear(output_size, output_size))
        """,
    )
    params = params_with(tmp_path, "{options: {depth: 3}}")
    assert train(file, tmp_path / "out", params=params).exit_code == 0
    origin = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert origin["settings"]["encoder_arguments"] == {"options": {"depth": 3}}
    plain = 5 * 16 + 16 + 16 * 10 + 10
    assert origin["parameters"] == plain + 3 * (10 * 10 + 10)


def test_save_init_params_keeps_what_was_given(encoder_file):
    from oyster.algorithms.pearl.encoder_file import load_encoder_class

    file = encoder_file(init="kwargs['widths'].insert(0, input_size)")
    encoder = load_encoder_class(file)([8], 3, 4, widths=[16])
    assert encoder._init_params["kwargs"] == {"widths": [16]}
    encoder.copy()


def test_an_argument_that_only_kwargs_takes_is_a_warning(encoder_file, tmp_path: Path):
    params = params_with(tmp_path, "{num_headz: 4}")
    done = train(encoder_file(), tmp_path / "out", params=params)
    assert done.exit_code == 0 and "num_headz" in done.output
    assert "num_headz" in json.loads((tmp_path / "out" / "provenance.json").read_text())["warnings"][0]
    assert "warning" in check(encoder_file(), params).output


def test_an_argument_that_the_constructor_does_not_take_is_an_error(tmp_path: Path):
    file = tmp_path / "mine.py"
    text = Path("encoders/mlp.py").read_text()
    file.write_text(text.replace("**kwargs", "num_heads=4"))
    done = train(file, tmp_path / "out", params=params_with(tmp_path, "{num_headz: 4}"))
    assert done.exit_code == 1 and "num_headz" in done.output


# --- one file ---------------------------------------------------------------------------------------------------------

LEANING = {
    "a base class of a sibling": "from encoders.mlp import MlpEncoder as Base",
    "a sibling, in a function": """
        def late():
            import encoders.mlp
    """,
    "the engine": "import oyster.rl.networks",
    "the reports": "from oyster.report.statistics import words",
    "a relative import": "from . import helper",
    "a module by its name": """
        import importlib
        importlib.import_module('encoders.mlp')
    """,
    "the text of a sibling": "exec(open('encoders/mlp.py').read())",
    "the configuration": """
        import yaml
        yaml.safe_load(open('params.yaml'))
    """,
}


@pytest.mark.parametrize("kind", LEANING)
def test_an_encoder_that_leans_on_another_file_is_refused(kind, encoder_file, tmp_path: Path):
    done = train(encoder_file(top=LEANING[kind]), tmp_path / "out", "--record-failure")
    assert done.exit_code == 2, done.output
    assert "one file" in done.output


def test_a_file_beside_the_encoders_is_another_file(encoder_file, tmp_path: Path):
    (tmp_path / "widths.json").write_text("[8]")
    place = repr(str(tmp_path / "widths.json"))
    done = train(encoder_file(init=f"open({place}).read()"), tmp_path / "out", "--record-failure")
    reason = json.loads((tmp_path / "out" / "metrics.json").read_text())["failure"]["reason"]
    assert done.exit_code == 0 and "one file" in reason


def test_installed_packages_and_rlkit_may_be_imported(encoder_file, tmp_path: Path):
    top = """
        import numpy, scipy.stats, math, rlkit.torch.networks
        from rlkit.torch import pytorch_util as ptu
    """
    assert train(encoder_file(top=top), tmp_path / "out").exit_code == 0
