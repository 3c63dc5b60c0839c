"""An environment per peer, made from the pins in requirements/ and used again as long as these are the same.

Each peer has one of its own, because no resolver puts them together without falling back to releases of years ago; that
the pinned releases are what is installed is checked each time an environment is made. `make lock-peers` resolves
requirements/NAME.in anew.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements")
INSTALLED = "import json, importlib.metadata as m; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"


def python_of(name: str, folder: Path, requirements: Path = REQUIREMENTS) -> Path:
    """Return the interpreter of a peer's environment, after making it if it is not as its pins say."""
    pins = (requirements / f"{name}.txt").read_text("utf-8")
    place = folder / name
    stamp = place / "pins.txt"
    python = place / "bin" / "python"
    if stamp.is_file() and stamp.read_text("utf-8") == pins:
        return python
    shutil.rmtree(place, ignore_errors=True)
    print(f"making the environment of {name}", file=sys.stderr, flush=True)
    subprocess.run([python_311(), "-m", "venv", place], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", requirements / f"{name}.txt"], check=True)
    if wrong := differing(pins, installed(python)):
        sys.exit(f"the environment of {name} is not as pinned: {', '.join(wrong)}")
    stamp.write_text(pins, "utf-8")
    return python


def python_311() -> str:
    """Return the Python that all peers run on; PyCaret 3.3.2 knows no later one."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    return shutil.which("python3.11") or sys.exit("the peers run on Python 3.11: put python3.11 on the PATH")


def installed(python: Path) -> dict[str, str]:
    said = subprocess.run([python, "-c", INSTALLED], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    return {plain(name): version for name, version in json.loads(said)}


def differing(pins: str, found: dict[str, str]) -> list[str]:
    """Return the pins that are not what is installed. Lines that are not a plain pin cannot be checked and differ."""
    wrong = []
    for line in filter(None, (line.strip() for line in pins.splitlines())):
        name, _, version = line.partition(";")[0].strip().partition("==")
        have = found.get(plain(name.partition("[")[0]))
        if have is None or have.partition("+")[0] != version:  # what follows + is the build, such as +cpu
            wrong.append(f"{line} (found {have})")
    return wrong


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
