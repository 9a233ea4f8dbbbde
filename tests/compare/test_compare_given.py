"""A comparison with known dislikes: flags of the sampler, the file, and the refusal without one."""

from __future__ import annotations

import pytest
from comparisons import plan_of
from tiny import SKIPS, Settings

from recbole_bns import UsageError


def test_a_comparison_has_its_flags(settings: Settings) -> None:
    words = ("--samplers=rns,given,bns", "--given.share=0.3", "--bns.given_share=0.1")
    plan = plan_of(settings, *words, f"--negatives={SKIPS}", "--WEIGHT_FIELD=none")
    assert plan.resolved("given")["neg_sampler_args"]["share"] == 0.3
    assert plan.resolved("bns")["neg_sampler_args"]["given_share"] == 0.1
    assert plan.config["WEIGHT_FIELD"] == "none"
    with pytest.raises(UsageError, match="'given' draws known dislikes, but the data set has no"):
        plan_of(settings, "--samplers=rns,given")
