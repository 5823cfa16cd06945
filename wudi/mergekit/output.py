"""What mergekit's file says of the data type, the tokenizer and the chat template of what is written."""

from collections.abc import Mapping
from typing import Any, get_args

from wudi.errors import WudiError
from wudi.job import DType
from wudi.mergekit.notes import Notes
from wudi.mergekit.reading import Config
from wudi.mergekit.reference import Reference

UNION_OF_ONE = "the base's tokens and those that only the experts have, with the base's special tokens and template"


def merge_section(config: Config, notes: Notes) -> dict[str, str]:
    """The section `merge`: where, in what data type, and with whose tokens."""
    return {"device": "auto", "dtype": dtype(config.values, notes), "vocabulary": vocabulary(config, notes)}


def dtype(values: Mapping[str, Any], notes: Notes) -> str:
    """The data type of what is written: mergekit's `out_dtype`, or the one in which it computes."""
    computes, writes = (str(values.get(key) or "").removeprefix("torch.") for key in ("dtype", "out_dtype"))
    if computes and computes != "float32":
        notes.tell("dtype", f"mergekit computes in {computes}; here arithmetic is float32, rounded once on writing")
    found = writes or computes or "auto"
    if found not in get_args(DType):
        key = "out_dtype" if writes else "dtype"
        notes.lose(key, f"got {found}; the merged model has the base's own (auto), or {', '.join(get_args(DType)[1:])}")
        return "auto"
    return found


def vocabulary(config: Config, notes: Notes) -> str:
    """Whose tokens the merged model has: without a word on it, models with other tokens are an error in both."""
    values = config.values
    place, found = "tokenizer_source", values.get("tokenizer_source")
    if tokenizer := values.get("tokenizer"):
        if not isinstance(tokenizer, dict):
            raise WudiError(f"tokenizer: got {tokenizer!r}; takes a mapping with source")
        place, found = "tokenizer.source", tokenizer.get("source", "union")
        for key in ("tokens", "pad_to_multiple_of"):
            if tokenizer.get(key):
                notes.lose(f"tokenizer.{key}", "rows are the base's here, and those of added tokens follow them")
    if values.get("chat_template"):
        notes.lose(
            "chat_template", "the base's stays; for another one, have it in the base's folder as chat_template.jinja"
        )
    if found in (None, "base", "union"):
        return "error" if found is None else str(found)
    if config.base is not None and Reference.parse(place, found) == config.base:
        return "base"
    notes.lose(place, f"got {found}, one of the experts; here the tokens are {UNION_OF_ONE} (vocabulary: union)")
    return "union"
