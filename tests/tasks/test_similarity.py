"""The stage that compares the experts."""

import json
import shutil
from pathlib import Path

import pytest

from tasks import paths, similarity
from tasks.params import Params
from tests.conftest import moved, random_tensors, write_model
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import Expert
from wudi.task_vectors import write_task_vector


@pytest.fixture
def vectors(params: Params, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A base with the task vectors of the small project's experts, and one that params.yaml does not name."""
    monkeypatch.setattr("sys.argv", ["similarity"])
    base = random_tensors(0)
    write_model(paths.BASE, base)
    for seed, name in enumerate([*params.experts, "old"], start=1):
        model = write_model(Path("models") / name, moved(base, seed))
        shutil.rmtree(paths.task_vector(name), ignore_errors=True)
        write_task_vector(Checkpoint(paths.BASE), Expert(name, Checkpoint(model)), paths.task_vector(name))
    return params


@pytest.mark.usefixtures("vectors")
def test_the_stage_writes_the_same_bytes_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    similarity.main()
    written = paths.SIMILARITY.read_bytes()
    values = json.loads(written)
    cosine = values["overall"][0][1]
    assert values["experts"] == ["gsm", "maths"]
    assert values["overall"] == [[1.0, cosine], [cosine, 1.0]]
    assert capsys.readouterr().out == f"compared 2 experts: gsm and maths are most alike, cosine {cosine:.2f}\n"
    paths.SIMILARITY.unlink()
    similarity.main()
    assert paths.SIMILARITY.read_bytes() == written
    assert not list(paths.RESULTS.glob(".*"))


@pytest.mark.usefixtures("vectors")
def test_a_task_vector_that_is_not_there_is_named_with_its_stage() -> None:
    shutil.rmtree(paths.task_vector("maths"))
    with pytest.raises(WudiError, match=r"task_vectors/maths: not found; make it with `dvc repro task_vectors@maths`"):
        similarity.main()
