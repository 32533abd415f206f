"""ml1-reach: the hand goes to a place in the air that is not seen; the object does not matter."""

from oyster.envs.metaworld.ml1 import Ml1


class Ml1Reach(Ml1):
    _environment = "reach-v3"
