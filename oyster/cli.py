"""`python -m oyster …`. Thin: each command imports what it needs when it runs, so that --help is quick."""

import os
import sys
from pathlib import Path

import click

from oyster.runtime.errors import InputError
from oyster.runtime.project import find_project, require_project
from oyster.shell import NAME_OR_PATH, PARAMS_FILE, PATH, Group, names_of, print_version, say


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Print the version."
)
@click.pass_context
def main(context: click.Context) -> None:
    """Is my context encoder, or my method, really better? Reproducible trials of meta-reinforcement learning.

    Commands work on the project around the folder that they are started in: the nearest one with a params.yaml.
    """
    context.obj = Path.cwd()
    if context.invoked_subcommand == "check" and find_project(context.obj) is None:
        return
    root = require_project(context.obj)
    if root.resolve() != context.obj.resolve():
        os.chdir(root)


DEVICE = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
PARAMS = click.option("--params", type=PATH, default=PARAMS_FILE, show_default=True)
EXPECT_KEY = click.option(
    "--expect-key", "word", type=NAME_OR_PATH, metavar="KEY", help="Stop if the tree gives another key."
)
PRESET_HELP = "How long and how large: demo, benchmark, paper, or one of your own."


@main.command()
@click.option(
    "--env",
    "environment",
    type=NAME_OR_PATH,
    required=True,
    shell_complete=names_of("families"),
    help="A task family, e.g. point-robot, or a file of your own.",
)
@click.option("--agent", shell_complete=names_of("agents"), help="An agent of params.yaml.")
@click.option(
    "--encoder",
    type=NAME_OR_PATH,
    help="Instead of --agent: an encoder's name or file; without arguments, unless an agent has them.",
)
@click.option("--seed", required=True, type=click.IntRange(min=0))
@click.option("--preset", "--budget", required=True, help=PRESET_HELP)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A setting to change; repeatable.")
@click.option("--out", required=True, type=PATH, help="Folder for the result; must be free.")
@click.option("--weights", type=PATH, help="Folder for weights.safetensors.  [default: --out]")
@EXPECT_KEY
@click.option("--record-failure", is_flag=True, help="A failing encoder is a result too: write it and exit 0.")
@click.option("--checkpoint-minutes", default=5.0, show_default=True, help="Checkpoint within an iteration this often.")
@click.option("--tensorboard", type=PATH, help="Write every iteration's row there too.")
@DEVICE
@PARAMS
def train(environment, agent, encoder, seed, preset, overrides, out, weights, word, params, **options) -> None:
    """Run one trial: one agent, one environment, one seed."""
    from oyster.algorithms import find
    from oyster.envs import family_name
    from oyster.grid import encoder_agent, find_agent, load_params, parse_overrides, trial_settings
    from oyster.trial.command import Options, Stop, expected_key
    from oyster.trial.command import train as train_trial

    if not options["checkpoint_minutes"] >= 0:  # nan is no number of minutes either
        raise InputError(f"--checkpoint-minutes is {options['checkpoint_minutes']}; expected 0 or more.")
    if (agent is None) == (encoder is None):
        raise InputError("Give --agent NAME (of params.yaml), or --encoder with a name or a file.")
    environment = family_name(environment)
    read = load_params(params)
    chosen = encoder_agent(read, encoder) if encoder else (agent, find_agent(read, agent))
    algorithm = chosen[1].algorithm
    settings = trial_settings(
        read,
        environment=environment,
        agent=chosen,
        seed=seed,
        preset=preset,
        overrides=parse_overrides(overrides, algorithm),
    )
    given = {"encoder": encoder} if encoder and _is_path(encoder) else {}
    sources = find(algorithm).sources(settings, **given)
    expected = expected_key(word, settings) if word else None
    train_trial(
        settings,
        sources,
        Options(out, weights, expected, **options),
        lambda line: say(line, err=True),
        Stop(),
    )


def _is_path(encoder: str) -> bool:
    return encoder.endswith(".py") or "/" in encoder


@main.command()
@click.argument("result", type=PATH, default=Path("results/benchmark"))
@click.option("--iterations", type=click.IntRange(min=1), help="Re-create only the first so many.  [default: all]")
@click.option("--sample", type=click.IntRange(min=1), help="Draw so many results at random below RESULT.")
@click.option("--commit", "revision", help="Use this commit's code, in a temporary worktree.")
@DEVICE
@click.option("--certificate", type=PATH, help="Write the verdicts there as JSON.")
def verify(result, iterations, sample, revision, device, certificate) -> None:
    """Re-create the result in folder RESULT and say whether it holds (exit 0) or not (exit 1)."""
    if revision:
        from oyster.reproduce.worktree import run_in_worktree

        arguments = ["verify", str(result.resolve()), "--device", device]
        for option, value in (("--iterations", iterations), ("--sample", sample)):
            arguments += [option, str(value)] if value else []
        arguments += ["--certificate", str(certificate.resolve())] if certificate else []
        sys.exit(run_in_worktree(revision, arguments))
    from oyster.reproduce.verify import find_results, verify_each

    folders = find_results(result, sample)
    sys.exit(verify_each(folders, certificate, say, iterations=iterations, device=device))


@main.command()
@click.argument("grid", default="benchmark", shell_complete=names_of("grids"))
@click.option("--all", "every", is_flag=True, help="Name the trials that are up to date too.")
@click.option("--keys", type=PATH, help="Only write every trial's key there, as JSON, for DVC.")
@PARAMS
def status(grid, every, keys, params) -> None:
    """What GRID still needs, and why; while it runs too, from another terminal."""
    from oyster.grid import load_params
    from oyster.status import UP_TO_DATE, states, summary, write_keys

    read = load_params(params)
    if keys:
        write_keys(read, grid, keys)
        return
    found = states(read, grid)
    for each in found:
        if every or each.word != UP_TO_DATE or each.why:
            why = f"  {each.why}" if each.why else ""
            say(f"{each.word:13}  {each.keyed.trial.place}{why}")
    for line in summary(found):
        say(line)


