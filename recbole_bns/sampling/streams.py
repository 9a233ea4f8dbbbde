"""Random numbers by position: one key from a generator, then SplitMix64 over counters.

The number at a position depends on the key and the position alone, so loops in any order, torch on
any device and the compiled kernels see the same ones.

Source: G. Steele, D. Lea and C. Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
"""

from __future__ import annotations

import torch
from torch import Tensor

GAMMA = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed integer
FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
SECOND = -7723592293110705685  # 0x94D049BB133111EB
RESOLUTION = 2.0**-53
TRIES = 8
"""Draws from the whole catalogue before one is made among the user's negatives alone."""


def new_key(generator: torch.Generator) -> Tensor:
    """The next key of ``generator``: a 0-dimensional int64, on its device."""
    empty = torch.empty((), dtype=torch.long, device=generator.device)
    return empty.random_(generator=generator)


def uniforms(key: Tensor, positions: Tensor) -> Tensor:
    """Numbers in [0, 1) at ``positions`` (int64 from 0): float64, the same shape."""
    z = key + (positions + 1) * GAMMA
    z = (z ^ _shifted(z, 30)) * FIRST
    z = (z ^ _shifted(z, 27)) * SECOND
    z = z ^ _shifted(z, 31)
    return _shifted(z, 11).double() * RESOLUTION


def _shifted(z: Tensor, bits: int) -> Tensor:
    """``z`` shifted to the right with zeros coming in, as for unsigned integers."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def integers(bound: Tensor, u: Tensor) -> Tensor:
    """Integers in ``[0, bound)`` from uniforms ``u``, whose shape they have; 0 where bound is 0."""
    return torch.minimum((u * bound).long(), (bound - 1).clamp(min=0))


def uniform_integers(bound: Tensor, generator: torch.Generator) -> Tensor:
    """One integer uniform in ``[0, bound)`` for every entry of ``bound``; 0 where it is 0."""
    positions = torch.arange(bound.numel(), device=bound.device).view(bound.shape)
    return integers(bound, uniforms(new_key(generator), positions))


def softmax_keys(scores: Tensor, tau: float, u: Tensor) -> Tensor:
    """Keys whose k largest in a row are k draws without replacement with p ∝ exp(score / tau).

    Args:
        scores: ``(..., S)``; ``-inf`` is drawn last.
        tau: temperature.
        u: of the same shape, uniforms in [0, 1).
    """
    tiny = torch.finfo(u.dtype).tiny
    exponential = -torch.log(u.clamp(min=tiny))
    return scores / tau - torch.log(exponential.clamp(min=tiny))
