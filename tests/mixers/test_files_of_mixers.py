"""The property files of mixers: documented defaults, what is searched over, and their commands."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from tiny import ROOT

from recbole_bns.cli import main
from recbole_bns.common.params import defaults, parse
from recbole_bns.mixers import available
from recbole_bns.settings.declared import NO_MIXER
from recbole_bns.settings.properties import PROPERTIES, cell
from recbole_bns.settings.words import read_yaml
from recbole_bns.tuning.space import default_space

OURS = {n: cls for n, cls in available().items() if cls.__module__.startswith("recbole_bns.")}


def writer() -> Any:
    spec = importlib.util.spec_from_file_location("w", ROOT / "scripts" / "write_yaml.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mixer_has_a_yaml_that_equals_its_dataclass() -> None:
    assert {path.stem for path in (PROPERTIES / "mixer").iterdir()} == set(OURS)
    text_of_mixer = writer().text_of_mixer
    for name, cls in OURS.items():
        path = PROPERTIES / "mixer" / f"{name}.yaml"
        assert path.read_text(encoding="utf-8") == text_of_mixer(cls), "run scripts/write_yaml.py"
        assert read_yaml(path) == {
            "mixer": name,
            "mixer_args": defaults(cls.Params),
            "neg_sample_num": cls.negatives,
        }


@pytest.mark.parametrize("name", OURS)
def test_what_is_searched_over_is_allowed(name: str) -> None:
    space = read_yaml(PROPERTIES / "sweep" / "mixer" / f"{name}.yaml")
    for key, how in space.items():
        (values,) = how.values()
        head, _, parameter = key.partition(".")
        assert (list(how), head) == (["choice"], "mixer_args")
        assert defaults(OURS[name].Params)[parameter] in values
        for value in values:
            parse(OURS[name].Params, {parameter: value}, key)


@pytest.mark.parametrize("name", OURS)
def test_a_sweep_has_the_dimensions_of_all_three(name: str) -> None:
    space = default_space("dns", "BPR", "ssm", name)
    own = set(space) - set(default_space("dns", "BPR", "ssm"))
    assert own == set(read_yaml(PROPERTIES / "sweep" / "mixer" / f"{name}.yaml"))
    assert "loss_args.temperature" in space
    assert "neg_sample_num" not in space, "K is the mixer's"


def test_a_cell_names_what_differs_from_the_default() -> None:
    assert cell("rns", "model", NO_MIXER) == cell("rns", None) == "rns"
    assert cell("rns", "ssm", None) == "rns+ssm"
    assert cell("rns", "kpair", "dens") == "rns+kpair+dens"


def test_mixers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mixers", "dens"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("dens: ")
    assert "\n  sampler: rns; loss: kpair; Lai et al., WSDM 2023\n" in text
    assert "gamma / 4" in text
    assert main(["mixers", "--markdown"]) == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [f"`{name}`" for name in available()]
    assert main(["mixers", "mixgfc"]) == 2
    assert "mixer: got 'mixgfc'; did you mean 'mixgcf'?" in capsys.readouterr().err
