"""ant-dir-non-stat: ant-dir, its direction turned round now and then within an episode."""

import numpy as np

from oyster.envs.ant_dir import AntDir
from oyster.envs.moving_target import MovingTarget


class AntDirNonStat(MovingTarget, AntDir):
    parameter_names = ("first_angle",)
    trace_columns = ("x", "y", "target_angle")

    @staticmethod
    def _other(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.pi - target
