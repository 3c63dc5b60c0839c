"""What must never be printed in full: values from the environment, and passwords inside an address."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from tahona.project.locate import Toml

MASK = "***"
SHORTEST_INSIDE = 4
"""A shorter secret is masked only where it is the whole value: as part of other words it would garble all of them."""

_PASSWORD = re.compile(r"(?P<before>://[^:@/?#\s]*:)(?P<secret>[^@/?#\s]+)(?=@)")
_QUERY = re.compile(
    r"(?P<before>[?&](?:[\w.-]*(?:password|passwd|pwd|secret|token|api_?key|access_?key|signature|credential)[\w.-]*|sig|key)=)"
    r"(?P<secret>[^&#\s]+)",
    re.IGNORECASE,
)


def credentials(text: str) -> tuple[str, ...]:
    """Return the passwords and tokens that an address holds in its user part or its query."""
    if "://" not in text:
        return ()
    return tuple(match["secret"] for pattern in (_PASSWORD, _QUERY) for match in pattern.finditer(text))


def hide(value: Toml, secrets: Collection[str]) -> Toml:
    """Return the value (text, list or table, to any depth) with every secret and every credential as ``***``."""
    return _map_text(value, lambda text: _hide_text(text, secrets))


def hide_credentials(value: Toml, secrets: Collection[str]) -> Toml:
    """Return the value with credentials masked in addresses only; plain texts stay, even those from the environment."""

    def in_address(text: str) -> str:
        if "://" not in text:
            return text
        return _hide_credentials(text) if text in secrets else _hide_text(text, secrets)

    return _map_text(value, in_address)


def _map_text(value: Toml, change: Callable[[str], str]) -> Toml:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_text(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_map_text(item, change) for item in value)
    return value


def _hide_credentials(text: str) -> str:
    if "://" not in text:
        return text
    for pattern in (_PASSWORD, _QUERY):
        text = pattern.sub(lambda match: match["before"] + MASK, text)
    return text


def _hide_text(text: str, secrets: Collection[str]) -> str:
    if text and text in secrets:
        return MASK
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_INSIDE:
            text = text.replace(secret, MASK)
    return _hide_credentials(text)
