"""A training of many whose machine was lost: the task that is begun again goes on with it."""

from __future__ import annotations

import pytest
from test_resume import Killed, assert_same, die_at

from recbole_bns.runner import journal
from recbole_bns.runner.jobs import Job
from recbole_bns.runner.worker import work


def test_a_run_that_was_lost_goes_on_from_its_last_state(settings, tmp_path, monkeypatch):
    def job_of(name: str) -> Job:
        given = {**settings, "neg_sampler": "dns", "epochs": 4}
        return Job(name, "BPR", "tiny", None, given, tmp_path / name, leaves=(".npz",))

    assert work(job_of("whole")) == 0
    lost = job_of("lost")
    with monkeypatch.context() as patch:
        die_at(patch, 2, "batch")
        with pytest.raises(Killed):
            work(lost)
    assert work(lost) == 0
    assert journal.is_done(lost)
    assert "goes on" not in (lost.folder / "run.log").read_text(encoding="utf-8")
    assert_same(tmp_path / "whole", tmp_path / "lost")
    (early := job_of("early")).folder.mkdir()
    (early.folder / "settings.yaml").write_text("", encoding="utf-8")
    assert work(early) == 0, "one that was lost before it had a state begins anew"
