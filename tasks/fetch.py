"""Bring a model into the project: `python -m tasks.fetch base` or `python -m tasks.fetch expert NAME`."""

import shutil
from pathlib import Path

from tasks import paths
from tasks.console import command, quiet, step
from tasks.fetching.folder import fetch_folder, local_folder
from tasks.fetching.provenance import Fetched, write_provenance
from tasks.params import Model, Params, load_params
from tasks.preflight import preflight_once
from tasks.stage import known, parse_model
from wudi.errors import WudiError
from wudi.folder import is_adapter

EXAMPLES = (
    ("python -m tasks.fetch base", "the model that the experts were fine-tuned from"),
    ("python -m tasks.fetch expert math", "one expert, by its name in params.yaml"),
    ("HF_ENDPOINT=https://hub.example.org python -m tasks.fetch base", "from a Hub of your own"),
)


def main() -> None:
    """Fetch the base or one expert and write down where it came from."""
    kind, name = parse_model(
        ["base", "expert"],
        prog="python -m tasks.fetch",
        description="Bring a model into the project: from the Hub, a folder, a store such as s3://, or the zoo.",
        reads="params.yaml: base, experts, zoo",
        writes="models/base or models/experts/NAME; what an interrupted run brought is kept for the next",
        examples=EXAMPLES,
    )
    params = load_params()
    model: Model = params.base
    if kind == "expert":
        model = params.experts[known("experts", name, params.experts)]
    preflight_once(params)
    fetch(model, paths.BASE if kind == "base" else paths.expert(name), params)
    step(f"fetched {name if kind == 'base' else f'expert {name}'} from {model.source}")


def fetch(model: Model, target: Path, params: Params) -> None:
    """Make `target` a copy of the model's files; it appears under its name only when it is complete.

    What an interrupted fetch brought lies in `target`.partial, and the next one goes on there.

    Raises:
        WudiError: The source is not there, refuses, is damaged or holds nothing that can be merged.
    """
    partial = target.with_name(target.name + ".partial")
    fetched = bring(model, partial, params)
    if target == paths.BASE and is_adapter(partial):
        shutil.rmtree(partial)
        raise WudiError(f"{model.source}: is a PEFT adapter; name the model that it was trained on as the base")
    write_provenance(partial, model.source, fetched)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def bring(model: Model, partial: Path, params: Params) -> Fetched:
    """Fill the partial folder, each kind of source with its own libraries, some of which are slow to import."""
    folder = local_folder(model.source)
    if model.revision is not None and (folder is not None or ":" in model.source):
        raise WudiError(
            f"{model.source}: got revision {model.revision!r}, but the Hub alone has revisions; set it to null"
        )
    if folder is not None:
        return fetch_folder(folder, partial)
    if model.source.startswith("zoo:"):
        from tasks.fetching.zoo import fetch_zoo

        return fetch_zoo(model.source.removeprefix("zoo:"), partial, params.zoo)
    if "://" in model.source:
        from tasks.fetching.remote import fetch_remote

        return fetch_remote(model.source, partial)
    from tasks.fetching.hub import fetch_hub

    return fetch_hub(model, partial)


if __name__ == "__main__":
    quiet()
    command(main)
