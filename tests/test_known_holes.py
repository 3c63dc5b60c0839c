"""No lock holds a release whose hole is known: the first release without it, per package, and why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("src/tahona/*/requirements/*.txt")])
FIRST_WITHOUT = {
    "aiohttp": ("3.13.3", "CVE-2025-69223: a small compressed body fills the memory"),
    "certifi": ("2024.7.4", "CVE-2024-39689: a root that is no longer trusted"),
    "cryptography": ("46.0.5", "CVE-2026-26007: points of small subgroups"),
    "fonttools": ("4.60.2", "CVE-2025-66034: writes files where a font file says"),
    "h11": ("0.16.0", "CVE-2025-43859: request smuggling by chunks"),
    "jinja2": ("3.1.6", "CVE-2025-27516: a way out of the sandbox"),
    "lightgbm": ("4.6.0", "CVE-2024-43598: a model file that writes beyond its memory"),
    "pillow": ("12.1.1", "CVE-2026-25990: an image that writes beyond its memory"),
    "protobuf": ("5.29.6", "CVE-2026-0994: JSON nested without bound"),
    "pyarrow": ("14.0.1", "CVE-2023-47248: a Parquet file that runs code"),
    "python-multipart": ("0.0.22", "CVE-2026-24486: an upload's name as a path; CVE-2024-53981: endless line breaks"),
    "requests": ("2.32.4", "CVE-2024-47081: a password sent to another host"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206: TfidfVectorizer keeps training text"),
    "skops": ("0.13.0", "CVE-2025-54412, -54413, -54886: a model file that runs code"),
    "starlette": (
        "0.49.1",
        "CVE-2025-62727: one Range header that takes minutes; CVE-2024-47874: a form without bound",
    ),
    "tornado": ("6.5.3", "CVE-2025-67724: a reason phrase that becomes a header"),
    "urllib3": ("2.6.3", "CVE-2026-21441: a compressed redirect without bound"),
    "werkzeug": ("3.1.5", "CVE-2026-21860: device names as paths"),
}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_is_past_the_holes_that_we_know(lock: Path) -> None:
    """A vulnerability scanner without a network skips what it cannot look up; this table does not."""
    pins = dict(re.findall(r"^([a-z0-9-]+)(?:\[[\w,-]+\])?==([\w.]+)", lock.read_text("utf-8"), re.MULTILINE))
    assert pins
    holes = [
        f"{name} {pins[name]}: {why}; gone with {first}"
        for name, (first, why) in FIRST_WITHOUT.items()
        if name in pins and Version(pins[name]) < Version(first)
    ]
    assert holes == []


def test_the_packages_that_read_what_strangers_send_are_looked_at() -> None:
    text = (ROOT / "requirements" / "dev.txt").read_text("utf-8")
    for name in ("h11", "jinja2", "python-multipart", "starlette", "pyarrow", "skops"):
        assert name in FIRST_WITHOUT
        assert re.search(rf"^{name}==", text, re.MULTILINE)
