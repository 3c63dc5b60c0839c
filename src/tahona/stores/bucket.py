"""A place in an S3 bucket: one method per kind of request, and every refusal in our own words.

Nothing else in Tahona knows boto3. Its own repeats are switched off: `tahona.stores.retry` decides.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError

from tahona.errors import InputError, SetupError, TahonaError, TransientError
from tahona.project.dotenv import read_dotenv
from tahona.project.secrets import hide
from tahona.stores.retry import Backoff

Answer = TypeVar("Answer")

LARGE = 32 << 20
"""Bytes from which a file goes up in parts."""
PART = 16 << 20
MOST_PARTS = 10_000
SILENCE = 5.0
"""Seconds after which a server that says nothing counts as gone; TAHONA_S3_TIMEOUT replaces it."""
_PLACE = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^\s?#\\]*))?")
_NOT_KNOWN = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired"}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_TAKEN = {"PreconditionFailed", "412"}
_PASSING = {
    *("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "RequestTimeout"),
    *("InternalError", "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict", "IncompleteBody"),
    *("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
}
"""Refusals that a repeat may not meet: too much at once, a race, bytes that changed on their way."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a server tells of an object without sending it."""

    size: int
    sha256: str | None
    """As the server reckoned it when the object came in whole; None where it did not."""
    age: float = field(default=0.0, compare=False)
    """Seconds since it came in, by the server's clock."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that nobody has finished."""

    name: str
    id: str
    age: float


