"""A network that is cut over processes, here over one: what is cut, what stays so, what goes into a file and back."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tiny import save_tiny  # noqa: E402
from torch import distributed  # noqa: E402
from torch.distributed.fsdp import FSDPModule  # noqa: E402
from torch.distributed.tensor import DTensor  # noqa: E402

from trueup.cli import ground  # noqa: E402
from trueup.cli.ground import stand_on  # noqa: E402
from trueup.cli.order import Order  # noqa: E402
from trueup.train.network import load  # noqa: E402
from trueup.train.offline.sharded import is_sharded, put_back, sharded, whole_file, whole_state  # noqa: E402

IDS = torch.arange(8)[None]


@pytest.fixture
def alone(tmp_path):
    """A group of this process."""
    distributed.init_process_group(
        "gloo", store=distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


def network_of(folder, *, rank, **settings):
    base = save_tiny(folder, 0, **settings)
    return load(base, device="cpu", dtype="float32", lora_rank=rank, template="", seed=0).network


def cut(network, dtype=torch.float32):
    return sharded(network, torch.device("cpu"), dtype)


def optimizer_of(network):
    return torch.optim.AdamW([weight for weight in network.parameters() if weight.requires_grad], lr=0.01)


def stepped(network):
    """The network after a step, and its optimiser."""
    optimizer = optimizer_of(network)
    network(input_ids=IDS).logits.float().square().mean().backward()
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("rank", [0, 2])
def test_every_layer_is_cut_and_stays_so_after_it_was_read(alone, tmp_path, rank):
    network = cut(network_of(tmp_path / "n", rank=rank))
    layers = [module for module in network.modules() if type(module).__name__.endswith("DecoderLayer")]
    assert is_sharded(network) and len(layers) == 2 and all(isinstance(layer, FSDPModule) for layer in layers)
    for _ in range(2):
        assert all(isinstance(weight, DTensor) for weight in network.parameters())
        with torch.no_grad():
            network(input_ids=IDS)


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_file_has_what_learns_as_it_would_be_uncut(alone, tmp_path, rank, is_tied):
    network = network_of(tmp_path / "n", rank=rank, tie_word_embeddings=is_tied)
    wanted = {name: weight.clone() for name, weight in network.named_parameters() if weight.requires_grad}
    network.register_buffer("kept", torch.ones(3))
    found = whole_file(cut(network))
    assert found.pop("kept").tolist() == [1.0] * 3
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_state_is_put_back_whole(alone, tmp_path, rank):
    network = cut(network_of(tmp_path / "n", rank=rank))
    torch.save(whole_state(network, stepped(network)), tmp_path / "s.pt")
    kept = torch.load(tmp_path / "s.pt", weights_only=True)
    other = cut(network_of(tmp_path / "o", rank=rank))
    optimizer = optimizer_of(other)
    put_back(other, optimizer, kept)
    again = whole_state(other, optimizer)
    assert len(again["optimizer"]["state"]) == len(again["weights"]) == len(kept["weights"])
    for name, weight in kept["weights"].items():
        assert torch.equal(again["weights"][name], weight)
    for place, moments in kept["optimizer"]["state"].items():
        assert all(torch.equal(again["optimizer"]["state"][place][name], told) for name, told in moments.items())


def test_half_precision_reads_layers_in_half_and_learns_in_whole(alone, tmp_path):
    network = cut(network_of(tmp_path / "n", rank=0), torch.bfloat16)
    assert network(input_ids=IDS).logits.dtype == torch.bfloat16
    stepped(network)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_offline_trainers_are_started_by_torchrun_and_online_ones_by_accelerate(monkeypatch, tmp_path):
    monkeypatch.setattr(ground, "require", lambda profile: None)
    (tmp_path / "task.jsonl").write_text(
        "".join(f'{{"id": "{i}", "prompt": "{i}?", "reference": "a"}}\n' for i in range(4))
    )
    base = save_tiny(tmp_path / "n", 0)
    starters = {}
    for trainer in ("sft", "grpo"):
        order = Order(trainer, {}, str(tmp_path / "task.jsonl"), f"hf:{base}", "fsdp2-2")
        starters[trainer] = stand_on(order, tmp_path / "o").profile.command(["train"])[2]
    assert starters == {"sft": "torch.distributed.run", "grpo": "accelerate.commands.launch"}
