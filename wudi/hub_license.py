"""The license of a merge of models on the Hub, where the folders that were merged say nothing of it."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wudi.card import LICENSE, common, license_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

AT_COMMIT = re.compile(r"[\w.-]+/[\w.-]+@\w+")
LINE = re.compile(r"^No license is declared here.*$", flags=re.MULTILINE)


def licensed(api: "HfApi", card: str, record: Mapping[str, Any]) -> str:
    """The card with the license that all models of a merge declare on the Hub; as it is, if one is not there."""
    from huggingface_hub import ModelCard

    if not asks_the_hub(card, record):
        return card
    found = ModelCard(card)
    declared = {name.removeprefix("experts/"): declaration(api, source) for name, source in record["sources"].items()}
    for key, value in common(declared, LICENSE).items():
        found.data[key] = value
    found.text = LINE.sub(lambda _: license_line(declared), found.text)
    return str(found)


def asks_the_hub(card: str, record: Mapping[str, Any]) -> bool:
    """Whether the Hub may know a license that the card has not: where the base and all experts come from there."""
    from huggingface_hub import ModelCard

    sources = record.get("sources") or {}
    all_from_hub = len(sources) > len(record["experts"]) and all(map(AT_COMMIT.fullmatch, sources.values()))
    return all_from_hub and ModelCard(card).data.get("license") is None


def declaration(api: "HfApi", source: str) -> Mapping[str, Any]:
    """What a model's card on the Hub declares at the commit that was merged; nothing if it is not there to be read."""
    from huggingface_hub.errors import HfHubHTTPError

    repository, _, commit = source.partition("@")
    try:
        data = api.model_info(repository, revision=commit).card_data
    except HfHubHTTPError:  # gone, or not for everyone: no reason not to push
        return {}
    return data.to_dict() if data is not None else {}
