"""Weights and optimiser that several processes share: cut into parts (FSDP2), gathered whole for a file.

Fully sharded data parallel, Zhao et al. 2023, arXiv:2304.11277, in the form of `torch.distributed.fsdp.fully_shard`.
Every process must take part in all that is done here, and in every pass through a network that is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from trueup.train.profiles import is_main


def sharded(network: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """The network on its devices, each layer cut over them, read in `dtype`; gradients are added up, not averaged."""
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    for part in (*_layers(network), network):
        fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)
        if hasattr(part, "set_reduce_scatter_unused_params"):  # torch 2.13; for experts that nobody's text has reached
            part.set_reduce_scatter_unused_params(True)
    return network


def is_sharded(network: Any) -> bool:
    """Whether each process has but a part of it."""
    return isinstance(network, FSDPModule)


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from all processes' parts; one that is not cut is returned as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_weights(network: Any) -> dict[str, Tensor]:
    """What learns by its name, in the main process, on the CPU where it was cut; nothing in the others."""
    return _gathered((name, weight.detach()) for name, weight in _learning(network).items())


def whole_file(network: Any) -> dict[str, Tensor]:
    """What learns, and the buffers that are saved with a network."""
    weights = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    buffers = {name: told for name, told in network.state_dict().items() if name not in weights}
    return whole_weights(network) | _gathered(buffers.items())


def whole_state(network: Any, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What learns, and what the optimiser has of it, in the main process; next to nothing in the others."""
    told = optimizer.state_dict()
    moments = {place: _gathered(rows.items()) for place, rows in told["state"].items()}
    return {"weights": whole_weights(network), "optimizer": {**told, "state": moments}}


def put_back(network: Any, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Let every process take its part of a state that all have read whole."""
    weights = _learning(network)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(_like(weight, state["weights"][name]))
    told, places = state["optimizer"], [*weights.values()]
    moments = {place: _cut(rows, places[place]) for place, rows in told["state"].items()}
    optimizer.load_state_dict({**told, "state": moments})


def _learning(network: Any) -> dict[str, Tensor]:
    return {name: weight for name, weight in network.named_parameters() if weight.requires_grad}


def _layers(network: Any) -> list[Any]:
    """What the network's authors would not have split, none inside another, but for what holds the embeddings."""
    names, found = {*(getattr(network, "_no_split_modules", None) or ())}, dict[str, Any]()
    embeddings = network.get_input_embeddings()
    for path, module in network.named_modules():
        is_inside = any(path.startswith(f"{other}.") for other in found)
        if type(module).__name__ in names and not is_inside and embeddings not in {*module.modules()}:
            found[path] = module
    return [*found.values()]


def _gathered(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Each put together before the next, so that no process ever has two of them whole."""
    found = {}
    for name, tensor in tensors:
        told = whole(tensor)
        if is_main():
            found[name] = told.cpu() if isinstance(tensor, DTensor) else told
    return found


def _cut(moments: Mapping[str, Tensor], weight: Tensor) -> dict[str, Tensor]:
    return {name: _like(weight, told) if told.shape == weight.shape else told for name, told in moments.items()}


def _like(weight: Tensor, told: Tensor) -> Tensor:
    """A whole tensor's part where a weight has its own."""
    if not isinstance(weight, DTensor):
        return told
    return distribute_tensor(told.to(weight.device), weight.device_mesh, weight.placements, src_data_rank=None)
