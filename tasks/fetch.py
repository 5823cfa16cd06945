"""Bring a model into the project: `python -m tasks.fetch base` or `python -m tasks.fetch expert NAME`."""

import json
import os
import shutil
import time
from pathlib import Path

from tasks import paths
from tasks.console import command, quiet, step, track
from tasks.params import Model, Params, load_params
from tasks.stage import known, parse_model
from tasks.zoo import ZooSettings, train
from wudi.checkpoint import is_adapter, safetensors_files
from wudi.errors import WudiError

ATTEMPTS = 5
WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "tokenizer.model", "*.tiktoken", "LICENSE*", "NOTICE*"]
"""What a merge and an evaluation need: no pickles, no optimizer states, no other frameworks' weights."""
UNWANTED = ["*/*"]
"""Subfolders: the checkpoints along a training (an adapter's repository often keeps them), other formats."""


def main() -> None:
    """Fetch the base or one expert and write down where it came from."""
    kind, name = parse_model("Bring a model into models/.", "python -m tasks.fetch expert gsm8k", ["base", "expert"])
    params = load_params()
    model: Model = params.base
    if kind == "expert":
        model = params.experts[known("experts", name, params.experts)]
    fetch(model, paths.BASE if kind == "base" else paths.expert(name), params)
    step(f"fetched {name if kind == 'base' else f'expert {name}'} from {model.source}")


def fetch(model: Model, target: Path, params: Params) -> None:
    """Make `target` a copy of the model's files; it appears under its name only when it is complete."""
    partial = target.with_name(target.name + ".partial")
    if model.source.startswith("zoo:"):
        provenance = fetch_zoo(model.source.removeprefix("zoo:"), partial, params.zoo)
    elif model.source.startswith((".", "/", "~")):
        provenance = fetch_folder(Path(os.path.expanduser(model.source)), partial)  # noqa: PTH111 — leaves an unknown ~user as it is
    else:
        provenance = fetch_hub(model, partial)
    if target == paths.BASE and is_adapter(partial):
        shutil.rmtree(partial)
        raise WudiError(f"{model.source}: is a PEFT adapter; name the model that it was trained on as the base")
    record = json.dumps({"source": model.source, **provenance}, indent=1, sort_keys=True)
    (partial / "source.json").write_text(record + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def fetch_zoo(name: str, partial: Path, settings: ZooSettings) -> dict[str, object]:
    """Train a zoo model on the spot; an expert starts from the zoo's own base, which is kept for the next one."""
    shutil.rmtree(partial, ignore_errors=True)
    base = zoo_base(settings)
    if name == "base":
        shutil.copytree(base, partial)
    else:
        train(name, partial, settings, base=base, track=track)
    return {"settings": settings.model_dump()}


def zoo_base(settings: ZooSettings) -> Path:
    """The trained base of these settings: every expert needs it, and fetches run side by side."""
    from filelock import FileLock

    key = f"seed{settings.seed}-steps{settings.base_steps}-{zoo_code_hash()}"
    folder = paths.CACHE / "zoo" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            train("base", partial, settings, track=track)
            partial.rename(folder)
    return folder


def zoo_code_hash() -> str:
    """A hash of the zoo's code and of the torch that runs it: another of either trains another base."""
    import hashlib
    from importlib.metadata import version

    import tasks.zoo

    digest = hashlib.sha256(version("torch").encode())
    for file in sorted(Path(tasks.zoo.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def fetch_folder(source: Path, partial: Path) -> dict[str, object]:
    """Copy what is wanted of a model's or an adapter's folder."""
    if not source.is_dir():
        raise WudiError(f"{source}: no such folder; check `source` in params.yaml")
    safetensors_files(source)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if any(file.match(pattern) for pattern in WANTED):
            shutil.copyfile(file, partial / file.name)
    return {}


def fetch_hub(model: Model, partial: Path) -> dict[str, object]:
    """Download a snapshot; files that an interrupted run left are not downloaded again."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            info = HfApi().model_info(model.source, revision=model.revision)
            snapshot_download(
                model.source, revision=info.sha, local_dir=partial, allow_patterns=WANTED, ignore_patterns=UNWANTED
            )
            break
        except GatedRepoError:
            raise WudiError(
                f"{model.source}: access is restricted; accept its terms on the Hub and set HF_TOKEN"
            ) from None
        except RevisionNotFoundError:
            raise WudiError(
                f"{model.source}: has no revision {model.revision!r}; name a branch, tag or commit"
            ) from None
        except RepositoryNotFoundError:
            raise WudiError(
                f"{model.source}: not found on the Hub; check `source` in params.yaml, or set HF_TOKEN if it is private"
            ) from None
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            # huggingface_hub does not repeat a file download that the server answered with 503.
            if attempt == ATTEMPTS:
                raise WudiError(
                    f"{model.source}: the Hub did not answer after {ATTEMPTS} attempts "
                    f"({str(error).splitlines()[0]}); run the same command again to go on where it stopped"
                ) from None
            time.sleep(2.0**attempt / 4)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    listed = {sibling.rfilename for sibling in info.siblings or []}
    for left in [file for file in partial.iterdir() if file.is_file() and file.name not in listed]:
        left.unlink()  # by an interrupted fetch from another source
    safetensors_files(partial)
    return {"revision": model.revision, "commit": info.sha}


if __name__ == "__main__":
    quiet()
    command(main)
