"""ml1-push: an object is pushed to a place on the table that is not seen."""

from oyster.envs.metaworld.ml1 import Ml1


class Ml1Push(Ml1):
    _environment = "push-v3"
    _goal_heights = (0.01, 0.02)  # the goal lies where the object rests; its z in a task is not used