class Bucket:
    """The objects below one prefix of a bucket."""

    def __init__(
        self, place: str, root: Path, *, key: str, backoff: Backoff, large: int = LARGE, part: int = PART
    ) -> None:
        """Prepare to ask the server; nothing is asked yet.

        ``place`` is `s3://bucket/prefix`, ``root`` the project's folder with its `.env`, ``key`` the project file's
        key to name in errors.
        """
        match = _PLACE.fullmatch(place)
        if match is None or {"..", "."} & set(place.split("/")):
            raise InputError(
                "this is not the address of a place in a bucket", where=key, fix='write "s3://bucket/prefix"'
            )
        self._bucket = match["bucket"]
        self._prefix = "/".join(filter(None, (match["prefix"] or "").split("/")))
        self.url = "/".join(filter(None, (f"s3://{self._bucket}", self._prefix)))
        self.large = large
        self._key, self._backoff, self._part = key, backoff, part
        with self._told():
            self.client = _client(root, os.environ)
        endpoint = hide(str(self.client.meta.endpoint_url), ())
        self.where = f"{key} ({self.url} at {endpoint})"

    def read(self, name: str) -> bytes | None:
        """Return a small object's bytes, None if there is none."""
        with self._told():
            try:
                return bytes(_body(self.client.get_object(**self._at(name), ChecksumMode="ENABLED")).read())
            except exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise

    def download(self, name: str, file: BinaryIO) -> bool:
        """Write the object's bytes into the file, from its beginning; False if there is no such object."""
        with self._told():
            try:
                body = _body(self.client.get_object(**self._at(name)))
            except exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
            file.seek(0)
            file.truncate()
            file.writelines(body.iter_chunks(1 << 20))
            return True

    def look(self, name: str) -> Kept | None:
        """Return what the server tells of an object, None if there is none."""
        with self._told():
            try:
                told = self.client.head_object(**self._at(name), ChecksumMode="ENABLED")
            except exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            size, reckoned, age = told["ContentLength"], told.get("ChecksumSHA256"), _age(told, told["LastModified"])
        whole = (
            reckoned is not None and "-" not in reckoned and told.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        )
        return Kept(size, base64.b64decode(reckoned).hex() if whole else None, age)

    def names(self, folder: str) -> Iterator[str]:
        """Give the names of the objects in a folder."""
        return (name for name, _ in self.listed(folder))

    def listed(self, folder: str) -> Iterator[tuple[str, Kept]]:
        """Give the names of the objects in a folder, with what a list tells of each."""
        for page in self._pages("list_objects_v2", folder):
            for each in page.get("Contents", ()):
                kept = Kept(each["Size"], None, _age(page, each["LastModified"]))
                yield each["Key"].removeprefix(f"{self._prefix}/"), kept

    def uploads(self, folder: str) -> Iterator[Upload]:
        """Give the uploads to a folder that nobody has finished."""
        for page in self._pages("list_multipart_uploads", folder):
            for each in page.get("Uploads", ()):
                age = _age(page, each["Initiated"])
                yield Upload(each["Key"].removeprefix(f"{self._prefix}/"), each["UploadId"], age)

    def forget(self, name: str, upload: str) -> None:
        """Let the server forget an upload that nobody will finish."""
        self._drop({**self._at(name), "UploadId": upload})

    def _pages(self, operation: str, folder: str) -> Iterator[dict[str, Any]]:
        with self._told():
            yield from self.client.get_paginator(operation).paginate(
                Bucket=self._bucket, Prefix=self._at(folder)["Key"] + "/"
            )

    def create(self, name: str, data: bytes) -> bool:
        """Make an object of these bytes unless there is one; return whether it was made."""
        return self._put(name, data, sha256(data).digest(), {"IfNoneMatch": "*"})

    def send(self, name: str, file: Path, digest: str, *, anew: bool = False) -> bool:
        """Make an object of the file unless there is one (``anew``: in any case); return whether it was made.

        The object is visible whole or not at all. The server checks every byte that it gets against our digests. Each
        request is repeated by itself, so that a large file does not start over.
        """
        free = {} if anew else {"IfNoneMatch": "*"}
        size = file.stat().st_size
        if size >= self.large:
            return self._send_parts(name, file, size, free)
        return self._backoff.call(partial(self._send_whole, name, file, digest, free))

    def remove(self, name: str) -> None:
        """Remove an object, if there is one."""
        with self._told(writing=True):
            self.client.delete_object(**self._at(name))

    def _send_whole(self, name: str, file: Path, digest: str, free: Mapping[str, str]) -> bool:
        with file.open("rb") as body:
            return self._put(name, body, bytes.fromhex(digest), free)

    def _put(self, name: str, body: bytes | BinaryIO, digest: bytes, free: Mapping[str, str]) -> bool:
        """Make the object in one request; return whether it was made, False where ``free`` forbade it."""
        with self._told(writing=True):
            try:
                self.client.put_object(**self._at(name), Body=body, ChecksumSHA256=_base64(digest), **free)
            except exceptions.ClientError as error:
                if _code(error) in _TAKEN:
                    return False
                raise
        return True

    def _send_parts(self, name: str, file: Path, size: int, free: Mapping[str, str]) -> bool:
        at = self._at(name)
        began = self._ask(self.client.create_multipart_upload, **at, ChecksumAlgorithm="SHA256")
        upload = {**at, "UploadId": began["UploadId"]}
        try:
            length = max(self._part, -(-size // MOST_PARTS))
            with file.open("rb") as body:
                pieces = enumerate(iter(partial(body.read, length), b""), 1)
                parts = [self._send_part(upload, number, piece) for number, piece in pieces]
            return self._finish(name, upload, parts, size, free)
        except TahonaError:
            self._drop(upload)
            raise

    def _send_part(self, upload: Mapping[str, str], number: int, piece: bytes) -> dict[str, Any]:
        digest = _base64(sha256(piece).digest())
        said = self._ask(self.client.upload_part, **upload, PartNumber=number, Body=piece, ChecksumSHA256=digest)
        return {"PartNumber": number, "ETag": said["ETag"], "ChecksumSHA256": digest}

    def _finish(
        self, name: str, upload: Mapping[str, str], parts: list[dict[str, Any]], size: int, free: Mapping[str, str]
    ) -> bool:
        """Make the parts one object. An answer that was lost on its way is asked for again by looking."""

        def finish() -> bool:
            with self._told(writing=True):
                try:
                    self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **free)
                except exceptions.ClientError as error:
                    gone = _code(error) == "NoSuchUpload"  # it was finished, and we were not told
                    if _code(error) in _TAKEN or (gone and self.look(name) == Kept(size, None)):
                        return gone
                    raise
            return True

        made = self._backoff.call(finish)
        if not made:
            self._drop(upload)
        return made

    def _drop(self, upload: Mapping[str, str]) -> None:
        """Let the server forget the parts that it has. It keeps them where it cannot be told so; nobody sees them."""
        try:
            with self._told(writing=True):
                self.client.abort_multipart_upload(**upload)
        except SetupError:
            return

    def _ask(self, operation: Callable[..., Answer], **words: object) -> Answer:
        def ask() -> Answer:
            with self._told(writing=True):
                return operation(**words)

        return self._backoff.call(ask)

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": "/".join(filter(None, (self._prefix, name)))}

    @contextmanager
    def _told(self, *, writing: bool = False) -> Iterator[None]:
        """Turn what the server or the way to it refuses into an error of ours, without a word of theirs."""
        try:
            yield
        except exceptions.ClientError as error:
            raise self._refusal(error, writing=writing) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise SetupError("there are no credentials for S3", where=self._place(), fix=_CREDENTIALS) from error
        except (exceptions.CredentialRetrievalError, exceptions.ProfileNotFound, exceptions.ConfigParseError) as error:
            raise SetupError(
                f"the credentials for S3 cannot be read ({type(error).__name__})", where=self._place(), fix=_CREDENTIALS
            ) from error
        except exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise self._passing("the secure connection to S3 broke") from error
            raise SetupError(
                "the certificate of the S3 server is not trusted",
                where=self._place(),
                fix="name its CA in AWS_CA_BUNDLE",
            ) from error
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
            raise self._passing(_WAYS.get(type(error), "the connection to S3 broke")) from error
        except (
            exceptions.IncompleteReadError,
            exceptions.ResponseStreamingError,
            ResponseParserError,
            KeyError,
        ) as error:
            raise self._passing("S3 broke off amid its answer") from error
        except exceptions.FlexibleChecksumError as error:
            raise self._passing("bytes changed on their way from S3") from error
        except (exceptions.BotoCoreError, ValueError) as error:
            raise SetupError(
                f"S3 cannot be asked ({type(error).__name__})",
                where=self._place(),
                fix="check the bucket's name, AWS_REGION and AWS_ENDPOINT_URL_S3",
            ) from error

    def _place(self) -> str:
        return getattr(self, "where", f"{self._key} ({self.url})")

    def _passing(self, what: str) -> TransientError:
        return TransientError(what, where=self._place(), fix=_REACH)

    def _refusal(self, error: exceptions.ClientError, *, writing: bool) -> SetupError:
        code = _code(error)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _PASSING or status == 429 or (status >= 500 and status != 501):
            return self._passing(f"S3 has no answer now ({code or status})")
        what, fix = f"S3 refuses the request ({code or status})", "look the code up in the server's documentation"
        if code == "NoSuchBucket":
            what, fix = f"there is no bucket {self._bucket}", f"make it, or correct {self._key}"
        elif code in _NOT_KNOWN or status == 401:
            what, fix = f"S3 does not accept the credentials ({code})", _CREDENTIALS
        elif status == 403:
            leave = "write" if writing else "read"
            need = "s3:PutObject and s3:AbortMultipartUpload" if writing else "s3:GetObject and s3:ListBucket"
            what = f"the credentials have no leave to {leave} there"
            fix = f"give them {need}, or take others. {_CREDENTIALS}"
        elif code == "RequestTimeTooSkewed":
            what, fix = "this machine's clock is wrong", "set it"
        elif status in (301, 307, 400) and ("Redirect" in code or "Location" in code or "Malformed" in code):
            what, fix = "the bucket is in another region", "set AWS_REGION to it"
        elif status == 501:
            what, fix = _NO_CONDITIONS
        return SetupError(what, where=self._place(), fix=fix)


def no_conditions(bucket: Bucket) -> SetupError:
    """Return the error for a server that overwrites what it was asked not to."""
    what, fix = _NO_CONDITIONS
    return SetupError(what, where=bucket.where, fix=fix)


_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) in the environment or in .env beside tahona.toml"
)
_REACH = "is the server up and AWS_ENDPOINT_URL_S3 right? What is finished is kept: tahona run goes on from there"
_NO_CONDITIONS = (
    "this S3 server cannot write an object only where there is none (If-None-Match)",
    "take a newer server: two runs at once would overwrite one another's results",
)
_WAYS: dict[type[Exception], str] = {
    exceptions.EndpointConnectionError: "S3 cannot be reached",
    exceptions.ConnectTimeoutError: "S3 cannot be reached (no answer in time)",
    exceptions.ReadTimeoutError: "S3 fell silent amid a request",
    exceptions.ProxyConnectionError: "the proxy to S3 cannot be reached",
}