@main.command()
@click.argument("grid", default="benchmark", shell_complete=names_of("grids"))
@click.option("--since", metavar="COMMIT", help="For results older than keys: a commit that had them up to date.")
@PARAMS
def keep(grid, since, params) -> None:
    """After an edit that changed no behaviour: give GRID's results the key that the tree asks for now."""
    from oyster.grid import load_params
    from oyster.reproduce.keep import keep as keep_results
    from oyster.status import NO_KEY, STALE, states

    stale = [each.keyed for each in states(load_params(params), grid) if each.word in (STALE, NO_KEY)]
    outcome = keep_results(stale, since, lambda line: say(line, err=True))
    for folder in outcome.kept:
        say(f"kept  {folder}")
    for folder, why in outcome.left.items():
        say(f"left  {folder}: {why}")
    say(f"{len(outcome.kept)} results carry the present key now, {len(outcome.left)} were left.")
    sys.exit(1 if outcome.left else 0)


@main.command()
def record() -> None:
    """Enter the benchmark's results that carry their key, and no others, into dvc.lock."""
    from oyster.reproduce.record import record as record_results

    outcome = record_results()
    for stage, why in outcome.left.items():
        say(f"not recorded  {stage}: {why}")
    say(f"dvc.lock: {len(outcome.stages)} stages recorded, {len(outcome.left)} not.")


@main.command()
@click.argument("grid", default="benchmark", shell_complete=names_of("grids"))
@click.option("--results", type=PATH, help="Where trials wrote.  [default: results/GRID]")
@click.option("--out", type=PATH, help="The report's folder.  [default: reports/GRID]")
@EXPECT_KEY
@click.option("--paper", type=PATH, metavar="DIR", help="Instead: files for a paper.")
@click.option("--compare", nargs=2, metavar="REV_A REV_B", help="Instead: a page of what moved between two commits.")
@PARAMS
def report(grid, results, out, word, paper, compare, params) -> None:
    """Write the page of GRID and its tables, whatever part of it has been run.

    With --paper every figure as SVG and PDF, every table as LaTeX and Markdown, into a folder DIR of their own.
    """
    from oyster.report import commands

    if compare and (results or word or paper):
        raise InputError("--compare reads results from git: it goes with GRID and --out alone.")
    if paper and (out or word):
        raise InputError("--paper writes no report: it goes with GRID, --results and --params alone.")
    if compare:
        lines = commands.side_by_side(grid, compare, out)
    elif paper:
        lines = commands.paper(grid, results, paper, params)
    else:
        lines = commands.build(grid, results, out, word, params)
    for line in lines:
        say(line)


@main.command()
@click.argument("agent", type=PATH)
@click.option("--tasks", help="Test tasks by number, e.g. 0,3,7.  [default: all]")
@click.option("--out", type=PATH, help="Folder to write.  [default: simulations/… as AGENT]")
@click.option("--video", is_flag=True, help="A GIF per task too, rendered without a screen.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw anew.  [default: as the recorded meta-test drew]")
@click.option("--weights", type=PATH, help="The file weights.safetensors, where it lies elsewhere.")
@click.option("--encoder", type=NAME_OR_PATH, help="The encoder's name or file.  [default: the recorded name]")
@click.option(
    "--env", "environment", type=NAME_OR_PATH, help="The task family's file, where it is none of oyster/envs."
)
@DEVICE
def simulate(agent, tasks, out, video, seed, weights, encoder, environment, device) -> None:
    """See AGENT move on chosen test tasks: tables, a plot and pictures.

    AGENT is a result's folder, or a file of agents/, as agents/cheetah-vel.safetensors.
    """
    from oyster.simulate.video import choose_backend

    if video:
        choose_backend()
    from oyster.envs import family_name
    from oyster.simulate.rollouts import choose_tasks, default_folder, write_simulation
    from oyster.simulate.rollouts import simulate as roll_out

    if environment:
        family_name(environment)
    simulation = roll_out(
        agent, weights=weights, encoder=encoder, seed=seed, device=device, video=video,
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


@main.command()
@click.argument("target", type=NAME_OR_PATH)
@click.option(
    "--env",
    "environment",
    type=NAME_OR_PATH,
    help="An encoder at this environment's sizes only.  [default: those of the grid with the preset's name]",
)
@click.option("--preset", "--budget", default="benchmark", show_default=True, help="For an encoder's sizes.")
@PARAMS
@click.pass_context
def check(context, target, environment, preset, params) -> None:
    """Say whether TARGET, an encoder or a task family, keeps its contract, and how to fix what does not (exit 1).

    Exit 4: the family needs something beside the engine that is not installed here.
    """
    from oyster.check.finding import print_findings
    from oyster.envs import find_family

    family = find_family(target)
    if family is not None:
        from oyster.check.family import check_family

        findings, title = check_family(family), f"{family.__name__}, a task family"
    else:
        from oyster.algorithms.pearl.settings import find_encoder_file
        from oyster.check.encoder import check_encoder
        from oyster.envs import family_name
        from oyster.grid import load_params, standard_params

        file = find_encoder_file(target)
        inside = find_project(context.obj) is not None
        read = load_params(params) if inside or params != PARAMS_FILE else standard_params(preset)
        environment = family_name(environment) if environment else None
        findings = check_encoder(file, read, environment=environment, preset=preset)
        title = f"{file.name} at the sizes of the {preset} preset"
    print_findings(findings, title)
    sys.exit(1 if any(finding.verdict == "fail" for finding in findings) else 0)
