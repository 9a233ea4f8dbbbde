"""``recbole-bns doctor``: what it finds, and what it says of it."""

from __future__ import annotations

import re
import sys

import pytest
from tiny import ROOT

from recbole_bns.cli import doctor, main


def test_the_doctor_finds_this_environment_healthy(capsys):
    from recbole_bns.adapters.mends import MENDS

    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == "healthy"
    for word in (
        "python",
        "recbole ",
        "torch ",
        "numpy ",
        "scipy ",
        "pandas ",
        "ray",
        "device",
        "kernels",
    ):
        assert f"\n{word}" in f"\n{text}"
    for repair in MENDS:
        assert f"mend         {repair.name}: " in text


SICK = [
    ({"recbole": None}, "recbole is missing; pip install recbole"),
    ({"recbole": "1.1.1"}, "recbole 1.1.1 is not supported; pip install 'recbole>=1.2.0,<1.3'"),
    ({"recbole": "1.3.0"}, "recbole 1.3.0 is not supported; pip install 'recbole>=1.2.0,<1.3'"),
    ({"torch": None}, "torch is missing; pip install torch"),
    (
        {"pandas": "3.0.1"},
        "pandas 3.0.1 leaves RecBole's padding rows unfilled, silently; pip install 'pandas<3'",
    ),
]


@pytest.mark.parametrize(("versions", "sentence"), SICK)
def test_the_doctor_names_what_cannot_work_and_the_remedy(monkeypatch, capsys, versions, sentence):
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: versions[name] if name in versions else real(name)
    )
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"PROBLEM: {sentence}" in lines
    assert lines[-1] == "1 problem(s): training cannot work"


@pytest.mark.parametrize(("found", "code"), [(None, 1), ("a spec", 0)])
def test_the_doctor_knows_that_old_ray_needs_setuptools(monkeypatch, capsys, found, code):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda n: "2.6.3" if n == "ray" else real(n))
    monkeypatch.setattr(doctor, "find_spec", lambda name: found)
    assert main(["doctor"]) == code
    remedy = "PROBLEM: ray 2.6.3 needs pkg_resources; pip install 'setuptools<81'"
    assert (remedy in capsys.readouterr().out.splitlines()) == bool(code)


def test_the_doctor_survives_what_is_optional_or_broken(monkeypatch, capsys):
    real = doctor._version
    missing = {"ray", "matplotlib"}
    monkeypatch.setattr(doctor, "_version", lambda n: None if n in missing else real(n))
    assert main(["doctor"]) == 0
    assert "ray          not installed (only for sweeps; pip install" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "recbole_bns.training.run", None)
    monkeypatch.delattr("recbole_bns.training.run", raising=False)
    assert main(["doctor"]) == 1
    assert "install the tested set: pip install -c constraints.txt ." in capsys.readouterr().out


NEWER = [
    ({"recbole": "1.2.2"}, "recbole      1.2.2, newer than tested (1.2.0, 1.2.1)"),
    ({"recbole": "1.2.2rc1"}, "recbole      1.2.2rc1, newer than tested (1.2.0, 1.2.1)"),
    ({"torch": "2.99.0+cu999"}, "torch        2.99.0+cu999, newer than tested (2.13.0)"),
    ({"numpy": "99.1"}, "numpy        99.1, newer than tested (2.4.6)"),
    ({"pandas": "2.99.0"}, "pandas       2.99.0, newer than tested (2.3.3)"),
    ({"ray": "99.0.0", "torch": "3.0"}, "ray          99.0.0, newer than tested (2.60.0)"),
]


@pytest.mark.parametrize(("versions", "line"), NEWER)
def test_the_doctor_says_what_is_newer_than_tested(monkeypatch, capsys, versions, line):
    """It may work; nobody has tried."""
    monkeypatch.setattr(
        doctor, "_version", lambda name: {**doctor_versions(), **versions}.get(name)
    )
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert line in lines
    newer = ", ".join(sorted(versions, key=list(doctor.TESTED).index))
    assert lines[-1] == f"healthy, but newer than tested: {newer}"


def doctor_versions() -> dict[str, str]:
    return {name: numbers[0] for name, numbers in doctor.TESTED.items()}


@pytest.mark.parametrize("host", doctor.TESTED["recbole"])
def test_the_doctor_does_not_speak_of_what_is_tested(monkeypatch, capsys, host):
    versions = {**doctor_versions(), "recbole": host, "torch": "2.13.0+cpu", "numpy": "2.2"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "newer" not in text
    assert text.endswith("\nhealthy\n")


def test_what_counts_as_tested_is_what_the_constraints_say():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for package, numbers in doctor.TESTED.items():
        pinned = re.findall(rf"^{package}==([\w.]+)", text, re.MULTILINE)
        newest = max(map(doctor._release, pinned))
        if package == "recbole":  # the README promises 1.2.1 too
            assert newest in map(doctor._release, numbers)
            readme = (ROOT / "README.md").read_text(encoding="utf-8")
            assert " or ".join(numbers) in " ".join(readme.split())
        else:
            assert list(map(doctor._release, numbers)) == [newest]


@pytest.mark.parametrize("word", ["now", "--verbose", "-v"])
def test_the_doctor_takes_no_word(capsys, word):
    assert main(["doctor", word]) == 2
    assert capsys.readouterr() == (
        "",
        f"recbole-bns: doctor: got '{word}'; allowed: nothing at all.\n",
    )
