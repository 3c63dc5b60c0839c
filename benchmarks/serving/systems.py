"""What is compared: how each server is started and asked, one row of a table each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.environments import python_of

from serving.models import TAHONA, make_pipeline, make_project

HERE = Path(__file__).resolve().parent
SERVERS = HERE / "servers"
REQUIREMENTS = HERE / "requirements"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Ready:
    """A server that can be started: its command but for the port, where, with what in its environment."""

    command: Callable[[int], Sequence[object]]
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    expected: tuple[float, ...] = ()
    """Probabilities of the rows that are asked about; none for a constant."""


@dataclass(frozen=True)
class System:
    """One row: ``make`` prepares it for a kind of model."""

    name: str
    title: str
    make: Callable[[str, Path, Path], Ready]
    path: str = "/predict"
    body: Callable[[Sequence[Row]], Any] = lambda rows: {"rows": list(rows)}
    package: str = ""
    """The package of its environment whose release is told; empty: it runs in Tahona's own."""
    constant: bool = False


def requests_of(system: System, ready: Ready, rows: Sequence[Row], size: int) -> list[str]:
    """Return whole HTTP requests, each about ``size`` rows."""
    texts = []
    for start in range(0, len(rows) - size + 1, size):
        body = json.dumps(system.body(rows[start : start + size]))
        headers = {
            "Host": "127.0.0.1",
            "Content-Type": "application/json",
            "Content-Length": str(len(body.encode("utf-8"))),
            **ready.headers,
        }
        lines = [f"POST {system.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        texts.append("\r\n".join(lines) + "\r\n\r\n" + body)
    return texts


def numbers_in(text: str) -> list[float]:
    """Return the numbers between 0 and 1 that an answer's body holds."""
    body = text.partition("\r\n\r\n")[2]
    return [float(found) for found in re.findall(r"\d\.\d+(?:[eE]-?\d+)?", body)]


def _constant(module: str) -> Callable[[str, Path, Path], Ready]:
    def make(kind: str, table: Path, cache: Path) -> Ready:  # noqa: ARG001
        return Ready(lambda port: _uvicorn(Path(sys.executable), module, port), SERVERS)

    return make


def _uvicorn(python: Path, module: str, port: int) -> Sequence[object]:
    words = (
        "--loop uvloop --http httptools --host 127.0.0.1 --no-access-log --log-level warning --timeout-keep-alive 75"
    )
    return (python, "-m", "uvicorn", f"{module}:app", "--port", port, *words.split())


def _tahona(kind: str, table: Path, cache: Path) -> Ready:  # noqa: ARG001
    """Keys on, structured log and prediction log on, one worker."""
    project = make_project(kind, table)
    keys = project / ".tahona" / "keys.json"
    keys.unlink(missing_ok=True)
    words = [TAHONA, "keys", "create", "bench", "--scope", "predict", "-C", project, "--json"]
    key = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)["key"]
    answers = project / "expected.json"
    if not answers.is_file():
        _expect(project, table, answers)
    return Ready(
        lambda port: (TAHONA, "serve", "-C", project, "--port", port, "--workers", 1),
        project,
        {},
        {"Authorization": f"Bearer {key}"},
        tuple(json.loads(answers.read_text("utf-8"))),
    )


def _expect(project: Path, table: Path, answers: Path) -> None:
    import tahona  # noqa: PLC0415  only where there is no answer yet

    rows = json.loads(table.with_name("rows.json").read_text("utf-8"))
    found = tahona.load_bundle("hotel@champion", project=project).predict(rows)
    answers.write_text(json.dumps(found["probability_1"].tolist()), "utf-8")


