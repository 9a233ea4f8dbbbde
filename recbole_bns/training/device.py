"""What a model is trained on, in words."""

from __future__ import annotations

import torch

from recbole_bns.adapters.team import current


def device_words(device: torch.device) -> str:
    """``on the CPU with 2 threads``, or ``on NVIDIA H100 80GB HBM3``; of several processes of all.

    Args:
        device: of this process.
    """
    team = current().size
    by = f", {team} processes" if team > 1 else ""
    if device.type == "cuda":
        return f"on {torch.cuda.get_device_name(device)}{by}{' with a GPU each' if by else ''}"
    threads = torch.get_num_threads()
    each = " each" if by else ""
    where = "the CPU" if device.type == "cpu" else device.type
    return f"on {where}{by} with {threads} thread{'s' * (threads != 1)}{each}"
