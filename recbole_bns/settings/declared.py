"""What each setting is."""

from __future__ import annotations

EXCLUDED = ("all", "train", "none")
"""``--exclude`` of ``predict``: items that a user has touched and is not recommended."""

NO_SAMPLER = "none"
"""``neg_sampler: none`` leaves sampling to RecBole."""

MERGED = ("neg_sampler_args", "eval_args")
"""Settings whose layers are merged key by key instead of replaced."""

TEXT = {
    "model",
    "dataset",
    "out",
    "result_file",
    "data_path",
    "gpu_id",
    "user_inter_num_interval",
    "item_inter_num_interval",
}
"""Settings whose value is text whatever it looks like."""
