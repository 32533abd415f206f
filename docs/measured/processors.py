"""The benchmark's trials on two kinds of processor, and what that does to the verdicts: prints what the pages quote.

processors.csv has thirteen trials of the first kind, an AMD EPYC, that were trained on an Intel Xeon too. The table of
today has the latter; as it was first complete, at commit 667bb31, it had nine of them. Run it from the project's root:

    python docs/measured/processors.py
"""

import json
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from oyster.report.statistics import intervals
from oyster.report.statistics.words import interval, number

RESULTS = Path("results/benchmark")
ENVIRONMENTS = ("cheetah-vel", "sparse-point-robot", "point-robot")
AGENTS, SEEDS = ("mlp", "recurrent", "attention"), (42, 123, 456)
LAST, LAST_FIVE = "meta_test_return", "meta_test_return_last5"
AT_FIRST = "a44c96eec3aa07361c9f1eb9be27e8a34894bdd1"  # commit of the nine
STILL = {("point-robot", "recurrent", 42), ("point-robot", "attention", 42)}  # of the first kind today

Trials = dict[tuple[str, str, int], float]


def metrics(environment: str, agent: str, seed: int) -> dict:
    return json.loads((RESULTS / environment / agent / str(seed) / "metrics.json").read_text())


def by_pair(estimates: dict[str, intervals.Estimate]) -> dict[str, intervals.Difference]:
    """The difference by `first minus second`."""
    pairs = combinations(AGENTS, 2)
    return {f"{a} minus {b}": intervals.difference(estimates[a], estimates[b]) for a, b in pairs}


def of_environment(trials: Trials, environment: str) -> dict[str, intervals.Difference]:
    def values(agent: str) -> list[float]:
        return [trials[environment, agent, seed] for seed in SEEDS if (environment, agent, seed) in trials]

    return by_pair({agent: intervals.mean_estimate(values(agent)) for agent in AGENTS})


def over_all(trials: Trials) -> dict[str, intervals.Difference]:
    """As the report compares agents over all environments."""
    estimates = {}
    for stream, agent in enumerate(AGENTS):
        strata = []
        for environment in ENVIRONMENTS:
            scripted = metrics(environment, "mlp", 42)["scripted_returns"]
            idle, oracle = (np.mean(scripted[name]) for name in ("doing_nothing", "task_known"))
            values = [trials[environment, agent, seed] for seed in SEEDS if (environment, agent, seed) in trials]
            strata.append(intervals.normalise(values, idle, oracle))
        estimates[agent] = intervals.stratified_estimate(strata, seed=stream)
    return by_pair(estimates)


def told(found: dict[str, intervals.Difference]) -> str:
    """Each with its interval, its p, and its p by Holm over those that are given."""
    corrected = intervals.holm([each.p for each in found.values()])
    return "; ".join(
        f"{pair} {number(each.value)} ({interval(each.low, each.high)}), p = {each.p:.2g}, {p:.2g} by Holm"
        for (pair, each), p in zip(found.items(), corrected, strict=True)
    )


def lines() -> list[str]:
    places = list(product(ENVIRONMENTS, AGENTS, SEEDS))
    now: dict[str, Trials] = {name: {place: metrics(*place)[name] for place in places} for name in (LAST, LAST_FIVE)}
    first = pd.read_csv(Path(__file__).with_suffix(".csv"))

    def then(chosen: pd.DataFrame, name: str) -> Trials:
        keys = zip(chosen.environment, chosen.encoder, chosen.seed, strict=True)
        return dict(zip(keys, chosen[name], strict=True))

    nine = first[first.commit == AT_FIRST]
    states: dict[str, Callable[[str], Trials]] = {
        "today": lambda name: now[name],
        "first complete": lambda name: now[name] | then(nine, name),
        "without the two of the first kind": lambda name: {k: v for k, v in now[name].items() if k not in STILL},
    }
    found = ["| environment | encoder | pairs | AMD EPYC | Intel Xeon | AMD EPYC, last five | Intel Xeon, last five |"]
    found.append("| --- | --- | --- | --- | --- | --- | --- |")
    for (environment, agent), rows in first.groupby(["environment", "encoder"]):
        cells = []
        for name in (LAST, LAST_FIVE):
            again = [now[name][environment, agent, seed] for seed in rows.seed]
            cells += [number(rows[name].mean()), number(float(np.mean(again)))]
        found.append(f"| {environment} | {agent} | {len(rows)} | {' | '.join(cells)} |")
    higher = sum(now[LAST][place] > value for place, value in then(first, LAST).items())
    found += ["", f"The second kind ends higher in {higher} of {len(first)}."]
    for name, state in product((LAST, LAST_FIVE), states):
        trials = states[state](name)
        found += ["", f"{name}, {state}:"]
        pairs = {environment: of_environment(trials, environment) for environment in ENVIRONMENTS}
        found += [f"- {environment}: {told(each)}" for environment, each in pairs.items()]
        found.append(f"- all environments: {told(over_all(trials))}")
        nine_pairs = intervals.holm([each.p for of in pairs.values() for each in of.values()])
        found.append(f"- smallest p by Holm over all nine pairs: {nine_pairs.min():.2g}")
    one = now[LAST] | {k: v for k, v in then(nine, LAST).items() if k == ("cheetah-vel", "recurrent", 42)}
    found += ["", f"{LAST}, today with recurrent 42 on cheetah-vel of the first kind:"]
    found.append(f"- cheetah-vel: {told(of_environment(one, 'cheetah-vel'))}")
    return [*found, f"- all environments: {told(over_all(one))}"]


if __name__ == "__main__":
    print("\n".join(lines()))
