"""`Mlp.forward` with its gradient, by hand: what autograd does in thirty small operations, in a dozen large ones.

The same function as the plain `Mlp.forward`; what differs is
- bias and ReLU are part of the matrix product (oneDNN), which on many CPUs also runs float32 faster than the BLAS that
  `F.linear` calls;
- a frozen network costs no weight gradients, and an input that needs no gradient costs none;
- in bfloat16 the hidden activations and their gradients are bfloat16, the weights being rounded from their float32
  masters; the output layer and all sums stay float32.
"""

import torch
import torch.nn.functional as F

from oyster.rl.networks import Mlp
from oyster.runtime.device import multiplies_bfloat16


def fused_mlp(
    network: Mlp, *inputs: torch.Tensor, frozen: bool = False, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """`network`'s output layer(s) on its inputs concatenated, (row, output).

    `frozen`: the gradient passes through to the inputs and none reaches the weights. `dtype`: of the hidden
    activations; default that of the weights.
    """
    parameters = _parameters(network)
    if frozen:
        parameters = [parameter.detach() for parameter in parameters]
    return _FusedMlp.apply(torch.cat(inputs, dim=-1), dtype or parameters[0].dtype, *parameters)


class FrozenMlp:
    """The forward pass alone, on the CPU, with the weights as they are now: what a rollout asks for at every step."""

    def __init__(self, network: Mlp):
        *self.hidden, self.output_weight, self.output_bias = (p.detach().cpu() for p in _parameters(network))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(row, input) → (row, output)"""
        for weight, bias in zip(self.hidden[::2], self.hidden[1::2], strict=True):
            x = F.linear(x, weight, bias).relu_()  # for a few rows BLAS is the faster one
        return F.linear(x, self.output_weight, self.output_bias)


class _FusedMlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dtype, *parameters):
        *hidden, w_out, b_out = parameters
        weights, biases = [w.to(dtype) for w in hidden[::2]], [b.to(dtype) for b in hidden[1::2]]
        outputs = [x.to(dtype)]  # of each layer, the input first
        for weight, bias in zip(weights, biases, strict=True):
            outputs.append(linear(outputs[-1], weight, bias, relu=True))
        ctx.save_for_backward(*outputs, *weights, w_out)
        ctx.depth = len(weights)
        return F.linear(outputs[-1].to(w_out.dtype), w_out, b_out)

    @staticmethod
    def backward(ctx, gradient):
        outputs, (*weights, w_out) = ctx.saved_tensors[: ctx.depth + 1], ctx.saved_tensors[ctx.depth + 1 :]
        for_input, _, for_weights = ctx.needs_input_grad[:3]
        weight_gradients = []  # last layer first: bias, weight, bias, weight, …
        if for_weights:
            weight_gradients += [gradient.sum(0), outer_sum(gradient, outputs[-1].to(gradient.dtype))]
        gradient = (gradient @ w_out).to(outputs[-1].dtype)
        for number in reversed(range(ctx.depth)):
            layer_input, output = outputs[number], outputs[number + 1]
            torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)  # through the ReLU
            if for_weights:
                weight_gradients += [gradient.sum(0).to(w_out.dtype), outer_sum(gradient, layer_input).to(w_out.dtype)]
            if number or for_input:
                gradient = linear(gradient, weights[number].t())
        weight_gradients = weight_gradients[::-1] if for_weights else [None] * (2 * ctx.depth + 2)
        return (gradient.to(w_out.dtype) if for_input else None, None, *weight_gradients)


def _parameters(network: Mlp) -> list[torch.Tensor]:
    """Weight and bias of each hidden layer, then of the output layer(s)."""
    layers = network.hidden_layers()
    return [*(p for layer in layers for p in (layer.weight, layer.bias)), *network.output_parameters()]


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, relu: bool = False) -> torch.Tensor:
    """relu(x · weightᵀ + bias), fused where oneDNN can."""
    if x.device.type == "cpu" and x.dtype in _ONEDNN_DTYPES:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "relu" if relu else "none", [], "")
    output = F.linear(x, weight, bias)
    return output.relu_() if relu else output


def outer_sum(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """gradientᵀ · x, summed over rows."""
    return linear(gradient.t(), x.t()) if x.dtype == torch.float32 else gradient.t() @ x


def _onednn_dtypes() -> set[torch.dtype]:
    """What oneDNN multiplies on this CPU: float32, and bfloat16 where there are instructions for it."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return set()
    return {torch.float32, torch.bfloat16} if multiplies_bfloat16(torch.device("cpu")) else {torch.float32}


_ONEDNN_DTYPES = _onednn_dtypes()
