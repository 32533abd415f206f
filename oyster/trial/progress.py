"""What a trial shows while it runs: a live line on a terminal, a line per iteration elsewhere."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from oyster.algorithms.settings import Settings
from oyster.runtime.errors import InputError
from oyster.runtime.files import printable
from oyster.trial.training import Training

REFRESH_SECONDS = 0.5


class TrialProgress:
    """Call it within an iteration, and with the line of progress.csv after it."""

    def __init__(self, settings: Settings, console: Console | None = None, tensorboard: Path | None = None):
        """`tensorboard`: a folder for its events too."""
        self.settings = settings
        self.writer = tensorboard and _summary_writer(tensorboard)
        self.console = console or Console(stderr=True)
        self.started = self.shown = time.monotonic()
        self.done_before: float | None = None
        self.steps_before = 0
        self.latest = "not yet"
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(
                "iteration {task.fields[iteration]}  {task.fields[speed]} steps/s  return {task.fields[latest]}"
            ),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        name = f"{settings.environment} {settings.agent} {settings.seed}"
        self.task = self.bar.add_task(name, total=settings.num_iterations, iteration="0", speed="0", latest=self.latest)

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *exception):
        self.bar.stop()
        if self.writer:
            self.writer.close()

    def warn(self, message: str) -> None:
        self.console.print(f"note: {printable(message)}", highlight=False, markup=False)

    def __call__(self, training: Training, row: Any | None) -> None:
        now = time.monotonic()
        done = training.iteration + training.share  # in iterations
        if self.done_before is None:  # not 0 where an earlier run is gone on from
            self.done_before, self.steps_before = done, training.learner.gradient_steps
        if row is not None:
            self.latest = f"{row.meta_test_return:.2f}"
            for name, value in row._asdict().items() if self.writer else ():
                self.writer.add_scalar(name, value, row.environment_steps)
        if row is None and now - self.shown < REFRESH_SECONDS:
            return
        self.shown = now
        seconds = max(now - self.started, 1e-9)
        speed = (training.learner.gradient_steps - self.steps_before) / seconds
        total = self.settings.num_iterations
        iteration = f"{min(training.iteration + 1, total)}/{total}"
        self.bar.update(self.task, completed=done, iteration=iteration, speed=f"{speed:.0f}", latest=self.latest)
        if row is not None and not self.console.is_terminal:
            left = (total - done) * seconds / max(done - self.done_before, 1e-9)
            self.console.print(
                f"iteration {training.iteration}/{total}  meta_test_return {self.latest}  "
                f"{speed:.1f} gradient steps/s  {left / 60:.1f} min left",
                highlight=False,
            )


def _summary_writer(folder: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--tensorboard needs a package that is not here: pip install tensorboard.") from error
    return SummaryWriter(folder)
