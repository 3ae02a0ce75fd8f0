"""Charts as SVG that stands in the page itself, in its colours, and says in words what it shows."""

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from markupsafe import Markup

HEIGHT, WIDTH = 300, 880


class Point(NamedTuple):
    """A day that stands out, and where to read about it."""

    day: date
    value: float
    label: str
    href: str


def daily(
    title: str,
    lines: Mapping[str, Sequence[tuple[date, float | None]]],
    *,
    description: str,
    points: Sequence[Point] = (),
) -> Markup:
    """Values by day.

    Args:
        title: of the chart.
        lines: by name, which is their class in the style sheet; a day without a value interrupts its line.
        description: what there is to see, for those who do not see it.
        points: days to mark on it.

    Returns:
        An `svg` element without any style or script: those of the page are its own.
    """
    from pygal import Config, DateLine

    # It finds plug-ins with maps by a protocol that Python 3.12 has given up; all other imports would ask it, too.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "PluginImportFixer"]
    config = Config(
        width=WIDTH, height=HEIGHT, margin=4, margin_left=0, css=(), js=(), show_dots=False, show_legend=False,
        disable_xml_declaration=True, include_x_axis=True, x_value_formatter=_day,
        value_formatter=lambda value: f"{value:g}", tooltip_border_radius=0, truncate_label=-1, no_prefix=True,
        max_scale=6, allow_interruptions=True, explicit_size=False,
    )  # fmt: skip
    chart = DateLine(config)
    days = sorted({day for line in lines.values() for day, _ in line})
    chart.x_labels = _labels(days)
    for name, line in lines.items():
        chart.add(name, list(line))
    if points:
        chart.add(
            "unusual days",
            [
                {
                    "value": (point.day, point.value),
                    "label": point.label,
                    "xlink": {"href": point.href, "target": "_self"},
                }
                for point in points
            ],
            stroke=False,
            show_dots=True,
            dots_size=5,
        )
    chart.add_xml_filter(lambda root: _bare(root, title, description, [*lines]))
    svg: str = chart.render(is_unicode=True)
    return Markup(svg)  # noqa: S704 – made here, of numbers and of text that was escaped


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _labels(days: Sequence[date]) -> list[date]:
    """Some eight days to name below the chart."""
    step = max(len(days) // 8, 1)
    return list(days[::step])


def _bare(root: Any, title: str, description: str, names: Sequence[str]) -> Any:
    """Take away what the page has itself (style, script, tooltips), and give names to what had none."""
    parents = {child: parent for parent in root.iter() for child in parent}
    labels = {
        parents[node]: node.text for node in parents if node.get("class") == "label" and node.tag == "desc"
    }
    for node, parent in parents.items():
        comment = not isinstance(node.tag, str)
        if (
            comment
            or node.tag in {"defs", "title", "desc", "rect"}
            or set(node.get("class", "").split()) & _UNUSED
        ):
            parent.remove(node)
    for node in root.iter("a"):
        node.set("href", node.attrib.pop(_XLINK))
        node.set("aria-label", labels[node])
        _say(node, "title", labels[node])
    for node in root.iter("g"):
        kind = node.get("class", "").split()
        if kind[:1] == ["series"]:
            number = int(kind[1].removeprefix("serie-"))
            node.set("class", f"series {names[number]}" if number < len(names) else "series points")
    for node in root.iter("text"):
        node.set("aria-hidden", "true")  # the table behind the chart says it better
    root.attrib.pop("id")
    root.set("role", "group")
    root.set("aria-label", title)
    _say(root, "desc", description)
    _say(root, "title", title)
    return root


def _say(node: Any, tag: str, text: str) -> None:
    """Give a node a first child with a text."""
    child = node.makeelement(tag, {})
    child.text = text
    node.insert(0, child)


_XLINK = "{http://www.w3.org/1999/xlink}href"
_UNUSED = {"titles", "text-overlay", "tooltip-overlay"}
