"""Where a model's files can be looked at before they are fetched."""

from tasks.fetching.folder import local_folder
from tasks.params import Model


def location(model: Model) -> str | None:
    """A local folder, or a URL that fsspec reads, at one commit where the Hub has it; None for a model of the zoo.

    Raises:
        WudiError: The Hub refuses, does not answer, or has no such model.
    """
    if model.source.startswith("zoo:"):
        return None
    folder = local_folder(model.source)
    if folder is not None:
        return str(folder)
    if "://" in model.source:
        return model.source
    from tasks.fetching.hub import resolve  # takes its time to import

    return f"hf://{model.source}@{resolve(model).commit}"
