"""What lets an agent of sparse-point-robot miss its goals: that it does not meet them, or that it cannot use them?

`python benchmarks/sparse_goals.py results/benchmark/sparse-point-robot/ENCODER/SEED …` lets each result's agent walk
PRIOR_WALKS times with z from the prior, to see which goals such walks meet; then shows it, for every task, a context in
which the goal is met (its own exploring trajectories, then one that walks straight there and stays), and lets it act on
that. It records the outcome in benchmarks/sparse_goals.csv and prints the table of docs/reproduction.md. It needs the
weights (`dvc pull`, or training).
"""

import os
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.encoder_file import find_encoder_file
from oyster.pearl.meta_test import context_features
from oyster.pearl.rollout import Trajectories, rollout
from oyster.saved_agent import load_trial
from oyster.simulate import find_weights, read_result
from oyster.trial import Trial

RESULTS = Path(__file__).with_suffix(".csv")
PRIOR_WALKS = 1000
MET = 0.01  # a goal counts as met by exploring where at least this share of the prior's walks meets it
COLUMNS = ["encoder", "seed", "met", "reached_met", "reached_unmet", "five_walks"]


def walk(trial: Trial, tasks: np.ndarray, posterior, rng: np.random.Generator) -> Trajectories:
    """A trajectory a task as the meta-test runs it: z from `posterior`, the deterministic policy."""
    agent, family = trial.training.agent, trial.family(len(tasks))
    z = agent.draw_latent(posterior, rng)
    return rollout(family, tasks, agent, z, trial.settings.max_path_length, resets=rng, actions=None)


def goals_met(trial: Trial, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The share of PRIOR_WALKS walks with z from the prior that meet each task's goal, (task,)."""
    positions = walk(trial, tasks[[0] * PRIOR_WALKS], trial.training.agent.prior(PRIOR_WALKS), rng).next_observation
    radius = sys.modules[trial.family(1).__module__].GOAL_RADIUS
    return np.array([(np.linalg.norm(positions - goal, axis=-1) <= radius).any(axis=1).mean() for goal in tasks])


def told(trial: Trial, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whether the agent reaches each task's goal once its context holds it, (task,) bool."""
    s, agent = trial.settings, trial.training.agent
    contexts = [[] for _ in tasks]
    for _ in range(s.num_exp_traj_eval - 1):
        explored = walk(trial, tasks, agent.prior(len(tasks)), rng)
        for row, context in enumerate(contexts):
            context.append(context_features(explored, row, s))
    family = trial.family(len(tasks))
    observation = family.reset(tasks, rng)
    for _ in range(s.max_path_length):
        action = family.informed_action().astype(np.float32)
        step = family.step(action)
        seen = np.concatenate([observation, action, step.sparse_reward[:, None]], axis=1)
        for row, context in enumerate(contexts):
            context.append(seen[row : row + 1])
        observation = step.observation
    whole = torch.from_numpy(np.stack([np.concatenate(context) for context in contexts]))
    with torch.no_grad():
        posterior = agent.infer(whole)
    return walk(trial, tasks, posterior, rng).returns(sparse=True) > 0


def measure(result: Path) -> dict:
    settings, _ = read_result(result)
    trial = load_trial(settings, find_encoder_file(settings.encoder), find_weights(result), "cpu")
    trial.training.agent.eval()
    rng = np.random.default_rng(0)
    tasks = np.concatenate([trial.train_tasks, trial.test_tasks])
    share, reached = goals_met(trial, tasks, rng), told(trial, tasks, rng)
    met = share >= MET
    row = {"encoder": settings.encoder, "seed": settings.seed, "met": int(met.sum())}
    row |= {"reached_met": int(reached[met].sum()), "reached_unmet": int(reached[~met].sum())}
    return row | {"five_walks": round(float((1 - (1 - share) ** settings.num_exp_traj_eval).mean()), 3)}


def recorded() -> pd.DataFrame:
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)


def record(row: dict) -> None:
    """Put a row into RESULTS, in place of the one of the same agent."""
    rows = pd.concat([recorded(), pd.DataFrame([row])]).drop_duplicates(["encoder", "seed"], keep="last")
    partial = RESULTS.with_name(f"{RESULTS.name}.partial")
    rows.sort_values(["encoder", "seed"]).to_csv(partial, index=False)
    os.replace(partial, RESULTS)


def summary() -> str:
    """In Markdown, an agent a row."""
    heads = ["encoder", "seed", "goals of 50 that exploring meets", "… reached when told", "others reached when told"]
    lines = [[*heads, "chance to meet a goal in five explorations"], ["---"] * 6]
    for row in recorded().itertuples(index=False):
        parts = [f"{row.reached_met} of {row.met}", f"{row.reached_unmet} of {50 - row.met}", f"{row.five_walks:.0%}"]
        lines.append([row.encoder, str(row.seed), str(row.met), *parts])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@click.command()
@click.argument("results", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(results: tuple[Path, ...]) -> None:
    """Measure RESULTS, record the outcome and print all that is recorded."""
    torch.set_num_threads(1)
    for result in results:
        record(measure(result))
    print(summary(), end="")


if __name__ == "__main__":
    main()
