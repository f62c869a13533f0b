"""A CPU sampler for one thread, and its flame graph as SVG."""

import html
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

INTERVAL_S = 0.001
WIDTH, ROW, MARGIN = 1200, 16, 24
LEAST_SHARE = 0.004
"""Frames below this share of the samples are not drawn, because they would be unreadable and enlarge the file."""
LETTER = 6.2
OURS = ("aiinfra", "queue_app", "cost_app", "cache_app")
COLORS = {"ours": "#f4a259", "django": "#8cb3d9", "redis": "#e07a7a", "other packages": "#a3c9a8", "Python": "#c9c9c9"}
Stack = tuple[str, ...]


@dataclass
class Node:
    """A frame with everything that it called. `name` is package:module.function."""

    name: str
    samples: int = 0
    below: dict[str, "Node"] = field(default_factory=dict)


def sampled(run: Callable[[], object]) -> "Counter[Stack]":
    """Call `run` and count the stacks of the main thread, one for each millisecond of CPU."""
    stacks: Counter[Stack] = Counter()
    base: list[FrameType] = []

    def sample(_number: int, frame: FrameType | None) -> None:
        stacks[_stack(frame, base[0])] += 1

    def measured() -> None:
        base.append(sys._getframe())
        run()

    before = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    try:
        measured()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return stacks


def _stack(frame: FrameType | None, base: FrameType) -> Stack:
    names: list[str] = []
    while frame is not None and frame is not base:
        names.append(_name(frame.f_code))
        frame = frame.f_back
    return tuple(reversed(names))


@cache
def _name(code: CodeType) -> str:
    path = Path(code.co_filename)
    parts = path.with_suffix("").parts
    if "site-packages" in parts:
        parts = parts[parts.index("site-packages") + 1 :]
    elif mine := next((part for part in parts if part in OURS), None):
        parts = parts[parts.index(mine) :]
    else:
        parts = ("python", *parts[-1:])
    module = ".".join(part for part in parts[1:] if part != "__init__") or parts[0]
    return f"{parts[0]}:{module}.{code.co_qualname}"


def kind_of(name: str) -> str:
    """Whose code a frame is."""
    package = name.partition(":")[0]
    if package in OURS:
        return "ours"
    return {"django": "django", "redis": "redis", "python": "Python"}.get(package, "other packages")


def shares(stacks: "Counter[Stack]") -> dict[str, float]:
    """Whose code was running, as shares of the CPU."""
    own: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[kind_of(stack[-1]) if stack else "Python"] += count
    return {kind: count / own.total() for kind, count in own.most_common()}


def tree_of(stacks: "Counter[Stack]") -> Node:
    """All stacks as one tree."""
    root = Node("all")
    for stack, count in stacks.items():
        node = root
        node.samples += count
        for name in stack:
            node = node.below.setdefault(name, Node(name))
            node.samples += count
    return root


def flame_graph(title: str, stacks: "Counter[Stack]") -> str:
    """An SVG: callers above what they call, as wide as their share of the CPU; exact figures in the tooltips."""
    root = tree_of(stacks)
    boxes: list[str] = []
    deepest = _draw(root, root.samples, 0.0, 0, boxes)
    height = MARGIN * 2 + (deepest + 1) * ROW
    legend = "".join(
        f'<rect x="{600 + 120 * n}" y="6" width="12" height="12" fill="{color}"/>'
        f'<text x="{616 + 120 * n}" y="16">{kind}</text>'
        for n, (kind, color) in enumerate(COLORS.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="10.5"><rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="4" y="16" font-size="13">{html.escape(title)}</text>{legend}{"".join(boxes)}</svg>\n'
    )


def _draw(node: Node, total: int, left: float, depth: int, boxes: list[str]) -> int:
    """Draw a frame and what it called. Returns the deepest row used."""
    share = node.samples / total
    if share < LEAST_SHARE:
        return depth - 1
    x, width, y = left * WIDTH, share * WIDTH, MARGIN + depth * ROW
    label = node.name.rpartition(":")[2]
    tip = html.escape(f"{node.name}: {share:.1%}")
    color = COLORS[kind_of(node.name)]
    boxes.append(f'<g><title>{tip}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="15" fill="{color}"/>')
    if width > 4 * LETTER:
        shown = ".".join(label.split(".")[-2:])[: int(width / LETTER)]
        boxes.append(f'<text x="{x + 2:.1f}" y="{y + 11}">{html.escape(shown)}</text>')
    boxes.append("</g>")
    deepest = depth
    for child in sorted(node.below.values(), key=lambda each: -each.samples):
        deepest = max(deepest, _draw(child, total, left, depth + 1, boxes))
        left += child.samples / total
    return deepest
