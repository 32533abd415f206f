"""`python -m oyster …`. Thin: each command imports what it needs when it runs, so that --help is quick."""

import errno
import sys
from pathlib import Path

import click

from oyster.runtime.errors import InputError, MachineError, TrialFailure, describe
from oyster.runtime.files import printable


class _Group(click.Group):
    """Turns the ways in which a command can fail into a paragraph and an exit code."""

    def invoke(self, context: click.Context):
        for stream in (sys.stdout, sys.stderr):  # a locale that lacks a letter must not end a command
            stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(context)
        except InputError as error:
            _stop(2, f"error: {error}")
        except TrialFailure as failure:
            _stop(
                1,
                f"The trial failed in iteration {failure.iteration}: {failure.reason}. Nothing was written. "
                f"(--record-failure would make this failure the trial's result.)",
            )
        except MachineError as error:
            _stop(3, f"error: {error}")
        except MemoryError as error:
            _stop(3, f"error: this machine's memory is full ({describe(error)}). Free some, {AGAIN}")
        except OSError as error:
            if error.errno == errno.EPIPE:  # `… | head`: click ends quietly
                raise
            _stop(3, f"error: {_in_words(error)}")


AGAIN = "then run the same command again: a trial goes on from the last checkpoint."


def say(words: str, err: bool = False) -> None:
    """What came from outside (names, an encoder's words) must not steer a terminal."""
    click.echo(printable(words), err=err)


def _stop(code: int, words: str) -> None:
    say(words, err=True)
    sys.exit(code)


def _in_words(error: OSError) -> str:
    what = f"{error.strerror or error}: {str(error.filename or 'while reading or writing')!r}."
    advice = "Fix that"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "Free space"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "Fix its permissions"
    return f"{what} {advice}, {AGAIN}"


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Meta-train context encoders with PEARL, one reproducible trial at a time."""


@main.command()
@click.option("--env", "environment", required=True, help="An environment of params.yaml, e.g. point-robot.")
@click.option(
    "--encoder", required=True, help="A name (encoders/NAME.py) or the path of an encoder file, listed or not."
)
@click.option("--seed", required=True, type=click.IntRange(min=0))
@click.option("--budget", required=True, help="A budget of params.yaml: demo, benchmark, paper.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the result; must be free.")
@click.option("--weights", type=click.Path(path_type=Path), help="Folder for weights.safetensors.  [default: --out]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--record-failure", is_flag=True, help="A failing encoder is a result too: write it and exit 0.")
@click.option(
    "--checkpoint-minutes", default=5.0, show_default=True, help="Also checkpoint within an iteration this often."
)
@click.option(
    "--params", "params_file", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True
)
def train(
    environment, encoder, seed, budget, out, weights, device, record_failure, checkpoint_minutes, params_file
) -> None:
    """Run one trial: one encoder, one environment, one seed."""
    from oyster.encoder_file import find_encoder_file
    from oyster.settings import load_params, trial_settings

    params = load_params(params_file)
    encoder_file = find_encoder_file(encoder)
    settings = trial_settings(params, environment=environment, encoder=encoder_file.stem, seed=seed, budget=budget)
    from oyster.progress import TrialProgress
    from oyster.trial import run_trial

    with TrialProgress(settings) as progress:
        run_trial(
            settings,
            encoder_file,
            out,
            weights=weights,
            device=device,
            record_failure=record_failure,
            checkpoint_minutes=checkpoint_minutes,
            on_progress=progress,
            warn=progress.warn,
        )


@main.command()
@click.argument("result", type=click.Path(path_type=Path), default=Path("results/benchmark"))
@click.option("--iterations", type=click.IntRange(min=1), help="Re-create only the first so many.  [default: all]")
@click.option("--sample", type=click.IntRange(min=1), help="Draw so many results at random below RESULT.")
@click.option("--commit", "revision", help="Use this commit's code, in a temporary worktree.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--certificate", type=click.Path(path_type=Path), help="Write the verdicts there as JSON.")
def verify(result, iterations, sample, revision, device, certificate) -> None:
    """Re-create the result in folder RESULT and say whether it holds (exit 0) or not (exit 1)."""
    if revision:
        from oyster.worktree import run_in_worktree

        arguments = ["verify", str(result.resolve()), "--device", device]
        for option, value in (("--iterations", iterations), ("--sample", sample)):
            arguments += [option, str(value)] if value else []
        arguments += ["--certificate", str(certificate.resolve())] if certificate else []
        sys.exit(run_in_worktree(revision, arguments))
    from oyster.runtime.records import write_json
    from oyster.verify import find_results
    from oyster.verify import verify as verify_result

    verdicts = []
    for folder in find_results(result, sample):
        verdicts.append(verify_result(folder, iterations=iterations, device=device, say=say))
        say(str(verdicts[-1]))
    if certificate:
        write_json(certificate, [verdict.certificate for verdict in verdicts])
    sys.exit(0 if all(verdict.holds for verdict in verdicts) else 1)


@main.command()
@click.option("--record", is_flag=True, help="Store what the tiny trials leave now, for this kind of hardware.")
def canary(record) -> None:
    """Rerun tiny trials and say whether an edit of the engine changed its behaviour (exit 1)."""
    from oyster import canary as canary_trials

    if record:
        for song in canary_trials.record():
            say(f"recorded    {song.name}")
        return
    outcomes = canary_trials.listen()
    for outcome in outcomes:
        say(f"{outcome.word.upper():10}  {outcome.trial}: {outcome.detail}")
    sys.exit(1 if any(outcome.word == "different" for outcome in outcomes) else 0)


@main.command("keep-results")
def keep_results() -> None:
    """After an edit that the canary finds harmless: record the benchmark's results against the new engine."""
    from oyster.keep_results import keep_results as keep

    outcome = keep()
    for stage in outcome.kept:
        say(f"kept        {stage}")
    for stage, reason in outcome.left.items():
        say(f"still stale {stage}: {reason}")
    say(f"{len(outcome.kept)} results recorded against the present engine, {len(outcome.left)} left stale.")


