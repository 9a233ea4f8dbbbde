"""The property files of losses: documented defaults, and what is searched over."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from tiny import ROOT

from recbole_bns.common.params import defaults, parse
from recbole_bns.losses import available
from recbole_bns.settings.properties import PROPERTIES
from recbole_bns.settings.words import read_yaml

OURS = {n: cls for n, cls in available().items() if cls.__module__.startswith("recbole_bns.")}


def writer() -> Any:
    spec = importlib.util.spec_from_file_location("w", ROOT / "scripts" / "write_yaml.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_loss_has_a_yaml_that_equals_its_dataclass() -> None:
    assert {path.stem for path in (PROPERTIES / "loss").iterdir()} == set(OURS)
    text_of_loss = writer().text_of_loss
    for name, cls in OURS.items():
        path = PROPERTIES / "loss" / f"{name}.yaml"
        assert path.read_text(encoding="utf-8") == text_of_loss(cls), "run scripts/write_yaml.py"
        assert read_yaml(path) == {
            "loss": name,
            "loss_args": defaults(cls.Params),
            "neg_sample_num": cls.negatives,
        }


@pytest.mark.parametrize("name", OURS)
def test_what_is_searched_over_is_allowed(name: str) -> None:
    """Values of a loss's parameters, and numbers of negatives; the default among the latter."""
    space = read_yaml(PROPERTIES / "sweep" / "loss" / f"{name}.yaml")
    for key, how in space.items():
        (values,) = how.values()
        assert list(how) == ["choice"]
        head, _, parameter = key.partition(".")
        if head == "neg_sample_num":
            assert OURS[name].negatives in values
            continue
        assert head == "loss_args"
        for value in values:
            parse(OURS[name].Params, {parameter: value}, key)
