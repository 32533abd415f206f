"""The names that encoder files import, and that they do what rlkit's did."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

import rlkit
import rlkit.torch.pytorch_util as ptu
from rlkit.torch.core import PyTorchModule
from rlkit.torch.modules import LayerNorm
from rlkit.torch.networks import FlattenMlp, Mlp, MlpEncoder, RecurrentEncoder, identity


def test_rlkit_is_one_module_object():
    import oyster  # noqa: F401

    assert sys.modules["rlkit"] is rlkit
    assert not [name for name in sys.modules if name.startswith("oyster.rlkit")]
    assert ptu is sys.modules["rlkit.torch.pytorch_util"] is rlkit.torch.pytorch_util


def test_conversions_and_device():
    assert ptu.device == torch.device("cpu") and ptu.gpu_enabled() is False
    tensor = ptu.from_numpy(np.arange(3))
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(ptu.get_numpy(tensor.requires_grad_()), [0, 1, 2])
    assert ptu.zeros(2, 3).sum() == 0 and ptu.ones(2, 3).sum() == 6 and ptu.zeros(4).device == ptu.device
    assert ptu.zeros(2, device=torch.device("cpu")).shape == ptu.ones(2, device=torch.device("cpu")).shape == (2,)


def test_fanin_init_takes_out_features_of_a_linear_weight():
    for shape, bound in (((100, 4), 0.1), ((7, 10, 10), 0.1)):
        tensor = ptu.fanin_init(torch.empty(shape))
        assert 0.09 < tensor.abs().max() <= bound
    with pytest.raises(ValueError, match="two or more dimensions"):
        ptu.fanin_init(torch.empty(3))


def test_soft_update():
    source, target = nn.Linear(2, 1), nn.Linear(2, 1)
    expected = 0.9 * target.weight + 0.1 * source.weight
    ptu.soft_update_from_to(source, target, 0.1)
    torch.testing.assert_close(target.weight, expected)
    ptu.copy_model_params_from_to(source, target)
    torch.testing.assert_close(target.weight, source.weight)


def test_mlp():
    mlp = Mlp(hidden_sizes=[16, 8], output_size=3, input_size=5)
    names = [name for name, _ in mlp.named_children()]
    assert names == ["fc0", "fc1", "last_fc"]
    assert (mlp.fc0.bias == 0.1).all() and mlp.last_fc.weight.abs().max() <= 3e-3
    x = torch.randn(4, 5)
    expected = mlp.last_fc(torch.relu(mlp.fc1(torch.relu(mlp.fc0(x)))))
    torch.testing.assert_close(mlp(x), expected)
    output, preactivation = Mlp([4], 2, 5, output_activation=torch.tanh)(x, return_preactivations=True)
    torch.testing.assert_close(output, preactivation.tanh())
    torch.testing.assert_close(FlattenMlp([4], 2, 5)(x[:, :2], x[:, 2:]).shape, torch.Size([4, 2]))
    assert identity(x) is x
    normed = Mlp([16, 8], 3, 5, layer_norm=True)  # rlkit leaves the last hidden layer's out
    hidden = torch.relu(normed.layer_norm0(normed.fc0(x)))
    torch.testing.assert_close(normed(x), normed.last_fc(torch.relu(normed.fc1(hidden))))


def test_layer_norm():
    x = torch.randn(4, 6)
    expected = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(LayerNorm(6)(x), expected)
    assert [name for name, _ in LayerNorm(6, scale=True).named_parameters()] == ["center_param", "scale_param"]


def test_reference_encoders():
    mlp = MlpEncoder(hidden_sizes=[8], input_size=5, output_size=4)
    mlp.reset(num_tasks=3)
    assert mlp(torch.randn(3, 7, 5)).shape == (3, 7, 4)
    recurrent = RecurrentEncoder(hidden_sizes=[8, 8], input_size=5, output_size=4)
    context = torch.randn(3, 7, 5)
    assert recurrent.IS_RECURRENT and recurrent(context).shape == (3, 4)
    torch.testing.assert_close(recurrent(context), recurrent(context))


class Mine(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, scale=1.0, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size, self.scale = output_size, scale
        self.layer = nn.Linear(input_size, output_size)


class Wider(Mlp):
    def __init__(self, hidden_sizes, input_size, output_size, wider=1, **kwargs):
        self.save_init_params(locals())
        super().__init__(hidden_sizes=hidden_sizes, input_size=input_size + wider, output_size=output_size)


@pytest.mark.parametrize(
    "module",
    [
        Mine([4], 3, 2, scale=2.0, extra=1),
        Wider([4], 3, 2, wider=2),
        MlpEncoder(hidden_sizes=[4], input_size=3, output_size=2),
        RecurrentEncoder(hidden_sizes=[4], input_size=3, output_size=2),
    ],
)
def test_copy_is_made_from_the_saved_arguments(module):
    twin = module.copy()
    assert twin is not module and type(twin) is type(module)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name], value)
    values = module.get_param_values_np()
    twin.set_param_values_np({name: value + 1 for name, value in values.items()})
    assert all((twin.get_param_values()[name] != module.get_param_values()[name]).any() for name in values)
