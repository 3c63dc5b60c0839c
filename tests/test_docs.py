"""The documentation is true: the tutorial is played, the reference has everything, the pages need no network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sessions import blocks, play

import tahona

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the reference pages as `make docs` does; file name → text."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, str(ROOT / "scripts" / "write_reference.py"), str(folder)], check=True)
    return {page.name: page.read_text("utf-8") for page in folder.iterdir()}


def commands() -> list[tuple[str, object]]:
    import typer

    from tahona.cli.app import app

    def below(name: str, command: object) -> list[tuple[str, object]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            return [(name, command)]
        return [each for word, one in inner.items() for each in below(f"{name} {word}", one)]

    return below("tahona", typer.main.get_command(app))


def section(page: str, title: str) -> str:
    """Return what stands below a heading, up to the next of its kind."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_tutorial_goes_from_an_empty_folder_to_predictions(tmp_path):
    said = dict(play(DOCS / "tutorial.md", tmp_path))
    rows = (tmp_path / "predictions.csv").read_text("utf-8").splitlines()
    assert rows[0] == "customer,label,probability_no,probability_yes,version,warnings"
    assert [row.split(",")[0] for row in rows[1:]] == ["C1", "C2", "C3", "C4", "C5"]
    first = next(output for command, output in said.items() if command.startswith("tahona promote 2 --override"))
    assert "version 2 is champion" in first
    assert (tmp_path / "reports" / "report.html").is_file()


def test_the_tutorial_leaves_out_no_group_of_commands():
    shown = "\n".join(content for language, content in blocks(DOCS / "tutorial.md") if language == "console")
    for word in ("new", "check", "plan", "run", "why", "models", "promote", "rollback", "history", "predict", "serve"):
        assert f"$ tahona {word}" in shown
    assert "--json" in shown


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_and_option_is_in_the_reference(reference, name, command):
    found = section(reference["commands.md"], f"`{name}`")
    assert command.help in found
    for each in command.params:
        for word in [*each.opts, *each.secondary_opts] if each.param_type_name == "option" else [each.metavar]:
            assert f"`{word.strip('[]')}`" in found, f"{name} {word}"
        assert each.help, f"{name}: {each.name} has no help"


@pytest.mark.parametrize("option", ["-C", "--json"])
def test_every_command_takes_the_options_that_all_take(option):
    without = {name for name, command in commands() if not any(option in each.opts for each in command.params)}
    assert without <= ({"tahona schema"} if option == "-C" else set())


def test_every_key_of_the_project_file_is_in_the_reference(reference):
    from tahona.project.reference import all_keys

    for key in all_keys():
        assert f"`{key.name}`" in reference["project_file.md"] or f"`[{key.name}]`" in reference["project_file.md"]
        assert key.description, key.name


def test_every_public_name_is_in_the_reference(reference):
    for name in tahona.__all__:
        assert f"tahona.{name}`" in reference["python.md"]


def test_the_reference_holds_no_address_of_this_process(reference):
    for name, text in reference.items():
        assert "0x" not in text, name
        assert str(ROOT) not in text, name


def test_what_the_serving_page_asks_for_is_a_route():
    from tahona.serve.access import methods_at

    asked = re.findall(r'^ask "?(/[^\s"?]*)(.*)$', (DOCS / "serving.md").read_text("utf-8"), re.MULTILINE)
    assert len(asked) > 10
    for path, options in asked:
        sends = re.search(r" (-d|-F|--data-binary) ", options)
        method = "DELETE" if " -X DELETE" in options else "POST" if sends else "GET"
        assert method in methods_at(path), f"{method} {path}"


def test_every_family_metric_and_finding_is_in_the_reference(reference):
    from tahona.core.families import FAMILY_NAMES
    from tahona.core.findings import FINDINGS
    from tahona.core.metric_names import METRIC_NAMES
    from tahona.core.metrics import METRICS
    from tahona.learn.families import FAMILIES

    assert set(FAMILY_NAMES) == set(FAMILIES)
    assert tuple(METRICS) == METRIC_NAMES
    for name, family in FAMILIES.items():
        found = section(reference["families.md"], f"`{name}`")
        for parameter in (*family.space, *family.accepts):
            assert f"`{parameter}`" in found, f"{name} {parameter}"
    for name in METRICS:
        assert f"| `{name}` |" in reference["metrics.md"]
    for name in FINDINGS:
        assert f"| `{name}` |" in reference["findings.md"]


def test_a_search_space_is_written_as_a_project_file_reads_it(reference):
    """What the page shows for a family may be copied into `[train.search.FAMILY]`."""
    import tomllib

    from pydantic import TypeAdapter

    from tahona.learn.families import FAMILIES
    from tahona.project.model import Range

    for name, family in FAMILIES.items():
        rows = re.findall(r"^\| `(\w+)` \| `(.+)` \|$", section(reference["families.md"], f"`{name}`"), re.MULTILINE)
        for parameter, shown in rows:
            read = TypeAdapter(Range).validate_json(json.dumps(tomllib.loads(f"x = {shown}")["x"]))
            assert str(read) == str(family.space[parameter]).replace("None", "'none'"), f"{name} {parameter}"


def test_every_decision_can_be_found(reference):
    decisions = list((DOCS / "decisions").glob("*.md"))
    assert decisions
    for file in decisions:
        assert f"(../decisions/{file.name})" in reference["decisions.md"]


def test_every_decision_says_in_the_same_words_whether_it_is_in_force():
    for file in (DOCS / "decisions").glob("*.md"):
        last = file.read_text("utf-8").splitlines()[-1]
        assert re.match(r"\*\*Status\.\*\* (In force|Replaced by \d{4})[.;]", last), file


class Outside(HTMLParser):
    """Collects what a browser would fetch from elsewhere when it opens the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            fetched = name == "src" or (name == "href" and tag == "link")
            if fetched and re.match(r"(https?:)?//", value or ""):
                self.found.append(f"{tag} {value}")


def test_the_documentation_builds_and_loads_nothing_from_elsewhere(reference, tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs comes with the group docs (make setup)")
    for page in DOCS.rglob("*.md"):
        if "reference" not in page.parts:
            copy = tmp_path / "docs" / page.relative_to(DOCS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(page.read_bytes())
    (tmp_path / "docs" / "reference").mkdir()
    for name, text in reference.items():
        (tmp_path / "docs" / "reference" / name).write_text(text, "utf-8")
    (tmp_path / "mkdocs.yml").write_bytes((ROOT / "mkdocs.yml").read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"],
        cwd=tmp_path,
        env={**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(reference)
    for page in pages:
        reader = Outside()
        reader.feed(page.read_text("utf-8"))
        assert reader.found == [], page
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", style.read_text("utf-8")), style


def test_the_news_can_be_collected():
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("## 9.9.9 (")
    fragments = [file for file in (ROOT / "changelog.d").iterdir() if file.suffix == ".md"]
    assert fragments
    assert len(re.findall(r"^\* ", done.stdout, re.MULTILINE)) == len(fragments)


def test_every_file_that_the_architecture_names_is_there():
    for page in (DOCS / "architecture.md", DOCS / "taking_over.md", ROOT / "CONTRIBUTING.md"):
        for name in re.findall(
            r"`((?:src|docs|tests|learn|core|project|changelog\.d)/[\w./]*)`", page.read_text("utf-8")
        ):
            place = ROOT / name if (ROOT / name).exists() else ROOT / "src" / "tahona" / name
            assert place.exists() or "NAME" in name, f"{page.name}: {name}"
