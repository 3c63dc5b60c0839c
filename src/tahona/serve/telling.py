"""The server's log: one JSON object per line on standard error, never a cell of anybody's row."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

from tahona.clock import now


def tell(event: str, **facts: object) -> None:
    """Write one line; of several processes on one pipe, each line stays whole. Where nobody reads it, it is lost."""
    line = {"time": now(), "event": event, **facts}
    with suppress(OSError):
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()
