"""What a sampler saves to go on as if it had never stopped: a generator, counters, buffers."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from .catalogue import Catalogue


class Resumable(nn.Module):
    """The part of a sampler whose ``state_dict`` round trip continues identically.

    Args:
        catalogue: the training interactions, on the device where the randomness is drawn.
        seed: of the generator.
    """

    growing: ClassVar[tuple[str, ...]] = ()
    """Buffers whose shape is known only after a while; loading takes over the saved one."""

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.seed = seed
        self.counters = {"epoch": 0}
        self._generator: torch.Generator | None = None

    @property
    def epoch(self) -> int:
        """The running epoch, 0-based."""
        return self.counters["epoch"]

    @property
    def generator(self) -> torch.Generator:
        """The sampler's own randomness, on the catalogue's device."""
        device = self.catalogue.device
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self.seed)
        return self._generator

    def get_extra_state(self) -> dict[str, Any]:
        """Generator and counters, so that a restored sampler draws the same ids."""
        return {"generator": self.generator.get_state(), "counters": dict(self.counters)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore generator and counters."""
        self.generator.set_state(state["generator"].cpu())
        self.counters.update(state["counters"])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for the buffers that :attr:`growing` names; others must have their shape."""
        for name in self.growing:
            saved, buffer = state_dict.get(prefix + name), self._buffers[name]
            if saved is not None and buffer is not None and saved.shape != buffer.shape:
                self._buffers[name] = torch.empty_like(saved, device=buffer.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)
