"""One encoder, one environment, one seed: assemble, train, record."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rlkit.torch import pytorch_util as ptu

from oyster.encoder_file import file_sha256, load_encoder_class
from oyster.envs import load_family
from oyster.envs.family import split_tasks
from oyster.pearl.agent import Agent, encoder_sizes
from oyster.pearl.meta_train import MetaTraining, Row
from oyster.pearl.posterior import encoder_at_fault
from oyster.pearl.results import num_parameters, write_results
from oyster.runtime import provenance, seeds
from oyster.runtime.device import choose_device, fix_arithmetic
from oyster.runtime.errors import TrialFailure
from oyster.runtime.records import check_destination, publish, scratch_folder, write_json
from oyster.settings import Settings

OnProgress = Callable[[MetaTraining, Row | None], None]


class Trial:
    """Everything that one trial needs, assembled; `training` is None until the encoder has been constructed."""

    def __init__(self, settings: Settings, encoder_file: Path, device: str = "auto"):
        """InputError for a device that is not there, an unknown environment or an unreadable encoder file."""
        self.settings, self.encoder_file = settings, encoder_file
        self.device = choose_device(device)
        self.family = load_family(settings.environment)
        self.encoder_class = load_encoder_class(encoder_file)
        tasks = self.family.draw_tasks(settings.num_train_tasks + settings.num_test_tasks)
        self.train_tasks, self.test_tasks = split_tasks(tasks, settings.num_train_tasks, settings.num_test_tasks)
        self.training: MetaTraining | None = None

    def assemble(self) -> MetaTraining:
        """Construct the encoder and the agent. TrialFailure where the encoder's constructor raises."""
        s = self.settings
        fix_arithmetic(s.threads)
        ptu.set_gpu_mode(self.device.type == "cuda")
        seeds.seed_torch(s.seed)
        dims = self.family.observation_dim, self.family.action_dim
        input_size, output_size = encoder_sizes(
            *dims, s.latent_dim, s.use_information_bottleneck, s.use_next_obs_in_context
        )
        with encoder_at_fault():
            encoder = self.encoder_class(
                hidden_sizes=list(s.encoder_hidden_sizes),
                input_size=input_size,
                output_size=output_size,
                **s.encoder_arguments,
            )
        agent = Agent(encoder, *dims, s.latent_dim, s.net_size, s.use_information_bottleneck).to(self.device)
        self.training = MetaTraining(s, agent, self.family, self.train_tasks, self.test_tasks)
        return self.training


def run_trial(
    settings: Settings,
    encoder_file: Path,
    out: Path,
    *,
    weights: Path | None = None,
    device: str = "auto",
    record_failure: bool = False,
    on_progress: OnProgress = lambda training, row: None,
) -> None:
    """Train and write the result to `out` (the weights to `weights`, where given), whole or not at all.

    Where the encoder makes the trial fail: TrialFailure, nothing written; with `record_failure` the failure is the result.
    """
    check_destination(out)
    trial = Trial(settings, encoder_file, device)
    scratch = scratch_folder(out)
    (scratch / "result").mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    iteration_seconds: list[float] = []
    failure = None
    try:
        for row in trial.assemble().run(lambda training: on_progress(training, None)):
            iteration_seconds.append(round(time.monotonic() - started, 3))
            on_progress(trial.training, row)
    except TrialFailure as error:
        failure = error
    if failure and not record_failure:
        shutil.rmtree(scratch)
        raise failure
    write_results(scratch / "result", settings, trial.family, trial.test_tasks, trial.training, failure)
    write_json(scratch / "result" / "provenance.json", _provenance(trial, iteration_seconds, time.monotonic() - started))
    publish(scratch, out, weights)


def _provenance(trial: Trial, iteration_seconds: list[float], wall_seconds: float) -> dict:
    settings = trial.settings.model_dump(mode="json")
    training = trial.training
    gradient_steps = training.gradient_steps if training else 0
    return {
        **provenance.commit(),
        "settings": settings,
        "settings_sha256": provenance.sha256_of_json(settings),
        "encoder_sha256": file_sha256(trial.encoder_file),
        "environment": provenance.environment(),
        "hardware": provenance.hardware(trial.device.type),
        "device": trial.device.type,
        "precision": trial.settings.precision,
        "threads": trial.settings.threads,
        "wall_seconds": round(wall_seconds, 3),
        "iteration_seconds": iteration_seconds,
        "environment_steps": training.store.size if training else 0,
        "gradient_steps": gradient_steps,
        "gradient_steps_per_second": round(gradient_steps / wall_seconds, 3),
        "peak_memory_mb": round(provenance.peak_memory_mb(), 1),
        "command": " ".join(["python", "-m", "oyster", *sys.argv[1:]]),
        "parameters": num_parameters(training.agent.context_encoder) if training else None,
    }
