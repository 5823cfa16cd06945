"""The tokens of an expert that its base has not, beside the task vector that keeps their rows."""

import json
from collections.abc import Mapping
from pathlib import Path

from wudi.errors import WudiError

FILE = "vocabulary.json"
Flags = Mapping[str, bool]
"""What the tokenizers library keeps of a token that was added to a finished vocabulary."""


def new_tokens_text(tokens: Mapping[str, Flags]) -> str:
    """The content of the file; tokens stand in the order of their rows."""
    return json.dumps({"new_tokens": [{"token": token, **flags} for token, flags in tokens.items()]}, indent=1) + "\n"


def read_new_tokens(folder: Path | None) -> dict[str, dict[str, bool]]:
    """The tokens with their flags, in the order of their rows; none where the folder has no such file.

    Raises:
        WudiError: The file is damaged.
    """
    file = None if folder is None else folder / FILE
    if file is None or not file.is_file():
        return {}
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))["new_tokens"]
        return {entry.pop("token"): entry for entry in listed}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WudiError(f"{file}: names no tokens ({error}); write the task vector again") from None
