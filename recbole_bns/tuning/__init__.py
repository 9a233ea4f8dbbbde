"""Hyper-parameter search with Ray Tune; nothing here is imported before it is used."""

from __future__ import annotations

from typing import Any

__all__ = ["search_space", "trainable"]


def trainable(*args: Any, **kwargs: Any) -> Any:
    """A trainable for ``ray.tune.Tuner``; see :func:`recbole_bns.tuning.trial.trainable`."""
    from .ray_versions import check_ray
    from .trial import trainable as make

    check_ray()
    return make(*args, **kwargs)


def search_space(
    sampler: str = "bns", model: str = "LightGCN", loss: str = "model", mixer: str = "none"
) -> dict[str, Any]:
    """The space of ``properties/sweep/<sampler>.yaml`` as ``param_space`` of ``ray.tune.Tuner``.

    Args:
        sampler: its name.
        model: whose regularisation is searched over.
        loss: its name, whose ``properties/sweep/loss/<loss>.yaml`` is added; the model's own has
            none.
        mixer: its name, whose ``properties/sweep/mixer/<mixer>.yaml`` is added.

    Raises:
        UsageError: there is no such space.
    """
    from .ray_versions import check_ray
    from .space import default_space, to_ray

    check_ray()
    return to_ray(default_space(sampler, model, loss, mixer))
