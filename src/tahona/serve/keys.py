"""Keys: who may ask a server for what. `.tahona/keys.json` holds their digests; a key itself is shown once, when made.

A key is ``tahona_<id>_<secret>``. The secret is 256 random bits, which nobody can guess: one round of SHA-256 with a
salt is all that its digest needs, and costs a request a microsecond. Where there is no file, nobody needs a key, and a
server listens on a loopback address only.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tahona.errors import InputError, IntegrityError
from tahona.files import write_whole
from tahona.serve.access import SCOPES, Scope

FORMAT = 1
"""Version of the file's format."""
PREFIX = "tahona"
_NOBODY = "-" * 64
"""A digest that no secret has."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; the secret is not."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    salt: str
    digest: str
    created: str
    last: str
    """The secret's last four characters, by which its owner tells it from others."""


def keys_file(root: Path) -> Path:
    """Return where a project's keys are."""
    return root / ".tahona" / "keys.json"


def create_key(root: Path, name: str, scopes: Sequence[str]) -> tuple[Key, str]:
    """Make a key and return it with its text, which nobody can get again. Raise InputError for a taken name."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        what = f"there is no scope '{unknown[0]}'" if unknown else "the key would have no scope"
        raise InputError(what, where="--scope", fix=f"scopes: {', '.join(SCOPES)}")
    if not name.strip() or not name.isprintable() or len(name) > 80:
        raise InputError("a key's name is a text of 1 to 80 characters", where="NAME")
    with _changing(root) as keys:
        if any(key.name == name for key in keys):
            raise InputError(f"there is a key '{name}' already", where="NAME", fix="tahona keys list shows all")
        secret, salt = secrets.token_urlsafe(32), secrets.token_hex(16)
        key = Key(
            id=secrets.token_hex(4),
            name=name,
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            salt=salt,
            digest=_digest(salt, secret.encode()),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            last=secret[-4:],
        )
        keys.append(key)
    return key, f"{PREFIX}_{key.id}_{secret}"


def remove_key(root: Path, reference: str) -> Key:
    """Take a key away by its id or name; running servers refuse it within a second. Raise InputError for none such."""
    with _changing(root) as keys:
        found = next((key for key in keys if reference in (key.id, key.name)), None)
        if found is None:
            raise InputError("there is no such key", where=reference, fix="tahona keys list shows all")
        keys.remove(found)
    return found


def read_keys(file: Path) -> Mapping[str, Key] | None:
    """Return the keys by id, None where there is no file. Raise IntegrityError for a file that is not Tahona's."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise IntegrityError(f"the keys have format {document['format']}", where=str(file), fix="update tahona")
        keys = [Key(**{**each, "scopes": tuple(each["scopes"])}) for each in document["keys"]]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            "the file of keys is damaged", where=str(file), fix="bring it back, or remove it and create the keys anew"
        ) from error
    return {key.id: key for key in keys}


def find_key(keys: Mapping[str, Key], text: bytes) -> Key | None:
    """Return the key that was sent; how long it takes does not tell how much of it was right."""
    prefix, _, rest = text.partition(b"_")
    name, _, secret = rest.partition(b"_")
    key = keys.get(name.decode("ascii", "replace")) if prefix == b"tahona" else None
    salt, kept = ("", _NOBODY) if key is None else (key.salt, key.digest)
    return key if hmac.compare_digest(_digest(salt, secret), kept) else None


def _digest(salt: str, secret: bytes) -> str:
    return hashlib.sha256(salt.encode() + secret).hexdigest()


@contextmanager
def _changing(root: Path) -> Iterator[list[Key]]:
    """Give the keys to be changed, and write them when that is done; nobody else changes them meanwhile."""
    file = keys_file(root)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list((read_keys(file) or {}).values())
        yield keys
        text = json.dumps({"format": FORMAT, "keys": [asdict(key) for key in keys]}, indent=1, ensure_ascii=False)
        write_whole(file, text + "\n", private=True)
