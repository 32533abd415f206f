"""The ways in which a command can fail, told apart by what should happen next; and whose fault an error is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from oyster.runtime.files import printable

LONGEST = 1000  # characters of an error's own text that are kept
# How errors of the GPU or the allocator read where they have no type of their own.
MACHINE_WORDS = ("can't allocate memory", "CUDA error", "CUDA out of memory", "cuDNN error", "CUBLAS_STATUS", "NVML")


class InputError(Exception):
    """Something that was given cannot be used: the command ends with exit code 2 and has written nothing.

    The message says what was given, what was expected and how to fix it.
    """


class NotInstalled(InputError):
    """What was asked needs something beside the engine that is not here in its locked version: exit code 4."""


class MachineError(Exception):
    """The machine failed (a package, a file, memory, the GPU): exit code 3, nothing recorded, worth another try."""


class Stopped(Exception):
    """Someone asked the trial to stop: where it stood, in words, and where its checkpoint is."""


class TrialFailure(Exception):
    """The encoder made the trial fail: it raised, gave a wrong shape, or made losses or weights non-finite.

    Unlike an infrastructure failure (killed, disk full) this is a property of the encoder: it can be recorded.
    """

    def __init__(self, reason: str, iteration: int = 0):
        super().__init__(reason)
        self.reason = reason
        self.iteration = iteration


@contextmanager
def encoder_at_fault() -> Iterator[None]:
    """What the encoder raises inside is the encoder's failure; what the machine does to it is nobody's."""
    try:
        yield
    except (TrialFailure, MachineError, InputError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a class of the encoder's own need not be an Exception
        seen = f"{describe(error)}{_where(error)}"
        if _is_machines(error):
            raise MachineError(f"Inside the encoder this machine failed: {seen}. Nothing was recorded.") from error
        raise TrialFailure(f"the encoder raised {seen}") from error


def describe(error: BaseException) -> str:
    """`ValueError: its text`, safe to print and to store, however odd the text is."""
    try:
        text = str(error)
    except BaseException:
        text = "(its own text cannot be made)"
    text = printable(text)
    return f"{printable(type(error).__name__)}: {text if len(text) <= LONGEST else text[:LONGEST] + '…'}"


def _is_machines(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # not imported here: commands that need no torch start without it
    kinds = [getattr(torch, name, None) for name in ("OutOfMemoryError", "AcceleratorError")]
    if isinstance(error, (ImportError, OSError, MemoryError, *filter(None, kinds))):
        return True
    return isinstance(error, RuntimeError) and any(words in describe(error) for words in MACHINE_WORDS)


def _where(error: BaseException) -> str:
    """The innermost line of the traceback, as ` (file.py, line 12)`."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "" if frame is None else f" ({frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}, line {frame.tb_lineno})"
