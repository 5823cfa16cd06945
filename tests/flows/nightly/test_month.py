"""Many nights, with models that move and everything that goes wrong; each must be there once, whole and right."""

import json
import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.flows.nightly.checkouts import git_in
from tests.flows.nightly.test_interrupted import halted, kill
from tests.flows.nightly.toy_project import SKILLS, ToyProject, clone_of, dvc, night, tags
from tests.tasks.hub_server import Fault

NIGHTS = 30
SCALES = (0.25, 0.5, 0.75)
FAULTS = ("killed", "failing", "unreachable hub", "unreachable store", "twice", "none", "none")


class Month:
    """What is true of the world, and what each night should have found."""

    def __init__(self, toy: ToyProject, server: str, seed: int) -> None:
        self.toy, self.server = toy, server
        self.random = random.Random(seed)
        self.skills = dict(SKILLS)
        self.scale = 0.5
        self.expected = {1: self.score()}

    def move(self) -> bool:
        """Let something happen by day, or nothing; whether anything did."""
        what = self.random.choice(["gsm", "maths", "base", "recipe", "nothing", "nothing"])
        if what == "recipe":
            scale = self.random.choice([other for other in SCALES if other != self.scale])
            self.toy.edit(f"scale: {self.scale}", f"scale: {scale}")
            self.scale = scale
        elif what != "nothing":
            skills = (self.random.randrange(20) / 20, self.random.randrange(20) / 20)
            self.skills[what] = skills
            self.toy.publish(what, *skills)
        return what != "nothing"

    def score(self) -> float:
        """What the recipe wudi should score, reckoned apart from the pipeline."""
        means = []
        for benchmark in (0, 1):
            experts = [self.skills[name][benchmark] for name in ("gsm", "maths")]
            value = (1 - self.scale) * sum(experts) / 2 + self.scale * max(experts)
            means.append(round(value * 200) / 200)
        return round(sum(means) / 2, 4)

    def live(self, day: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a day and its night go by."""
        changed = self.move()
        self.expected[day] = self.score()
        fault = self.random.choice(FAULTS)
        if fault == "killed" and changed:
            with halted(self.toy, "record", day, self.server) as (process, stage):
                kill(process, stage)
        elif fault == "failing":
            with monkeypatch.context() as patch:
                patch.setenv("TOY_FAIL", self.random.choice(["merge wudi", "evaluate", "record"]))
                night(self.toy, day)
        elif fault == "unreachable hub":
            self.toy.hub.faults.append(Fault("/api/models/", times=1000, status=403))
            assert night(self.toy, day).is_failed()
            self.toy.hub.faults.clear()
        elif fault == "unreachable store" and self.toy.store.exists():
            away = self.toy.store.rename(self.toy.store.with_name("away"))
            self.toy.store.write_text("no folder")
            assert night(self.toy, day).is_completed()
            self.toy.store.unlink()
            away.rename(self.toy.store)
        assert night(self.toy, day).is_completed(), fault
        if fault == "twice":
            assert night(self.toy, day).name == "Skipped"


@pytest.mark.long
def test_no_night_is_lost_or_double_and_each_can_be_had_again(
    toy: ToyProject, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    month = Month(toy, server, seed=NIGHTS)
    for day in range(2, NIGHTS + 1):
        month.live(day, monkeypatch)
    assert tags(toy) == [f"night/{date(2026, 11, 1) + timedelta(days=day)}" for day in range(NIGHTS)]
    clone = clone_of(toy, tmp_path / "clone", "night/2026-11-01")
    git = git_in(clone)
    for day, tag in enumerate(tags(toy), start=1):
        git("checkout", "-q", tag)
        dvc(clone, "pull")
        assert "Data and pipelines are up to date" in dvc(clone, "status")
        assert "Running stage" not in dvc(clone, "repro")
        assert git("status", "--porcelain") == ""
        metrics = json.loads((clone / "results" / "metrics.json").read_text())
        assert metrics["score"]["wudi"] == pytest.approx(month.expected[day], abs=1e-3), tag
