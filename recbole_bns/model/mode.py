"""A model as it is while it is asked for scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def scoring_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients, restored afterwards, and so is the global generator.

    Sets the flags directly: SGL rebuilds its graphs whenever ``train()`` is called. Vectors that a
    model keeps for evaluation (``restore_user_e``) are dropped before and after, so that neither
    stale ones are used nor ours are left behind. NGCF drops messages in eval mode too.
    """
    flags = [(module, module.training) for module in model.modules()]
    kept = [name for name in getattr(model, "other_parameter_name", []) if "restore" in name]
    devices = {weight.device for weight in model.parameters() if weight.is_cuda}
    for module, _ in flags:
        module.training = False
    for name in kept:
        setattr(model, name, None)
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        for module, training in flags:
            module.training = training
        for name in kept:
            setattr(model, name, None)
