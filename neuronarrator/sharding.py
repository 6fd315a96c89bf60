"""Narrators across GPUs by FSDP2: each holds a part of every weight, its gradient and its moments."""

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from neuronarrator.narrator import Narrator


def shard_narrator(narrator: Narrator, mesh: DeviceMesh, dtype: torch.dtype | None = torch.bfloat16) -> None:
    """Shard the layers of the LLM one by one and all else together, in place; names of weights stay as they are.

    Weights and gradients stay in float32, which AdamW needs at small learning rates. Layers compute in `dtype` and add
    up what they pass on in float32.

    Args:
        narrator: without adapters.
        mesh: one axis, over which weights are split.
        dtype: of the computation inside the layers of the LLM; None: as the weights.
    """
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, output_dtype=torch.float32)
    layers = narrator.llm.get_submodule("model.layers")
    for layer in layers.children():
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(narrator, mesh=mesh)
    register_fsdp_forward_method(narrator, "generate")  # it calls parts of the narrator, which then are whole
