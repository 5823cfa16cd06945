"""From matplotlib's SVG to an element that a page takes in: small, in the reader's colours, with words on the marks.

Whatever has an id stays out but the title and the description, so that pictures on one page share none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from tasks.pictures.inks import variable
from tasks.pictures.outlines import marker, outline, rounded

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
HOVER, BETWEEN = "hover:", "\u2028"
"""A mark's words stand in its id; between those of the markers of one line stands a sign that no name has."""
FONT = 9.5
PIXELS = 4 / 3
"""A point in CSS pixels: text of 9.5 points is read at 12.7 pixels."""
KEPT = (
    "stroke-width",
    "stroke-dasharray",
    "opacity",
    "fill-opacity",
    "stroke-opacity",
    "font-weight",
    "font-style",
    "text-anchor",
)
USUAL = {"stroke-width": "1", "text-anchor": "start", "opacity": "1", "font-weight": "400"}


def inline(drawn: bytes, key: str, title: str, description: str) -> str:
    """The picture as one `<svg>` element, named and described for those who do not see it."""
    root = ElementTree.fromstring(drawn)
    shapes = {str(path.get("id")): path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("id")}
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    name = f"picture-{quote(key, safe='')}"
    attributes = {
        "class": "picture",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-text",
        "viewBox": f"0 0 {rounded(width)} {rounded(height)}",
        "width": rounded(PIXELS * width),
        "height": rounded(PIXELS * height),
        "font-size": rounded(FONT),
    }
    picture = Element("svg", attributes)
    SubElement(picture, "title", id=f"{name}-title").text = title
    SubElement(picture, "desc", id=f"{name}-text").text = description
    picture.extend(together(marks(root, shapes)))
    return ElementTree.tostring(picture, encoding="unicode")


def marks(node: Element, shapes: Mapping[str, str], words: Sequence[str] = ()) -> Iterator[tuple[str, Element]]:
    """What is painted below a node, in order, each with the words on it."""
    if (name := node.get("id", "")).startswith(HOVER):
        words = name.removeprefix(HOVER).split(BETWEEN)
    uses = 0
    for child in node.findall("*"):
        tag = child.tag.removeprefix(SVG)
        text = words[0] if len(words) == 1 else ""
        if tag == "g":
            yield from marks(child, shapes, words)
        elif tag == "use":
            text = words[uses] if uses < len(words) else text
            uses += 1
            shape = shapes[child.attrib[LINK].removeprefix("#")]
            yield text, painted(marker(shape, float(child.get("x", 0)), float(child.get("y", 0))), child)
        elif tag == "text":
            yield text, written(child)
        elif tag == "path" and visible(look := style(child)):
            yield text, painted(outline(child.get("d", "")), child, look)


def together(found: Iterator[tuple[str, Element]]) -> Iterator[Element]:
    """The marks; those that follow each other with the same words on them become one group with a title."""
    group, last = Element("g"), ""
    for words, mark in found:
        if not words:
            yield mark
        elif words == last:
            group.append(mark)
        else:
            group = Element("g")
            SubElement(group, "title").text = words
            group.append(mark)
            yield group
        last = words


def painted(shape: tuple[str, dict[str, str]], node: Element, look: Mapping[str, str] | None = None) -> Element:
    """A path or a circle in the inks of a node of matplotlib's."""
    tag, place = shape
    look = style(node) if look is None else look
    attributes = {name: ink for name in ("fill", "stroke") if (ink := coloured(look.get(name))) is not None}
    if "stroke" not in attributes:
        look = {name: value for name, value in look.items() if not name.startswith("stroke")}
    return Element(tag, {**place, **attributes, **kept(look)})


def written(node: Element) -> Element:
    """A text with its place, its ink and, where they are not the usual ones, its size and its direction."""
    look = style(node)
    places = ("x", "y")
    attributes: dict[str, str] = {at: rounded(float(node.attrib[at])) for at in places if at in node.attrib}
    attributes |= {"fill": variable(look.get("fill", "#000000")), **kept(look)}
    if (size := look["font-size"].removesuffix("px")) != rounded(FONT):
        attributes["font-size"] = size
    turns = node.get("transform", "").replace("rotate(-0 ", "rotate(0 ")
    if not turns.startswith("rotate(0 "):
        attributes["transform"] = re.sub(r"-?\d+\.?\d*", lambda number: rounded(float(number[0])), turns)
    element = Element("text", attributes)
    element.text = node.text
    return element


def style(node: Element) -> dict[str, str]:
    """The declarations of a style attribute."""
    pairs = (declaration.split(":", 1) for declaration in node.get("style", "").split(";") if declaration.strip())
    return {name.strip(): value.strip() for name, value in pairs}


def kept(look: Mapping[str, str]) -> dict[str, str]:
    """The declarations that say more than what is usual anyway."""
    return {name: look[name] for name in KEPT if name in look and look[name] != USUAL.get(name)}


def visible(look: Mapping[str, str]) -> bool:
    """Whether anything is painted at all."""
    return look.get("fill", "#000000") != "none" or "stroke" in look


def coloured(colour: str | None) -> str | None:
    """A colour as a variable of the reader's scheme."""
    return colour if colour in (None, "none") else variable(str(colour))
