"""The params files of real models, looked at where they lie: on a Hub with models of the true shapes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from tasks import paths
from tasks.params import Params, load_params
from tasks.preflight import Look
from tasks.preflight import main as preflight
from tests.conftest import ROOT
from tests.real_models import LLAMA_2_13B, LLAMA_32_3B, QWEN_25_05B, adapter, repository
from tests.wudi.range_hub import RangeHub
from wudi.cli import main
from wudi.errors import WudiError

BOTH = "lm_head.weight and model.embed_tokens.weight have 32001 rows, the base's 32000"
PADDED = "model.embed_tokens.weight has 128320 rows, the base's 128256"
REMEDY = (
    ": its vocabulary has other tokens or other padding; `vocabulary: base` aligns it by token and drops what the base "
    "has not, `vocabulary: union` adds that to the base's"
)
TRIO = ("meta-llama/Llama-2-13b-hf", "WizardLMTeam/WizardLM-13B-V1.2", "layoric/llama-2-13b-code-alpaca")
WIZARD_MATH = "WizardLMTeam/WizardMath-13B-V1.0"
EOS = "its eos_token_id is 151645, the base's 151643, which the merged model gets"
PICKLE = "pytorch_model-00001-of-00003.bin"
MERGEBENCH = "MergeBench/Llama-3.2-3B_"
HUB = {
    **dict.fromkeys(TRIO, (LLAMA_2_13B, 32000)),
    WIZARD_MATH: ({**LLAMA_2_13B, "vocab_size": 32001}, 32001),
    "meta-llama/Llama-3.2-3B": (LLAMA_32_3B, 128256),
    f"{MERGEBENCH}instruction": (LLAMA_32_3B, 128256),
    f"{MERGEBENCH}math": ({**LLAMA_32_3B, "vocab_size": 128320}, 128256),
    f"{MERGEBENCH}coding": (LLAMA_32_3B, 128256),
    "Qwen/Qwen2.5-0.5B": (QWEN_25_05B, 151665),
    "Qwen/Qwen2.5-0.5B-Instruct": ({**QWEN_25_05B, "eos_token_id": 151645}, 151665),
    "Qwen/Qwen2.5-Coder-0.5B": (QWEN_25_05B, 151665),
}
"""Each model's config, and the number of its tokens."""
REAL = ("llama-2-13b-trio", "llama-3.2-3b", "qwen2.5-0.5b", "lora")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of all repositories."""
    folder = tmp_path_factory.mktemp("hub")
    return {name: repository(folder / name, config, tokens) for name, (config, tokens) in HUB.items()}


@pytest.fixture
def hub(store: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeHub]:
    with RangeHub() as server:
        server.folders = dict(store)
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url, "token": False})
        yield server
        assert server.weight_bytes_sent() == 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, with adapters beside it."""
    for name, rank in (("math", 16), ("code", 8)):
        adapter(tmp_path / "adapters" / name, QWEN_25_05B, rank)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def copied(experiment: str, folder: Path, *edits: tuple[str, str]) -> Params:
    """An experiment's file as params.yaml, with some words replaced."""
    text = (ROOT / "experiments" / f"{experiment}.yaml").read_text()
    for words, others in edits:
        assert words in text
        text = text.replace(words, others)
    (folder / "params.yaml").write_text(text)
    return load_params(folder / "params.yaml")


def written(folder: Path, params: Params) -> None:
    """Make the folders of all outputs, so that the room on this machine's disk plays no part."""
    outputs = [paths.BASE, *map(paths.merged, params.recipes)]
    outputs += [path(name) for name in params.experts for path in (paths.expert, paths.task_vector)]
    for output in outputs:
        (folder / output).mkdir(parents=True)


