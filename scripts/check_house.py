"""Check what no tool checks: locks name no address, pins have hashes, no `except` swallows, no path of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"https?://\S+\.(?:whl|tar\.gz|tgz)\b|--(?:extra-)?index.url|--find.links")
HOME = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+)/")


def main() -> int:
    problems = [*locks(), *excepts(), *paths()]
    print("\n".join(problems) or "locks, excepts and paths are as they should be")
    return 1 if problems else 0


def locks() -> Iterator[str]:
    """Every line of a lock is a pinned name with hashes, and names no download address."""
    for file in sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("src/tahona/*/requirements/*.txt")]):
        text = file.read_text("utf-8")
        if ADDRESS.search(text):
            yield f"{file.name}: names a download address"
        pins = [block for block in re.split(r"\n(?=\S)", text) if block.strip() and not block.startswith("#")]
        for pin in pins:
            if "==" not in pin.split("\n")[0] or "--hash=sha256:" not in pin:
                yield f"{file.name}: not pinned with a hash: {pin.splitlines()[0]}"
    if (ROOT / "uv.lock").exists():
        yield "uv.lock names download addresses: remove it"


def excepts() -> Iterator[str]:
    """A broad `except` re-raises, or is the process border in tahona.cli."""
    for file in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            )
            silent = not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            if broad and silent:
                yield f"{file.relative_to(ROOT)}:{node.lineno}: a broad except that does not re-raise"


def paths() -> Iterator[str]:
    """No tracked text names somebody's home."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    for name in filter(None, listed):
        file = ROOT / name
        if file == Path(__file__) or not file.is_file():
            continue
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if HOME.search(text):
            yield f"{name}: holds a path of one machine"


if __name__ == "__main__":
    sys.exit(main())
