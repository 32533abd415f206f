"""PEARL's gradient step written the obvious way: the twin of oyster/algorithms/pearl/gradient_step.py.

Five optimisers, a loop over tasks, the KL term and the critics' loss in separate backward passes, plain modules and
nothing fused. It computes the same numbers (tests/golden holds both to the same arrays); what it lacks is what the fast
step explains.
"""

import torch
from torch.distributions import Normal, kl_divergence

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.gradient_step import Batch, Losses, StepResult
from oyster.algorithms.pearl.posterior import MIN_VARIANCE, Posterior


class PlainStep:
    def __init__(self, agent: Agent, *, learning_rate, discount, reward_scale, kl_lambda, soft_target_tau):
        self.agent = agent
        self.discount, self.reward_scale = discount, reward_scale
        self.kl_lambda, self.soft_target_tau = kl_lambda, soft_target_tau
        self.encoder_optimizer, self.qf1_optimizer, self.qf2_optimizer, self.vf_optimizer, self.policy_optimizer = (
            torch.optim.Adam(network.parameters(), lr=learning_rate, foreach=False)
            for network in (agent.context_encoder, agent.qf1, agent.qf2, agent.vf, agent.policy)
        )

    def __call__(self, batch: Batch) -> StepResult:
        agent = self.agent

        # Encode the context, then fuse one task's transitions after the other.
        output = agent.context_encoder(batch.context).view(len(batch.context), -1, 2 * agent.latent_dim)
        means, variances = [], []
        for task_output in output:
            mean, raw_variance = task_output.chunk(2, dim=-1)
            variance = torch.clamp(torch.nn.functional.softplus(raw_variance), min=MIN_VARIANCE)
            fused = 1.0 / torch.sum(1.0 / variance, dim=0)
            variances.append(fused)
            means.append(fused * torch.sum(mean / variance, dim=0))
        posterior = [Normal(mean, torch.sqrt(variance)) for mean, variance in zip(means, variances, strict=True)]
        z = torch.stack([q.mean + q.stddev * noise for q, noise in zip(posterior, batch.z_noise, strict=True)])

        # Flatten (task, transition) into rows, each with its task's z.
        num_tasks, num_transitions = batch.observation.shape[:2]
        rows = num_tasks * num_transitions
        observation, next_observation = batch.observation.view(rows, -1), batch.next_observation.view(rows, -1)
        action, reward, terminal = (
            batch.action.view(rows, -1),
            batch.reward.view(rows, -1),
            batch.terminal.view(rows, -1),
        )
        task_z = torch.cat([one.repeat(num_transitions, 1) for one in z])

        # Forward through everything.
        mean, log_std = agent.policy(observation, task_z.detach())
        std = log_std.exp()
        pre_tanh = mean + std * batch.action_noise.view(rows, -1)
        new_action = torch.tanh(pre_tanh)
        log_prob = Normal(mean, std).log_prob(pre_tanh) - torch.log(1 - new_action * new_action + 1e-6)
        log_prob = log_prob.sum(dim=1, keepdim=True)
        q1, q2 = agent.qf1(observation, action, task_z), agent.qf2(observation, action, task_z)
        v = agent.vf(observation, task_z.detach())
        with torch.no_grad():
            next_v = agent.target_vf(next_observation, task_z)

        # KL and critics, one backward pass each: both reach the encoder.
        self.encoder_optimizer.zero_grad()
        prior = Normal(torch.zeros_like(means[0]), torch.ones_like(means[0]))
        kl = sum(kl_divergence(q, prior).sum() for q in posterior)
        (self.kl_lambda * kl).backward(retain_graph=True)
        self.qf1_optimizer.zero_grad()
        self.qf2_optimizer.zero_grad()
        target = self.reward_scale * reward + (1.0 - terminal) * self.discount * next_v
        qf_loss = torch.mean((q1 - target) ** 2) + torch.mean((q2 - target) ** 2)
        qf_loss.backward()
        self.qf1_optimizer.step()
        self.qf2_optimizer.step()
        self.encoder_optimizer.step()

        # Value function, against the updated critics.
        q1_new = agent.qf1(observation, new_action, task_z.detach())
        q2_new = agent.qf2(observation, new_action, task_z.detach())
        min_q = torch.min(q1_new, q2_new)
        vf_loss = torch.mean((v - (min_q - log_prob).detach()) ** 2)
        self.vf_optimizer.zero_grad()
        vf_loss.backward()
        self.vf_optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(agent.target_vf.parameters(), agent.vf.parameters(), strict=True):
                slow.copy_((1 - self.soft_target_tau) * slow + self.soft_target_tau * fast)

        # Policy; the critics' weight gradients that this computes are thrown away.
        policy_loss = torch.mean(log_prob - min_q) + 1e-3 * (mean**2).mean() + 1e-3 * (log_std**2).mean()
        self.policy_optimizer.zero_grad()
        policy_loss.backward()
        self.policy_optimizer.step()

        losses = Losses(qf_loss.detach(), vf_loss.detach(), policy_loss.detach(), kl.detach())
        return StepResult(losses, Posterior(torch.stack(means).detach(), torch.stack(variances).detach()), z.detach())
