"""What the package shows to the outside is small, described, sorted, and costs nothing until it is used."""

from __future__ import annotations

import inspect
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import tahona

TAHONA = Path(sys.executable).with_name("tahona")
HEAVY = ("pandas", "sklearn", "sqlalchemy", "pydantic", "numpy", "matplotlib", "optuna", "lightgbm", "rich")


def public_things() -> list[tuple[str, object]]:
    """Return every public name, and the public methods and properties of the public classes."""
    found: list[tuple[str, object]] = []
    for name in tahona.__all__:
        member = getattr(tahona, name)
        found.append((name, member))
        if inspect.isclass(member):
            found += [
                (f"{name}.{inner}", value)
                for inner, value in vars(member).items()
                if not inner.startswith("_") and (isinstance(value, property) or inspect.isfunction(value))
            ]
    return [(name, thing) for name, thing in found if name != "__version__"]


def loaded_after(code: str) -> set[str]:
    """Return the heavy libraries that a fresh interpreter has loaded after running the code."""
    probe = f"import sys\n{code}\nprint(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_public_names_are_sorted_and_all_there():
    assert sorted(tahona.__all__) == tahona.__all__
    assert dir(tahona) == tahona.__all__
    for name in tahona.__all__:
        assert getattr(tahona, name) is not None


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = tahona.lod


@pytest.mark.parametrize(("name", "thing"), public_things(), ids=[name for name, _ in public_things()])
def test_every_public_name_says_what_it_does(name, thing):
    said = (inspect.getdoc(thing) or "").split("\n")[0]
    assert said.endswith((".", "…")), name
    assert said != inspect.getdoc(str).split("\n")[0]


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    done = subprocess.run([TAHONA, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == tahona.__version__ == version("tahona")


def test_import_tahona_loads_nothing_heavy():
    assert loaded_after("import tahona") == set()


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["names", "--help"]])
def test_help_loads_nothing_heavy(words):
    code = f"from tahona.cli import run\nassert run({words!r}) == 0"
    assert loaded_after(code) <= {"pydantic"}  # Typer itself looks whether it is there, in 20 ms


def test_help_takes_at_most_half_a_second_of_cpu():
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([TAHONA, "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) <= 0.5


def test_a_command_line_that_is_wrong_ends_with_2_and_names_the_help():
    done = subprocess.run([TAHONA, "run", "--bogus"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--bogus" in done.stderr
    assert "Fix: tahona run --help" in done.stderr
    assert done.stdout == ""


def test_without_a_command_the_help_is_shown_and_nothing_else():
    done = subprocess.run([TAHONA], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: tahona")
    assert "Fix:" not in done.stderr
