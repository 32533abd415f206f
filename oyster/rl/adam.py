"""Adam (Kingma and Ba 2015), its arithmetic by Torch's own kernel.

torch.optim.Adam gives the same numbers to the last bit, but the first step of any torch.optim optimiser loads the
machinery of torch.compile, which takes as long as loading Torch itself.
"""

from collections.abc import Sequence

import torch
from torch.optim.adam import adam

BETAS = 0.9, 0.999
EPSILON = 1e-8


class Adam:
    """`state` holds, by a parameter's place, its `step`, `exp_avg` and `exp_avg_sq`, once it has had a gradient."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], learning_rate: float):
        self.parameters, self.learning_rate = list(parameters), learning_rate
        self.state: dict[int, dict[str, torch.Tensor]] = {}

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor | None]) -> None:
        """Update every parameter that has a gradient."""
        moved = [place for place, gradient in enumerate(gradients) if gradient is not None]
        states = [self._state(place) for place in moved]
        adam(
            [self.parameters[place] for place in moved],
            [gradients[place] for place in moved],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )

    def state_dict(self) -> dict[str, dict[str, torch.Tensor]]:
        return {str(place): state for place, state in self.state.items()}

    def load_state_dict(self, state: dict[str, dict[str, torch.Tensor]]) -> None:
        for place, saved in state.items():
            own = self._state(int(place))
            for name, value in saved.items():
                own[name].copy_(value)

    def _state(self, place: int) -> dict[str, torch.Tensor]:
        if place not in self.state:
            parameter = self.parameters[place]
            self.state[place] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        return self.state[place]