@pytest.fixture
def told(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What `python -m tasks.preflight` prints in this process, or why it refuses."""

    def look() -> list[str]:
        written(folder, load_params())
        monkeypatch.setattr(sys, "argv", ["preflight"])
        try:
            preflight()
        except WudiError as error:
            return ["refused", *str(error).splitlines()]
        return capsys.readouterr().out.splitlines()

    return look


@pytest.mark.parametrize("file", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_file_is_sound(file: Path) -> None:
    assert load_params(file).recipes


@pytest.mark.parametrize(
    ("experiment", "notes"),
    [
        ("llama-2-13b-trio", [f"experts.math: {BOTH}; `vocabulary: base` aligns them by token"]),
        ("llama-3.2-3b", [f"experts.math: {PADDED}; `vocabulary: base` aligns them by token"]),
        ("qwen2.5-0.5b", [f"experts.instruct: {EOS}"]),
        ("lora", []),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_file_as_it_is_stands_in_no_way(
    experiment: str, notes: list[str], folder: Path, told: Callable[[], list[str]]
) -> None:
    models = len(copied(experiment, folder).experts) + 1
    end = f"{models} models looked at, and nothing is in the way of merging them"
    assert told() == [*(f"params.yaml: {note}" for note in notes), end]


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(("experiment", "rows"), [("llama-2-13b-trio", BOTH), ("llama-3.2-3b", PADDED)])
def test_other_tokens_are_refused_where_nothing_aligns_them(
    experiment: str, rows: str, folder: Path, told: Callable[[], list[str]]
) -> None:
    copied(experiment, folder, ("vocabulary: base", "vocabulary: error"))
    assert told() == ["refused", f"params.yaml: experts.math: {rows}{REMEDY}"]


def test_what_cannot_be_merged_is_told_before_a_weight_comes(hub: RangeHub, folder: Path, tmp_path: Path) -> None:
    instruct, code = TRIO[1:]
    hub.folders[code] = repository(tmp_path / "flat", {**LLAMA_2_13B, "num_hidden_layers": 39}, 32000)
    hub.folders[instruct] = tmp_path / "pickles"
    hub.folders[instruct].mkdir()
    (hub.folders[instruct] / PICKLE).write_bytes(b"")
    written(folder, copied("llama-2-13b-trio", folder))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tasks.preflight"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        f"error: params.yaml: experts.instruct: {instruct}: holds pickle files alone ({PICKLE}), which can run code "
        "when they are read; bring it into a folder, convert that with `wudi convert FOLDER --out NEW` and name NEW",
        "params.yaml: experts.code: has 39 layers, the base 40",
        "experts must be fine-tuned from the base that they are merged into",
    ]
    assert not any(PICKLE in name for name in hub.sent)


@pytest.mark.parametrize("policy", ["base", "union"])
@pytest.mark.parametrize(("model", "whose"), [(TRIO[0], "the base"), (WIZARD_MATH, "the expert")])
def test_rows_that_no_tokenizer_explains(
    policy: str, model: str, whose: str, hub: RangeHub, folder: Path, tmp_path: Path
) -> None:
    hub.folders[model] = Path(shutil.copytree(hub.folders[model], tmp_path / "bare", copy_function=os.link))
    (tmp_path / "bare" / "tokenizer.json").rename(tmp_path / "bare" / "tokenizer_config.json")
    (tmp_path / "bare" / "added_tokens.json").write_text('{"[PAD]": 32000}')
    params = copied("llama-2-13b-trio", folder, ("vocabulary: base", f"vocabulary: {policy}"))
    (problem,) = Look.at(params).findings(params.merge.vocabulary).problems
    assert (problem.expert, problem.text) == (
        "math",
        f"32001 rows of embeddings against the base's 32000, and {whose} has no tokenizer to align by; put its "
        "tokenizer's files beside its weights",
    )


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("experiment", REAL)
def test_the_room_that_a_file_speaks_of_is_that_of_the_shapes(experiment: str, folder: Path) -> None:
    params = copied(experiment, folder)
    needed = Look.at(params).outputs(params)
    told = " ".join((folder / "params.yaml").read_text().split())
    assert f"{needed[paths.MODELS] / 1e9:.0f} GB of models" in told
    assert f"{needed[paths.MERGED] / len(params.recipes) / 1e9:.0f} GB for each" in told
    if experiment != "lora":
        assert f"{needed[paths.TASK_VECTORS] / 1e9:.0f} GB of task vectors" in told


@pytest.mark.usefixtures("hub")
def test_inspecting_the_trio(capsys: pytest.CaptureFixture[str]) -> None:
    models = ["inspect", TRIO[0], WIZARD_MATH, TRIO[2]]
    with pytest.raises(SystemExit) as caught:
        main(models)
    alike, differing, findings = capsys.readouterr().out.split("\n\n")
    assert caught.value.code == 1
    assert alike.splitlines()[0].split() == ["in", "all"] and "26.03 GB" in alike
    head, *rows = differing.splitlines()
    assert head.split() == ["Llama-2-13b-hf", "(base)", "WizardMath-13B-V1.0", "llama-2-13b-code-alpaca"]
    assert ["vocabulary", "rows", "32000", "32001", "32000"] in [row.split() for row in rows]
    assert findings.splitlines()[1:] == [f"  expert WizardMath-13B-V1.0: {BOTH}{REMEDY}"]
    main([*models, "--vocabulary", "union"])
    assert capsys.readouterr().out.split("\n\n")[2].splitlines() == [
        "these can be merged",
        "to know:",
        f"  expert WizardMath-13B-V1.0: {BOTH}; `vocabulary: union` aligns them by token",
    ]
