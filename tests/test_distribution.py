"""What is shipped: the wheel is whole, and installing Tahona brings no server and no cloud."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UNWANTED = {
    *(
        "fastapi",
        "starlette",
        "uvicorn",
        "flask",
        "django",
        "streamlit",
        "mlflow",
        "mlflow-skinny",
        "boto3",
        "botocore",
    ),
    *("s3fs", "gcsfs", "adlfs", "google-cloud-storage", "azure-storage-blob", "dask", "prefect", "metaflow", "dvc"),
    *("apache-airflow", "xgboost", "torch", "spacy"),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_holds_what_is_not_python_too(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "tahona/py.typed" in names
    assert any(re.fullmatch(r"tahona/ledgers/migrations/versions/\w+\.py", name) for name in names)
    assert any(name.startswith("tahona/report/templates/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "examples/")) for name in names)


def test_the_installed_wheel_runs_a_project_to_its_report(wheel, tmp_path):
    """Installed elsewhere, with nothing of the checkout on the path."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True)
    project = tmp_path / "project"
    project.mkdir()
    text = (ROOT / "examples/breast_cancer/parity.toml").read_text("utf-8")
    (project / "tahona.toml").write_text(text, "utf-8")
    code = "import tahona, sys; assert sys.argv[1] in tahona.__file__; from tahona.cli import main; main(sys.argv[2:])"
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    words = ["run", "-C", str(project)]
    done = subprocess.run(
        [sys.executable, "-c", code, str(site), *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (project / "reports" / "report.html").exists()


def test_the_default_install_holds_no_web_server_no_mlflow_and_no_cloud_client():
    from packaging.requirements import Requirement

    seen: set[str] = set()
    waiting = ["tahona"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name.lower().replace("_", "-"))
    assert not seen & UNWANTED
    assert {"pandas", "scikit-learn", "lightgbm", "sqlalchemy"} <= seen
