"""What the README says is done: its session in an empty folder, in both languages, and what it names is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from sessions import blocks, play

import tahona

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, SPANISH = ROOT / "README.md", ROOT / "README.es.md"
BOTH = pytest.mark.parametrize("page", [ENGLISH, SPANISH], ids=["en", "es"])


def test_the_first_session_does_what_it_says(tmp_path):
    """Exit codes and every line that the page shows are checked on the way."""
    play(ENGLISH, tmp_path)
    header, *rows = (tmp_path / "predictions.csv").read_text("utf-8").splitlines()
    assert "probability_malignant" in header
    assert len(rows) == 69
    assert "malignant" in (tmp_path / "reports" / "report.html").read_text("utf-8")
    for name in ("report.md", "model_card.md"):
        assert (tmp_path / "reports" / name).stat().st_size > 1000


def test_both_languages_show_the_same_blocks():
    def shown(page: Path) -> list[tuple[str, str]]:
        return [(language, re.sub(r" +# .*", "", content)) for language, content in blocks(page)]

    assert shown(ENGLISH) == shown(SPANISH)


def test_both_languages_have_the_same_parts_and_links():
    def parts(page: Path) -> list[int]:
        return [len(each) for each in re.findall(r"^(#+) ", page.read_text("utf-8"), re.MULTILINE)]

    def rows(page: Path) -> list[list[str]]:
        table = re.findall(r"^\| S\d .*", page.read_text("utf-8"), re.MULTILINE)
        return [re.findall(r"`(tests/\w+\.py)`", row) for row in table]

    assert parts(ENGLISH) == parts(SPANISH)
    assert rows(ENGLISH) == rows(SPANISH)
    assert len(rows(ENGLISH)) == 5


@BOTH
def test_every_test_it_names_is_there_and_tests_something(page):
    named = set(re.findall(r"`(tests/\w+\.py)`", page.read_text("utf-8")))
    assert named
    for name in named:
        assert "def test_" in (ROOT / name).read_text("utf-8")


@BOTH
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    assert links
    for link in links:
        assert (ROOT / link).is_file(), link


@BOTH
def test_every_make_target_is_there(page):
    targets = re.findall(r"^make (\w+)", page.read_text("utf-8"), re.MULTILINE)
    assert targets[:2] == ["demo", "test"]
    rules = (ROOT / "Makefile").read_text("utf-8")
    for target in targets:
        assert re.search(rf"^{target}:", rules, re.MULTILINE), target


@BOTH
def test_the_wheel_has_the_name_that_is_installed(page):
    assert set(re.findall(r"tahona-[\d.]+-[\w-]+\.whl", page.read_text("utf-8"))) == {
        f"tahona-{tahona.__version__}-py3-none-any.whl"
    }


@BOTH
def test_every_extra_is_named(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    text = page.read_text("utf-8")
    assert [name for name in extras if f"[{name}]" not in text] == []


@BOTH
def test_every_exit_code_is_explained(page):
    from tahona import errors

    kinds = [getattr(errors, name) for name in errors.__all__]
    codes = {str(kind.exit_code) for kind in kinds} | {"0"}
    assert set(re.findall(r"^\| (\d) \|", page.read_text("utf-8"), re.MULTILINE)) == codes