@main.command("export-results")
@click.argument("grid")
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: GRID-results.tar.gz]")
def export_results(grid, out) -> None:
    """Pack the results of GRID, e.g. benchmark, with their weights, for import-results in another clone."""
    from oyster.archive import export_results as export

    out = out or Path(f"{grid}-results.tar.gz")
    trials = export(grid, out)
    say(f"{len(trials)} results with weights are in {out} ({out.stat().st_size / 1e6:.1f} MB).")
    say(f"In another clone: python -m oyster import-results {out.name}")


@main.command("import-results")
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Let a result of ARCHIVE take the place of another one that is here.")
@click.option("--only-valid", is_flag=True, help="Import what can be (exit 1).  [default: all of ARCHIVE, or none]")
def import_results(archive, replace, only_valid) -> None:
    """Take in the results that ARCHIVE (a folder, .tar.gz, .tar or .zip) holds, if they could have been trained here.

    Code, settings, encoder and hashes are checked against the working tree; what passes is recorded in dvc.lock.
    """
    from oyster.import_results import import_results as take_in
    from oyster.import_results import in_words

    outcome = take_in(archive, replace=replace, only_valid=only_valid, say=lambda line: say(line, err=True))
    for remark in outcome.remarks:
        say(f"note: {remark}")
    if outcome.refused:
        say(f"not imported:\n{in_words(outcome.refused)}")
    say(
        f"{len(outcome.imported)} results imported and recorded in dvc.lock, {len(outcome.already_here)} here already, "
        f"{len(outcome.refused)} refused."
    )
    if outcome.imported:
        say("To keep them: git add results dvc.lock && git commit")
    sys.exit(1 if outcome.refused else 0)


@main.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--tasks", help="Test tasks by number, e.g. 0,3,7.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.  [default: simulations/… as RESULT]")
@click.option("--video", is_flag=True, help="A GIF a task too, rendered without a screen.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw anew.  [default: as the recorded meta-test drew]")
@click.option(
    "--weights", type=click.Path(path_type=Path), help="The file weights.safetensors, where it lies elsewhere."
)
@click.option("--encoder", help="The encoder's name or file.  [default: the recorded name]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def simulate(result, tasks, out, video, seed, weights, encoder, device) -> None:
    """See the result in folder RESULT move: tables, a plot and pictures of its weights on chosen test tasks."""
    from oyster.render import choose_backend

    if video:
        choose_backend()
    from oyster.simulate import choose_tasks, default_folder, write_simulation
    from oyster.simulate import simulate as roll_out

    simulation = roll_out(
        result, weights=weights, encoder=encoder, seed=seed, device=device, video=video,
        warn=lambda line: say(f"note: {line}", err=True),
    )  # fmt: skip
    chosen = choose_tasks(tasks, len(simulation.tasks))
    say(simulation.in_words(), err=True)
    for path in write_simulation(
        simulation,
        chosen,
        out or default_folder(simulation.settings),
        video=video,
        say=lambda line: say(line, err=True),
    ):
        say(str(path))


@main.command("check-encoder")
@click.argument("encoder")
@click.option("--env", "environment", help="Check at this environment's sizes only.  [default: at all of them]")
@click.option("--budget", default="benchmark", show_default=True, help="A budget of params.yaml, for the sizes.")
@click.option(
    "--params", "params_file", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True
)
def check_encoder(encoder, environment, budget, params_file) -> None:
    """Say whether ENCODER (a name, or an encoder file) keeps the contract, and how to fix what does not (exit 1)."""
    from oyster.encoder_file import find_encoder_file
    from oyster.settings import load_params

    params, file = load_params(params_file), find_encoder_file(encoder)
    from oyster.conformance.check import check_encoder as check
    from oyster.conformance.check import print_findings

    findings = check(file, params, environment=environment, budget=budget)
    print_findings(findings, f"{file.name} at the sizes of the {budget} budget")
    sys.exit(1 if any(finding.verdict == "fail" for finding in findings) else 0)


@main.command()
def schema() -> None:
    """Print the JSON schema of params.yaml (params.schema.json is this)."""
    from oyster.settings import schema as params_schema

    click.echo(params_schema(), nl=False)
