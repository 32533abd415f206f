"""`PyTorchModule`: what every encoder extends."""

import abc

import numpy as np
from torch import nn

from rlkit.torch import pytorch_util as ptu


class PyTorchModule(nn.Module, abc.ABC):
    """A torch module that remembers how it was constructed.

    A subclass calls `self.save_init_params(locals())` as the first statement of `__init__`, before `super().__init__()`
    or after it, and can then be copied with `copy()`.
    """

    def save_init_params(self, locals_: dict) -> None:
        """Remember the constructor's arguments, given as its `locals()`."""
        arguments = {name: _plain_copy(value) for name, value in locals_.items() if name not in ("self", "__class__")}
        # Stored past nn.Module.__setattr__: it may be called before nn.Module.__init__, and arguments may be modules.
        # A base class's constructor calls it again: the outermost constructor's arguments are the ones to keep.
        self.__dict__.setdefault("_init_params", arguments)

    def copy(self):
        """A new instance from the same arguments, with the same parameters."""
        arguments = {name: _plain_copy(value) for name, value in self.__dict__["_init_params"].items()}
        arguments |= arguments.pop("kwargs", {})
        twin = type(self)(*arguments.pop("args", ()), **arguments)
        twin.load_state_dict(self.state_dict())
        return twin

    def get_param_values(self):
        return self.state_dict()

    def set_param_values(self, param_values) -> None:
        self.load_state_dict(param_values)

    def get_param_values_np(self) -> dict[str, np.ndarray]:
        return {name: ptu.get_numpy(value) for name, value in self.state_dict().items()}

    def set_param_values_np(self, param_values: dict[str, np.ndarray]) -> None:
        self.load_state_dict({name: ptu.from_numpy(value) for name, value in param_values.items()})

    def regularizable_parameters(self):
        """The weights, without the biases."""
        return (parameter for name, parameter in self.named_parameters() if "bias" not in name)

    def eval_np(self, *args):
        """Call the module on NumPy arrays (or anything else, passed as it is) and return NumPy."""
        output = self(*(ptu.from_numpy(arg) if isinstance(arg, np.ndarray) else arg for arg in args))
        return tuple(map(ptu.get_numpy, output)) if isinstance(output, tuple) else ptu.get_numpy(output)


def _plain_copy(value):
    """Lists and mappings copied, as a constructor may change what it was given; modules and tensors as they are."""
    if type(value) is dict:
        return {key: _plain_copy(part) for key, part in value.items()}
    return [_plain_copy(part) for part in value] if type(value) is list else value
