"""cheetah-dir-non-stat: cheetah-dir, its direction turned round now and then within an episode."""

import numpy as np

from oyster.envs.cheetah_dir import CheetahDir
from oyster.envs.moving_target import MovingTarget


class CheetahDirNonStat(MovingTarget, CheetahDir):
    parameter_names = ("first_direction",)
    trace_columns = ("forward_velocity", "target_direction")

    @staticmethod
    def _other(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return -target
