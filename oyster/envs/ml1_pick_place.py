"""ml1-pick-place: an object is grasped and lifted to a place in the air that is not seen."""

from oyster.envs.metaworld.ml1 import Ml1


class Ml1PickPlace(Ml1):
    _environment = "pick-place-v3"
