"""encoders/reward_pooling.py: what it reads from a context, what it learns beside its posterior, what it acts on."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.settings import ENCODERS
from oyster.check.encoder import check_encoder
from oyster.grid import load_params
from oyster.report.statistics import words as words_of
from oyster.status import STALE, UP_TO_DATE

FILE = ENCODERS / "reward_pooling.py"
LATENT, INPUT = 5, 5


def make(seed=0, **arguments):
    torch.manual_seed(seed)
    return load_encoder_class(FILE)([16, 16], INPUT, 2 * LATENT, **arguments)


def context(num_tasks=3, length=30, seed=0):
    return torch.randn(num_tasks, length, INPUT, generator=torch.Generator().manual_seed(seed))


def std(output):
    return F.softplus(output[..., LATENT:]).sqrt()


@pytest.mark.parametrize("environment", ["cheetah-vel", "sparse-point-robot"])
def test_the_kit_finds_nothing(environment):
    params = load_params(ENCODERS.parent / "params.yaml")
    found = check_encoder(FILE, params, environment=environment, preset="demo", num_steps=60, timing=False)
    assert {finding.verdict for finding in found} <= {"pass", "info"}, found
    assert len(FILE.read_text().splitlines()) < 120


def test_it_starts_as_wide_as_the_prior():
    spread = std(make().eval()(context()).detach())
    assert spread.min() > 0.7 and spread.max() < 1.3


def test_the_sharpest_mean_is_the_best_transition():
    """With scores of zero, the four means go from the plain one to the best transition alone."""
    encoder = make().eval()
    for parameter in encoder.score.parameters():
        parameter.data.zero_()
    means = []
    encoder.head.register_forward_pre_hook(lambda module, given: means.append(given[0].view(-1, 4, INPUT)))
    seen = context()
    encoder(seen)
    best = seen[torch.arange(len(seen)), seen[..., -1].argmax(dim=1)]
    torch.testing.assert_close(means[0][:, 0], seen.mean(dim=1))
    rewards = means[0][..., -1]
    assert (rewards.diff(dim=1) > 0).all()
    assert (rewards[:, 3] - best[:, -1]).abs().max() < 0.2


def some_of(rows, cut):
    return vars(load_encoder_class(FILE))["forward"].__globals__["_some_of"](rows, cut)


def test_in_train_mode_it_reads_rows_of_the_context_and_of_a_share_a_few_only():
    torch.manual_seed(0)
    rows = torch.arange(64.0).view(1, 64, 1).expand(4000, 64, 1)
    distinct = np.array([len(each.unique()) for each in some_of(rows, 0.5)])
    few = distinct[distinct < 30]  # all: 64 draws of 64 rows, some 40 distinct
    assert 0.25 < len(few) / len(distinct) < 0.45 and few.min() == 2
    assert min(len(each.unique()) for each in some_of(rows[:200], 0.0)) > 25


def test_a_cut_that_tells_nothing_is_not_made():
    """Of 64 transitions one is rewarded: the cuts without it leave the context whole."""
    torch.manual_seed(0)
    rows = torch.zeros(2000, 64, 2)
    rows[:, :, 0] = torch.arange(64.0)
    rows[:, 5, 1] = 1.0
    seen = some_of(rows, 1.0)
    told = seen[..., 1].amax(dim=1) > 0
    assert told.all()
    whole = torch.tensor([torch.equal(one, other) for one, other in zip(seen, rows, strict=True)])
    assert 0.2 < whole.float().mean() < 0.9


def test_the_mixtures_gradient_is_that_of_its_likelihood_and_touches_nothing_else():
    """Against PyTorch's own mixture distribution; a task with equal rewards counts for nothing."""
    encoder = make().eval()
    seen = context(num_tasks=4)
    seen[1, :, -1] = 0.5
    output = encoder(seen)
    mixture = [encoder.component_mean, encoder.component_logit, encoder.log_std]
    others = [value for name, value in encoder.named_parameters() if not any(value is each for each in mixture)]
    found = torch.autograd.grad(output.sum(), [*mixture, *others], retain_graph=True)
    plain = torch.autograd.grad(encoder._infer(seen).sum(), others)
    for one, other in zip(found[3:], plain, strict=True):
        torch.testing.assert_close(one, other)
    components = torch.distributions.Independent(
        torch.distributions.Normal(encoder.component_mean, encoder.log_std.exp().expand(32, -1)), 1
    )
    density = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=encoder.component_logit), components
    )
    z = output[[0, 2, 3], :LATENT].detach()
    expected = torch.autograd.grad(-density.log_prob(z).sum(), mixture)
    for one, other in zip(found[:3], expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_it_acts_on_the_posterior_once_rewards_differ_and_searches_before():
    encoder = make(far=0.0).eval()
    seen = context(num_tasks=200)
    seen[:100, :, -1] = -1.0  # no task told
    with torch.no_grad():
        belief = encoder.belief_to_act(seen)
        torch.testing.assert_close(belief[100:], encoder(seen)[100:])
        drawn = belief[:100, :LATENT]
        nearest = (
            torch.cdist(drawn, encoder.component_mean, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values
        )
        assert nearest.max() < 1e-6 and len(drawn.unique(dim=0)) > 20
        before = encoder.belief_to_act(seen[:, :0])
    assert before.shape == (200, 2 * LATENT) and torch.isfinite(before).all()
    torch.testing.assert_close(std(before), encoder.log_std.exp().detach().expand(200, -1))


def test_half_of_the_search_is_far_and_none_where_it_is_left_out():
    encoder = make(far=0.5).eval()
    with torch.no_grad():
        far = (std(encoder.belief_to_act(torch.zeros(2000, 0, INPUT))) - 3.0).abs().amax(dim=1) < 1e-3
    assert 0.45 < far.float().mean() < 0.55
    assert make(explores=False).belief_to_act is None


# --- the evidence -----------------------------------------------------------------------------------------------------


def test_the_evidence_is_welchs_test_by_holm_and_waits_for_every_trial(tmp_path, capsys):
    script = runpy.run_path(str(ENCODERS.parent / "docs" / "encoder_evidence.py"))
    main, names = script["main"], script["main"].__globals__
    words = {}  # of trials that are not up to date

    def states(_, grid):
        for file in sorted(Path("results", grid).glob("*/*/*/metrics.json")):
            environment, agent, seed = file.parts[-4:-1]
            trial = SimpleNamespace(settings=SimpleNamespace(environment=environment, agent=agent, seed=int(seed)))
            keyed = SimpleNamespace(trial=trial, folder=file.parent)
            yield SimpleNamespace(word=words.get(file.parent, UP_TO_DATE), why="why", keyed=keyed)

    names |= {"ROOT": tmp_path, "load_params": dict, "states": states, "print_goals": lambda sides: None}
    rng, p, drawn = np.random.default_rng(0), [], {}
    for environment, opponent in names["OPPONENTS"].items():
        for agent in (names["OURS"], opponent):
            drawn[environment, agent] = rng.normal(1.0 if agent == opponent else 2.5, 1.0, len(names["SEEDS"]))
            for seed, value in zip(names["SEEDS"], drawn[environment, agent], strict=True):
                file = tmp_path / f"results/evidence-{environment}/{environment}/{agent}/{seed}/metrics.json"
                file.parent.mkdir(parents=True)
                file.write_text(json.dumps({"meta_test_return": value, "meta_test_return_last5": value - 1}))
                made_by = {"hardware": {"cpu": "cpu", "cpu_family": "1/2" if seed == 2 else "3/4"}}
                file.with_name("provenance.json").write_text(json.dumps(made_by))
        p.append(stats.ttest_ind(*list(drawn.values())[-2:], equal_var=False).pvalue)
    assert main() == 0
    told = capsys.readouterr().out
    for place, value in enumerate(_holm(p)):
        assert f"p = {value:.2g}" in told, (place, told)
    assert (
        "| point-robot | recurrent | "
        + " | ".join(
            f"{words_of.number(value)} {'a' if seed == 2 else 'b'}"
            for seed, value in zip(names["SEEDS"], drawn["point-robot", "recurrent"], strict=True)
        )
        in told
        and "a: cpu, family 1/2; b: cpu, family 3/4." in told
    )
    file.write_text(json.dumps({"meta_test_return": None, "meta_test_return_last5": None}))
    assert main() == 0
    told = capsys.readouterr().out
    assert "point-robot: a trial failed (nan), so nothing is shown there." in told
    for value in _holm([*p[:2], 1.0])[:2]:
        assert f"p = {value:.2g}" in told
    words[file.relative_to(tmp_path).parent] = STALE
    assert main() == 1
    assert "is stale (why)" in (told := capsys.readouterr().out) and "1 of 30 trials are missing" in told
    file.unlink()
    assert main() == 1
    assert "1 of 30 trials are missing" in capsys.readouterr().out


def _holm(p):
    """Step down, plainly."""
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = highest
    return adjusted
