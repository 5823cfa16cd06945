"""Revisions written into params.yaml, of which every other byte stays: comments, order, quotes, widths."""

import copy
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tasks.params import load_params
from tasks.pinning.models import models_of, place
from tasks.pinning.pins import Pin
from tasks.stage import known
from wudi.errors import WudiError
from wudi.strict_yaml import parse

KEY = "revision"
ROUNDS = 3
Revisions = Mapping[str, str | None]


def write_pins(path: Path, pins: Sequence[Pin]) -> bool:
    """Set the revisions of a params.yaml to their commits; the file appears whole, and not anew if nothing differs.

    Returns:
        Whether the file was written.

    Raises:
        ParamsError: The file is missing or has mistakes.
        WudiError: It has no such model, or is written in a way that nothing but a person can edit.
    """
    params = load_params(path)
    models = models_of(params)
    wanted = {name: model.revision for name, model in models.items()}
    wanted |= {known("experts", pin.name, models): pin.commit for pin in pins}
    text = path.read_bytes().decode("utf-8")
    edited = with_revisions(text, wanted)
    if edited is None:
        raise WudiError(
            f"{path}: the revisions cannot be replaced as it is written; give each model a line `{KEY}: ...` of its own"
        )
    if edited == text:
        return False
    replace(path, edited.encode("utf-8"))
    return True


def with_revisions(text: str, wanted: Revisions) -> str | None:
    """The text with other revisions; None if it then says something else besides."""
    before = parse(text)
    edited = text
    # Where models share an anchor, setting one sets the others: those are set back in the next round.
    try:
        for _ in range(ROUNDS):
            values = parse(edited)
            for name in (name for name in wanted if section(values, name)[KEY] != wanted[name]):
                edited = with_revision(edited, name, wanted[name])
        return edited if parse(edited) == replaced(before, wanted) else None
    except yaml.YAMLError:
        return None


def replaced(values: Any, wanted: Revisions) -> Any:
    """The values of a file with other revisions."""
    values = copy.deepcopy(values)
    for name, revision in wanted.items():
        section(values, name)[KEY] = revision
    return values


def section(values: Any, name: str) -> Any:
    """The part of a file's values that is about a model."""
    return values["base"] if name == "base" else values["experts"][name]


def with_revision(text: str, name: str, revision: str | None) -> str:
    """The text with another revision of one model."""
    model = yaml.compose(text, Places)
    for key in place(name).split("."):
        model = value_of(model, key)
    assert isinstance(model, yaml.MappingNode)
    node = value_of(model, KEY)
    if node is None:
        return with_first_key(text, model, revision)
    start, end = node.start_mark.index, node.end_mark.index
    return text[:start] + in_place_of(text[start:end], text[:start], revision) + text[end:]


class Places(yaml.SafeLoader):
    """The nodes of a file where they stand: an alias is a node too, and not the one that it refers to."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The node; that of an alias for a scalar has the marks of the alias."""
        alias = self.peek_event() if self.check_event(yaml.AliasEvent) else None
        node: yaml.Node | None = super().compose_node(parent, index)
        if alias is not None and isinstance(node, yaml.ScalarNode):
            return yaml.ScalarNode(node.tag, node.value, alias.start_mark, alias.end_mark)
        return node


def value_of(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The node of a key's value; None where the key is missing, or comes with a merge (`<<`)."""
    assert isinstance(node, yaml.MappingNode)
    return next((value for found, value in node.value if found.value == key), None)


def in_place_of(old: str, before: str, revision: str | None) -> str:
    """A revision in the form of a value that stands behind `before`: with its anchor, its quotes, its line end."""
    properties = re.match(r"(?:!\S*\s+)?(&[^\s,\[\]{}]+)?", old)
    anchor = properties[1] if properties else None
    style = next((quote for quote in "'\"" if old.endswith(quote)), "")
    line_end = old[len(old.rstrip()) :]
    lead = "" if old else " " if before.endswith(":") else ": "
    return lead + (f"{anchor} " if anchor else "") + scalar(revision, style) + line_end


def with_first_key(text: str, model: yaml.MappingNode, revision: str | None) -> str:
    """The text with a revision before the first key of a model, which so far has it from a merge."""
    mark = model.value[0][0].start_mark
    newline = "\r\n" if "\r\n" in text else "\n"
    between = ", " if model.flow_style else newline + " " * mark.column
    return text[: mark.index] + f"{KEY}: {scalar(revision, '')}{between}" + text[mark.index :]


def scalar(revision: str | None, quote: str) -> str:
    """A revision in YAML, as text for its readers of every version: to some, 12e5 is a number."""
    if revision is None:
        return "null"
    if not re.fullmatch(r"[0-9a-f]+", revision):
        return json.dumps(revision)
    quote = quote or ("" if re.search("[acdf]", revision) else "'")
    return f"{quote}{revision}{quote}"


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the permissions that it has; a link to it stays one."""
    path = path.resolve()
    half_written = path.with_name(f".{path.name}.tmp")
    with half_written.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    shutil.copymode(path, half_written)
    half_written.replace(path)
