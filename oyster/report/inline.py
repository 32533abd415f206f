"""A figure as part of the page: its SVG takes the page's colours, identifiers of its own, and names for its points."""

import re
from xml.etree import ElementTree

from oyster.report.figures.style import AGENT, CURVE, INK, PAPER, RULE

# Inside the page a figure takes the page's colours, so that it reads in the light and in the dark.
PAGE_COLOURS = {INK: "currentColor", PAPER: "var(--paper)", RULE: "var(--rule)"}
LONG_FRACTION = re.compile(r"(\.\d\d)\d+")
COORDINATES = {"d", "x", "y", "transform", "points", "width", "height"}
LINE = re.compile(r"\s*(?:[ML] -?[\d.]+ -?[\d.]+\s*)+")
STEP = re.compile(r"([ML]) (-?[\d.]+) (-?[\d.]+)")


def inline_svg(svg: str, name: str, label: str, styles: dict[str, str], side: str = "") -> str:
    """The figure as an element to put into the page.

    name: what its identifiers begin with, another for every figure. label: words for who cannot see. styles:
    declarations -> class, of the whole page; what is new here is added. A group whose identifier is
    `encoder|environment|seed|value` becomes a point of that name, after `side` (attribute data-point), which the
    page's script can say more about. `agent:<number>:<name>` and `curve:<anchor>:<name>` become data-encoder, which its
    filter knows; the latter can be led to, as `curve-<anchor>`.
    """
    root = ElementTree.fromstring(svg)
    for element in list(root):
        # The style sheet would reach the whole page; the metadata names addresses that nobody needs here.
        if element.tag.endswith("}metadata") or element.find("{*}style") is not None:
            root.remove(element)
    needed = set(re.findall(r"(?:url\(|href=\")#([^\")]+)", svg))
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        attributes = {}
        for key, value in element.attrib.items():
            key = key.rpartition("}")[2]
            if key == "id":
                if value.startswith((AGENT, CURVE)):
                    kind, place, attributes["data-encoder"] = value.split(":", 2)
                    if f"{kind}:" == CURVE:
                        attributes["id"] = f"{side}{kind}-{place}"
                elif value.count("|") >= 3:
                    attributes["data-point"] = side + value
                elif value in needed:
                    attributes["id"] = f"{name}-{value}"
                continue
            value = _adapted(key, value, name)
            if key == "style":
                key, value = "class", styles.setdefault(value, f"f{len(styles)}")
            attributes[key] = value
        element.attrib = attributes
        if element.tag != "text":  # elsewhere blanks are only the file's layout
            element.text = (element.text or "").strip() or None
        element.tail = (element.tail or "").strip() or None
    _unwrap(root)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def sheet(styles: dict[str, str]) -> str:
    """The classes that figures use, as a style sheet: each of many dots then names its look in three letters."""
    return "\n".join(f".{name} {{ {declarations} }}" for declarations, name in styles.items())


def _adapted(key: str, value: str, name: str) -> str:
    if key == "href":
        return value.replace("#", f"#{name}-")
    if key == "clip-path":
        return value.replace("url(#", f"url(#{name}-")
    if key == "style":
        return re.sub("|".join(PAGE_COLOURS), lambda match: PAGE_COLOURS[match[0]], value)
    if key == "d" and LINE.fullmatch(value):
        return _relative(value)
    if key in COORDINATES:
        return LONG_FRACTION.sub(r"\1", value)  # a hundredth of a point is finer than any screen
    return value


def _relative(path: str) -> str:
    """A path of straight lines in steps of a tenth of a point, each from where the last one ended: a third as long."""
    at, parts, last = (0, 0), [], ""
    for letter, x, y in STEP.findall(path):
        place = round(float(x) * 10), round(float(y) * 10)
        steps = " ".join(f"{(new - old) / 10:g}" for new, old in zip(place, at, strict=True))
        parts.append(f"{'' if letter == last == 'L' else letter.lower()}{steps}")
        at, last = place, letter
    return " ".join(parts)


def _unwrap(element: ElementTree.Element) -> None:
    """Put the children of groups that say nothing in the place of the group."""
    children = []
    for child in element:
        _unwrap(child)
        children += list(child) if child.tag == "g" and not child.attrib else [child]
    element[:] = children