def _client(root: Path, environ: Mapping[str, str]) -> Any:  # noqa: ANN401  (boto3 makes its classes as it runs)
    """Return a client with the settings of the environment, and with those of `.env` where that says nothing."""
    beside = read_dotenv(root)
    said = {**beside, **{name: value for name, value in environ.items() if value}}
    who = () if {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} & environ.keys() else tuple(_WHO.items())
    session = boto3.Session(
        **{word: beside[name] for name, word in who if beside.get(name)},
        region_name=said.get("AWS_REGION") or said.get("AWS_DEFAULT_REGION"),
    )
    endpoint = said.get("AWS_ENDPOINT_URL_S3") or said.get("AWS_ENDPOINT_URL")
    silence = _silence(said)
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=silence,
        read_timeout=silence,
        request_checksum_calculation="when_required",  # our own go with every request
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if endpoint else {},  # a server of one's own seldom has a name per bucket
    )
    return session.client("s3", endpoint_url=endpoint, config=config)


_WHO = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
    "AWS_PROFILE": "profile_name",
}


def _silence(said: Mapping[str, str]) -> float:
    try:
        seconds = float(said.get("TAHONA_S3_TIMEOUT", SILENCE))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(
            "this is no number of seconds", where="TAHONA_S3_TIMEOUT", fix="write 5, or more on a slow line"
        )
    return seconds


def _body(answer: Mapping[str, Any]) -> Any:  # noqa: ANN401  (botocore's stream)
    """Return an answer's stream. Raise KeyError where it ended amid its headers: with no length it would look empty."""
    if "ContentLength" not in answer:
        raise KeyError("ContentLength")
    return answer["Body"]


def _age(answer: Mapping[str, Any], since: datetime) -> float:
    """Return the seconds since then by the clock of the server that answers; ours may be wrong."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    return (now - since).total_seconds()


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
