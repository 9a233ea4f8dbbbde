"""A package of somebody else, built as a wheel: its sampler, loss and mixer, and their checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from warm import COMMAND, PYTEST, run_warm

ROOT = Path(__file__).parents[2]
FILES = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "their-samplers"
version = "1.0"

[project.entry-points."recbole_bns.samplers"]
second = "their_samplers"

[project.entry-points."recbole_bns.losses"]
squared = "their_losses:Squared"

[project.entry-points."recbole_bns.mixers"]
halfway = "their_mixers:Halfway"

[tool.setuptools]
py-modules = ["their_samplers", "their_losses", "their_mixers"]
""",
    "their_samplers.py": '''
from dataclasses import dataclass

from recbole_bns import CandidateSampler, param, register


@dataclass(frozen=True)
class SecondParams:
    candidate_num: int = param(4, "uniform candidates a negative", low=2)
    replacement: bool = param(False, "draw candidates with replacement")


@register
class Second(CandidateSampler):
    """The candidate after the hardest."""

    name, idea, paper = "second", "the second-best candidate", "their own"
    Params = SecondParams

    def choose(self, candidates, scores, users, items, scorer):
        return scores.topk(2, dim=2).indices[..., 1]
''',
    "their_losses.py": '''
from dataclasses import dataclass

from recbole_bns.losses import Loss, param


@dataclass(frozen=True)
class SquaredParams:
    margin: float = param(1.0, "how far apart is far enough", above=0)


class Squared(Loss):
    """The squared hinge of each pair."""

    name, idea, paper = "squared", "squared hinge of each pair", "their own"
    negatives = 16
    Params = SquaredParams

    def forward(self, batch):
        gaps = (self.params.margin - batch.pos.unsqueeze(1) + batch.neg).relu()
        return batch.terms(gaps**2).sum(1) / batch.neg.shape[1]
''',
    "their_mixers.py": '''
from dataclasses import dataclass

import torch

from recbole_bns.mixers import Made, Mixer, param


@dataclass(frozen=True)
class HalfwayParams:
    candidate_num: int = param(8, "M, candidates of a negative", low=1)


class Halfway(Mixer):
    """Halfway from the hardest to the positive."""

    name, idea, paper = "halfway", "halfway from hardest to positive", "their own"
    Params = HalfwayParams

    def forward(self, batch):
        ids = [batch.hardest(layer) for layer in range(batch.layer_num)]
        vectors = [
            (batch.vectors(layer, each) + batch.positives[layer].unsqueeze(1)) / 2
            for layer, each in enumerate(ids)
        ]
        return Made(tuple(vectors), torch.stack(ids, 2))
''',
    "test_theirs.py": """
from recbole_bns.cli import main
from recbole_bns.testing import LossContract, MixerContract, SamplerContract


class TestSecond(SamplerContract):
    name = "second"


class TestSquared(LossContract):
    name = "squared"
    args = {"margin": 2.0}


class TestHalfway(MixerContract):
    name = "halfway"
    args = {"candidate_num": 4}


def test_loss_and_mixer_are_listed(capsys):
    assert main(["losses"]) == 0
    assert "squared" in capsys.readouterr().out
    assert main(["mixers"]) == 0
    assert "halfway" in capsys.readouterr().out
""",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed into."""
    folder = tmp_path_factory.mktemp("theirs")
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        f"--wheel-dir={folder}",
        str(folder),
    ]
    subprocess.run(build, check=True, cwd=folder)
    wheel = next(folder.glob("*.whl"))
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", f"--target={target}", str(wheel)], check=True)
    return target


@pytest.mark.process
@pytest.mark.parametrize(
    ("loss", "number"),
    [
        ((), 1),
        pytest.param(("--loss=squared", "--loss_args.margin=2"), 16, marks=pytest.mark.slow),
        pytest.param(("--loss=squared", "--mixer=halfway"), 1, marks=pytest.mark.slow),
    ],
)
def test_they_are_known_and_train(
    installed: Path, data_path: Path, tmp_path: Path, loss: tuple[str, ...], number: int
) -> None:
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        f"--data_path={data_path}",
        "--epochs=1",
        "--neg_sampler=second",
        "--neg_sampler_args.candidate_num=6",
        *loss,
        "--use_gpu=False",
        "--show_progress=False",
        f"--out={tmp_path / 'run'}",
    ]
    done = run_warm(COMMAND, tmp_path, *words, path=[str(installed)])
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert result["neg_sampler"] == "second"
    assert result["neg_sampler_args"]["candidate_num"] == 6
    assert result["neg_sample_num"] == number
    settings = (tmp_path / "run" / "settings.yaml").read_text(encoding="utf-8")
    assert ("loss: squared" in settings) is bool(loss)
    assert ("mixer: halfway" in settings) is ("--mixer=halfway" in loss)


@pytest.mark.process
def test_they_keep_their_contracts(installed: Path) -> None:
    words = ["-q", "-p", "no:cacheprovider", "test_theirs.py"]
    done = run_warm(PYTEST, installed.parent, *words, path=[str(installed)])
    assert done.returncode == 0, done.stdout[-2000:]
    assert "passed" in done.stdout
