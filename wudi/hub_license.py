"""The license of a merge of models on the Hub, where the folders that were merged say nothing of it."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wudi.card import LICENSE, common, license_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

AT_COMMIT = re.compile(r"([\w.-]+/[\w.-]+)@(\w+)")
LINE = re.compile(r"^No license is declared here.*$", flags=re.MULTILINE)


def licensed(api: "HfApi", card: str, record: Mapping[str, Any]) -> str:
    """The card with the license that all models of a merge declare on the Hub; as it is, if one is not there."""
    from huggingface_hub import ModelCard

    found = ModelCard(card)
    sources = {name.removeprefix("experts/"): source for name, source in (record.get("sources") or {}).items()}
    if found.data.get("license") is not None or len(sources) <= len(record["experts"]):
        return card
    declared = {name: declaration(api, source) for name, source in sources.items()}
    for key, value in common(declared, LICENSE).items():
        found.data[key] = value
    found.text = LINE.sub(lambda _: license_line(declared), found.text)
    return str(found)


def declaration(api: "HfApi", source: str) -> Mapping[str, Any]:
    """What a model's card on the Hub declares at the commit that was merged; nothing if it is not there to be read."""
    from huggingface_hub.errors import HfHubHTTPError

    match = AT_COMMIT.fullmatch(source)
    if match is None:
        return {}
    try:
        data = api.model_info(match[1], revision=match[2]).card_data
    except HfHubHTTPError:  # gone, or not for everyone: no reason not to push
        return {}
    return data.to_dict() if data is not None else {}
