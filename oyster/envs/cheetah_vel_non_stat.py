"""cheetah-vel-non-stat: cheetah-vel, its target velocity drawn anew now and then within an episode."""

import numpy as np

from oyster.envs.cheetah_vel import CheetahVel
from oyster.envs.moving_target import MovingTarget


class CheetahVelNonStat(MovingTarget, CheetahVel):
    parameter_names = ("first_velocity",)
    trace_columns = ("forward_velocity", "target_velocity")

    @staticmethod
    def _other(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(0.0, 3.0, size=len(target))
