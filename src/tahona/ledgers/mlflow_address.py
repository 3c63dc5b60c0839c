"""Where an MLflow ledger is: `mlflow+` before the address of a server or of a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from tahona.digests import digest_bytes
from tahona.errors import InputError
from tahona.lifecycle.environments import cache_folder

FORM = "mlflow+sqlite:///.tahona/mlflow.db, mlflow+postgresql://user:${PASSWORD}@host/database, mlflow+http://host:5000"
_ARTIFACTS = "artifacts"


@dataclass(frozen=True, slots=True)
class MlflowAddress:
    """An MLflow tracking server, or a database that MLflow's own client opens without one."""

    tracking: str
    """What MLflow calls the tracking URI. It may hold a password."""
    place: str
    """The same as it may be printed."""
    artifacts: str | None
    """Where figures, reports and models go; None: the server's affair."""
    lock: Path
    """The file that Tahona's processes on this machine lock while they write."""

    @property
    def is_server(self) -> bool:
        return self.artifacts is None

    def masked(self, text: str) -> str:
        """Return the text without the address's password."""
        secret = urlsplit(self.tracking).password
        return text.replace(secret, "***") if secret else text


def parse_address(text: str, root: Path) -> MlflowAddress:
    """Read `mlflow+sqlite:///FILE`, `mlflow+postgresql://…`, `mlflow+http(s)://…`; relative files start at ``root``.

    A database takes `?artifacts=PLACE` (a folder or s3://bucket/prefix; `.tahona/mlflow_artifacts` without it). Raise
    InputError for any other address, MLflow's store of plain files among them.
    """
    kind, plus, rest = text.partition("+")
    scheme = rest.partition("://")[0].lower()
    if kind.lower() != "mlflow" or not plus or (scheme not in ("sqlite", "http", "https") and not _postgres(scheme)):
        raise InputError(
            "an MLflow ledger is a server, or a database in SQLite or PostgreSQL",
            where="stores.ledger",
            fix=f"one of {FORM}",
        )
    return _server(rest) if scheme.startswith("http") else _database(rest, root)


def _postgres(scheme: str) -> bool:
    return scheme.partition("+")[0] in ("postgresql", "postgres")


def _server(text: str) -> MlflowAddress:
    parts = urlsplit(text)
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip("/")
    return MlflowAddress(text.rstrip("/"), shown, None, _lock_of(shown))


def _database(text: str, root: Path) -> MlflowAddress:
    from tahona.ledgers.address import file_of, parse, shown, under

    text, artifacts = _without_artifacts(text)
    url = under(root, parse(text))
    file = file_of(url)
    place = shown(url)
    folder = artifacts or str(root / ".tahona" / "mlflow_artifacts")
    if "://" not in folder:
        folder = (root / folder).resolve().as_uri()
    lock = _lock_of(place) if file is None else file.with_name(f"{file.name}.lock")
    return MlflowAddress(url.render_as_string(hide_password=False), place, folder, lock)


def _without_artifacts(text: str) -> tuple[str, str]:
    """Take our own option out of the database's address."""
    head, _, query = text.partition("?")
    options = query.split("&") if query else []
    ours = [option for option in options if option.startswith(f"{_ARTIFACTS}=")]
    kept = "&".join(option for option in options if option not in ours)
    wanted = dict(parse_qsl("&".join(ours))).get(_ARTIFACTS, "")
    return f"{head}?{kept}" if kept else head, wanted


def _lock_of(place: str) -> Path:
    return cache_folder() / "locks" / f"{digest_bytes(place.encode())[:16]}.lock"
