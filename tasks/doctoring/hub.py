"""The Hub: whether it knows the token, lets the models of params.yaml be read, and how much room they will take."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks import paths
from tasks.doctoring.finding import Finding, discreet, note, ok, problem
from tasks.fetching.folder import local_folder
from tasks.params import Model, Params

SECONDS = 4.0
"""Patience with one answer."""

IN_FLOAT32 = 2
"""A task vector is kept in float32, and most checkpoints in 16 bits."""


def hub_models(params: Params) -> dict[str, Model]:
    """The models of params.yaml that come from the Hub, by name."""
    models: dict[str, Model] = {"base": params.base, **params.experts}
    return {name: model for name, model in models.items() if ":" not in model.source and not local_folder(model.source)}


def token(models: Mapping[str, Model]) -> Iterator[Finding]:
    """The token for the Hub: whether the Hub knows it. It is sent to HF_ENDPOINT and never shown."""
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError

    where = discreet(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE:
        yield note("Hub token", "not looked at: HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE" if models else "")
    elif get_token() is None:
        text = "none, which public models do without"
        yield note("Hub token", text, "hf auth login") if models else ok("Hub token", text)
    else:
        try:
            name = HfApi().whoami().get("name", "somebody")
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status in (401, 403):
                yield problem("Hub token", f"{where} does not know it (status {status})", "hf auth login")
                return
            yield note("Hub token", f"{where} answers with status {status}", "look again later")
        except Exception as error:  # of the network
            text = f"{where} does not answer ({type(error).__name__})"
            yield problem("Hub token", text, f"curl --head {where}") if models else note("Hub token", text)
        else:
            yield ok("Hub token", f"valid, of {name} at {where}")


def models(params: Params) -> Iterator[Finding]:
    """Whether each model can be read with this token, and whether the disk has room for what becomes of them."""
    sizes = {}
    for name, model in hub_models(params).items():
        try:
            sizes[name] = weights_of(model)
        except Exception as error:  # of the Hub, or of the network on the way to it
            yield refusal(name, model, error)
    if len(sizes) == len(hub_models(params)):
        yield ok("Hub models", f"all {len(sizes)} can be read")
        yield room(params, sizes)


def weights_of(model: Model) -> int:
    """The bytes of a model's weights, when one of its files may be read: a gated one is listed for everybody."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url

    info = HfApi().model_info(model.source, revision=model.revision, files_metadata=True, timeout=SECONDS)
    files = {file.rfilename: file.size or 0 for file in info.siblings or []}
    for name in sorted(file for file in files if file.endswith("config.json"))[:1]:
        get_hf_file_metadata(hf_hub_url(model.source, name, revision=info.sha), timeout=SECONDS)
    return sum(size for file, size in files.items() if file.endswith(".safetensors"))


def refusal(name: str, model: Model, error: Exception) -> Finding:
    """Why a model cannot be read."""
    from tasks.fetching.hub_answers import refused

    where = name if name == "base" else f"experts.{name}"
    words = refused(model, error)
    if words is None:
        text = f"{where}: {model.source} does not answer ({type(error).__name__})"
        return problem("Hub models", text, "python -m tasks.preflight, which asks again and again")
    return problem("Hub models", f"{where}: {discreet(words)}", "hf auth login, or mend `source` in params.yaml")


def room(params: Params, sizes: Mapping[str, int]) -> Finding:
    """Whether there is space for models, task vectors and merged models that are not there yet: a rough guess."""
    base = sizes.get("base", 0)
    outputs = {paths.BASE: base, **dict.fromkeys(map(paths.merged, params.recipes), base)}
    for name in params.experts:
        outputs |= {paths.expert(name): sizes.get(name, 0), paths.task_vector(name): IN_FLOAT32 * sizes.get(name, 0)}
    needed, free = missing(outputs), shutil.disk_usage(Path()).free
    text = f"what is still to be fetched and made takes roughly {needed / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free"
    if needed > free:
        return problem("room", text, "python -m tasks.gc --dry, which says what could go; or fewer recipes")
    return ok("room", text)


def missing(outputs: Mapping[Path, int]) -> int:
    """The bytes of the outputs that are not there."""
    return sum(size for folder, size in outputs.items() if not folder.exists())