def _peer(
    environment: str, command: Callable[[Path, Path, int], Sequence[object]]
) -> Callable[[str, Path, Path], Ready]:
    """Prepare a peer: its environment, and the pipeline that this has fitted."""

    def make(kind: str, table: Path, cache: Path) -> Ready:
        python = python_of(environment, cache / "environments" / "serving", REQUIREMENTS)
        out = table.parent / f"{environment}-{kind}"
        model = make_pipeline(python, kind, table, out, mlflow=environment == "mlflow")
        env = {"MODEL": str(model), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
        expected = tuple(json.loads((model / "expected.json").read_text("utf-8")))
        return Ready(lambda port: command(python, model, port), SERVERS, env, {}, expected)

    return make


def _mlflow(python: Path, model: Path, port: int) -> Sequence[object]:
    where = ("-m", model / "mlflow", "--host", "127.0.0.1", "--port", port)
    return (python.with_name("mlflow"), "models", "serve", *where, "--env-manager", "local", "--workers", 1)


def _mlserver(python: Path, model: Path, port: int) -> Sequence[object]:
    settings = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "host": "127.0.0.1"}
    (model / "settings.json").write_text(json.dumps({**settings, "metrics_endpoint": None}), "utf-8")
    about = {
        "name": "hotel",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./pipeline.joblib"},
    }
    (model / "model-settings.json").write_text(json.dumps(about), "utf-8")
    return (python.with_name("mlserver"), "start", model)


def _split(rows: Sequence[Row]) -> dict[str, Any]:
    """Return rows in MLflow's protocol."""
    return {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}


def _tensors(rows: Sequence[Row]) -> dict[str, Any]:
    """Return rows in the protocol of MLServer, where an unknown name is an empty text."""
    inputs = []
    for name in rows[0]:
        cells = [row[name] for row in rows]
        text = any(isinstance(cell, str) for cell in cells) or name in TEXTS
        data = [("" if cell is None else cell) if text else cell for cell in cells]
        kind = {"datatype": "BYTES" if text else "FP64"}
        content = {"parameters": {"content_type": "str"}} if text else {}
        inputs.append({"name": name, "shape": [len(rows)], "data": data, **kind, **content})
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


TEXTS = {"agent", "company", "country"}
"""Columns of names that may be unknown."""

SYSTEMS = {
    system.name: system
    for system in (
        System("asgi", "bare ASGI, a constant", _constant("constant_asgi"), constant=True),
        System("starlette", "Starlette, a constant", _constant("constant_starlette"), constant=True),
        System("fastapi", "FastAPI, a constant", _constant("constant_fastapi"), constant=True),
        System("tahona", "**Tahona**, keys and both logs on", _tahona),
        System(
            "tutorial",
            "FastAPI, pandas, scikit-learn",
            _peer("tutorial", lambda python, _, port: _uvicorn(python, "tutorial", port)),
            body=list,
            package="fastapi",
        ),
        System("mlflow", "`mlflow models serve`", _peer("mlflow", _mlflow), "/invocations", _split, "mlflow"),
        System(
            "mlserver",
            "MLServer",
            _peer("mlserver", _mlserver),
            "/v2/models/hotel/infer",
            _tensors,
            "mlserver",
        ),
        System(
            "ray",
            "Ray Serve",
            _peer("ray", lambda python, _, port: (python, SERVERS / "ray_.py", port)),
            package="ray",
        ),
        System(
            "litserve",
            "LitServe",
            _peer("litserve", lambda python, _, port: (python, SERVERS / "litserve_.py", port)),
            package="litserve",
        ),
        System(
            "bentoml",
            "BentoML",
            _peer("bentoml", lambda python, _, port: _bento(python, port)),
            package="bentoml",
        ),
        System(
            "bentoml_gathered",
            "BentoML, rows of several requests gathered",
            _peer("bentoml", lambda python, _, port: _bento(python, port)),
            "/gathered",
            package="bentoml",
        ),
    )
}


def _bento(python: Path, port: int) -> Sequence[object]:
    return (python, "-m", "bentoml", "serve", "bento:Hotel", "--host", "127.0.0.1", "--port", port)
