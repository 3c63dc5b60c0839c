"""The command line: one JSON document for programs, words for people, and exit codes that mean something."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from projects import QUICK, Answer, Command, edit, quick_table, write_project

from tahona.project.model import SplitPart, TrainPart
from tahona.wiring import open_project

ESCAPE = re.compile(r"\x1b|\r|[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quick project after its run. Read it; commands that only show may be run on it."""
    import tahona

    folder = write_project(tmp_path_factory.mktemp("done") / "quick")
    tahona.load(folder).run()
    return folder


def assert_one_document(answer: Answer) -> None:
    """Standard output is one JSON document, written as JSON is meant (no NaN)."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert isinstance(json.loads(answer.stdout, parse_constant=refuse), dict)


SHOWING = {
    "run": ("run",),
    "step": ("step", "split"),
    "plan": ("plan",),
    "why": ("why", "split"),
    "runs": ("runs",),
    "show": ("show",),
    "leaderboard": ("leaderboard",),
    "report": ("report",),
    "models": ("models",),
    "history": ("history",),
    "check": ("check",),
    "names check": ("names", "check"),
}


@pytest.mark.parametrize("command", SHOWING)
def test_every_command_that_shows_gives_one_document_and_nothing_else(done: Path, here: Command, command: str) -> None:
    answer = here(*SHOWING[command], "-C", done, "--json")
    assert answer.code == 0, answer.stderr
    assert_one_document(answer)
    assert answer.stderr == ""


@pytest.mark.parametrize("command", SHOWING)
def test_every_command_that_shows_speaks_to_people_too(done: Path, here: Command, command: str) -> None:
    answer = here(*SHOWING[command], "-C", done)
    assert answer.code == 0
    assert answer.stdout.strip()
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.stdout)


def test_show_tells_what_every_model_did_on_the_test_rows(done: Path, here: Command) -> None:
    candidates = here("show", "-C", done, "--json").document["candidates"]
    assert {"tree", "logistic_regression"} <= set(candidates)
    printed = here("show", "-C", done).stdout.partition("on the test rows")[2]
    for model, metrics in candidates.items():
        row = next(line.split() for line in printed.splitlines() if line.split()[:1] == [model])
        assert row[1:] == [f"{metrics[name]['value']:.4f}" for name in ("precision", "recall", "f1", "roc_auc")]


def test_every_command_that_changes_gives_one_document(project: Path, here: Command, tmp_path: Path) -> None:
    second = ("--set", "train.search.logistic_regression.C=[1.0]")
    new = tmp_path / "new"
    new.mkdir()
    quick_table().to_csv(new / "visits.csv", index=False)
    for words in (
        ("run", "-C", project),
        ("run", "-C", project, *second),
        ("rollback", "-C", project, "--why", "a test"),
        ("promote", "2", "-C", project),
        ("export", "model", "2", "-C", project, "-o", tmp_path),
        ("export", "model", "--pickle", "-C", project, "-o", tmp_path),
        ("new", new / "visits.csv", "--target", "label", "-C", new),
        ("schema",),
    ):
        answer = here(*words, "--json")
        assert answer.code == 0, (words, answer.stderr)
        assert_one_document(answer)
        assert answer.stderr == ""


def test_a_new_project_runs_as_it_was_written(tmp_path: Path, here: Command) -> None:
    quick_table().to_csv(tmp_path / "visits.csv", index=False)
    assert here("new", tmp_path / "visits.csv", "--target", "label", "-C", tmp_path).code == 0
    assert here("check", "-C", tmp_path).stdout == "visits: the project file is right\n"
    written = open_project(tmp_path).project
    assert (written.train, written.split) == (TrainPart(), SplitPart()), "what it writes out are the defaults"
    few = ("--set", 'train.models=["tree"]', "--set", "train.trials=2")
    answer = here("run", "-C", tmp_path, "--json", *few)
    assert answer.code == 0, answer.stderr
    again = here("new", tmp_path / "visits.csv", "--target", "label", "-C", tmp_path, "--json")
    assert again.code == 2
    assert again.document["error"]["what"] == "there is a project file already"


def broken(kind: str, folder: Path) -> tuple[str, ...]:
    """Prepare a folder in which a command must fail, and return the command."""
    write_project(folder)
    if kind == "no such folder":
        return ("run", "-C", str(folder / "nowhere"))
    if kind == "no project file":
        (folder / "tahona.toml").unlink()
    elif kind == "wrong key":
        edit(folder, "[split]", "[spilt]")
    elif kind == "no data":
        (folder / "table.csv").unlink()
    elif kind == "data outside":
        edit(folder, '"table.csv"', '"../table.csv"')
    elif kind == "unknown orchestrator":
        return ("run", "-C", str(folder), "--on", "prefct")
    elif kind == "store is a file":
        (folder / ".tahona").mkdir()
        (folder / ".tahona" / "artifacts").write_text("no folder", "utf-8")
    elif kind == "ledger is no database":
        (folder / ".tahona").mkdir()
        (folder / ".tahona" / "ledger.db").write_bytes(b"certainly not SQLite, but long enough to be looked at" * 30)
    elif kind == "unknown step":
        return ("why", "train@oak", "-C", str(folder))
    elif kind == "no run yet":
        return ("show", "-C", str(folder))
    elif kind == "no version yet":
        return ("promote", "1", "-C", str(folder))
    elif kind == "no champion yet":
        return ("rollback", "-C", str(folder))
    elif kind == "nowhere to write":
        return ("export", "model", "-C", str(folder), "-o", str(folder / "nowhere"))
    elif kind == "nothing to report":
        return ("report", "-C", str(folder))
    elif kind == "bad names":
        (folder / "data" / "raw").mkdir(parents=True)
        (folder / "data" / "raw" / "Meine Daten.csv").touch()
        return ("names", "check", "-C", str(folder))
    return ("run", "-C", str(folder))


FAILING = {
    "no such folder": (2, "there is no such folder"),
    "no project file": (2, "tahona.toml"),
    "wrong key": (2, "Did you mean"),
    "no data": (2, "table.csv"),
    "data outside": (2, "outside"),
    "unknown orchestrator": (2, "there is no orchestrator called 'prefct'"),
    "store is a file": (4, "the artifact store cannot be opened"),
    "ledger is no database": (4, "the ledger cannot be used"),
    "unknown step": (2, "there is no step 'train@oak'"),
    "no run yet": (2, "there is no run yet"),
    "no version yet": (2, "has no version or alias '1'"),
    "no champion yet": (2, "there is no earlier champion to go back to"),
    "nowhere to write": (2, "the folder does not exist"),
    "nothing to report": (2, "has not been run to its end"),
}


@pytest.mark.parametrize("kind", FAILING)
def test_a_failure_has_its_code_and_says_what_where_and_how_to_mend_it(
    tmp_path: Path, here: Command, kind: str
) -> None:
    code, says = FAILING[kind]
    answer = here(*broken(kind, tmp_path / "quick"), "--json")
    assert answer.code == code, answer
    assert_one_document(answer)
    error = answer.document["error"]
    assert set(error) == {"what", "where", "fix"}
    assert says in " ".join(error.values())
    assert error["fix"]
    assert error["what"] in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_damaged_record_of_a_step_ends_with_code_5_and_the_file_to_remove(project: Path, here: Command) -> None:
    assert here("run", "-C", project).code == 0
    made = here("plan", "-C", project, "--json").document
    fingerprint = here("step", "split", "-C", project, "--json").document["steps"][0]["fingerprint"]
    file = project / ".tahona" / "artifacts" / "results" / f"{fingerprint}.json"
    file.write_bytes(file.read_bytes()[:-9])
    answer = here("run", "-C", project, "--json")
    assert answer.code == 5
    assert answer.document["error"]["what"].startswith("the stored result of a step is damaged")
    assert file.name in answer.document["error"]["where"]
    file.unlink()
    assert here("run", "-C", project, "--json").document["nothing_to_do"] is False
    assert here("plan", "-C", project, "--json").document == made


def test_wrong_names_are_listed_and_end_with_code_2(tmp_path: Path, here: Command) -> None:
    answer = here(*broken("bad names", tmp_path / "quick"), "--json")
    assert answer.code == 2
    assert list(answer.document["wrong"]) == ["data/raw/Meine Daten.csv"]


def test_a_family_that_is_not_installed_ends_with_code_4_and_the_exact_command(tmp_path: Path, tahona: Command) -> None:
    """In a Python that cannot see the package: what a user without the extra gets."""
    folder = write_project(tmp_path / "quick", QUICK.replace('"tree", "logistic_regression"', '"xgboost"'))
    edit(folder, "[train.search.tree]\nmax_depth = [2, 3]\n", "")
    edit(folder, "[train.search.logistic_regression]\nC = [0.1, 1.0]\n", "")
    blind = tmp_path / "blind"
    blind.mkdir()
    (blind / "sitecustomize.py").write_text("import sys\nsys.modules['xgboost'] = None\n", "utf-8")
    answer = tahona("run", "-C", folder, "--json", env={"PYTHONPATH": with_path(blind)})
    assert answer.code == 4, answer.stderr
    assert "xgboost" in answer.document["error"]["what"]
    assert "pip install" in answer.document["error"]["fix"]


def with_path(folder: Path) -> str:
    import os

    known = os.environ.get("PYTHONPATH")
    return f"{folder}{os.pathsep}{known}" if known else str(folder)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("frobnicate",), "frobnicate"),
        (("rnu",), "rnu"),
        (("run", "--frob"), "--frob"),
        (("step",), "STEP"),
        (("run", "--set"), "--set"),
        (("run", "--set", "train.trials"), "an override must be key=value"),
        (("run", "--set", "train.trails=3"), "train.trails"),
        (("run", "--env", "moon"), "moon"),
        (("models", "surplus"), "surplus"),
    ],
)
def test_a_wrong_command_line_is_a_json_error_too(done: Path, here: Command, words: tuple[str, ...], says: str) -> None:
    place = () if words[0] in {"frobnicate", "rnu"} else ("-C", done)
    answer = here(*words[:1], *place, "--json", *words[1:])
    assert answer.code == 2
    assert_one_document(answer)
    assert says in answer.document["error"]["what"] + answer.document["error"]["where"]
    assert answer.document["error"]["fix"]
    plain = here(*words[:1], *place, *words[1:])
    assert (plain.code, plain.stdout) == (2, "")
    assert says in plain.stderr


@pytest.mark.parametrize("ci", ["1", ""])
def test_a_pipe_gets_neither_colours_nor_a_spinner(project: Path, tahona: Command, ci: str) -> None:
    """Nor does CI, where each step is one plain line; and no line is broken by a terminal's width."""
    answer = tahona("run", "-C", project, env={"CI": ci, "FORCE_COLOR": "", "COLUMNS": "40", "TERM": "xterm-256color"})
    assert answer.code == 0
    assert not ESCAPE.search(answer.stdout + answer.stderr)
    steps = [line.split()[0] for line in answer.stderr.splitlines()]
    assert steps[:5] == ["ingest", "clean", "split", "audit", "train@dummy"]
    assert len(steps) == 11
    (row,) = [line for line in answer.stdout.splitlines() if "← chosen" in line]
    assert "logistic_regression" in row


def test_what_a_users_function_prints_stays_off_standard_output(tmp_path: Path, here: Command) -> None:
    text = QUICK.replace("[split]", 'clean = ["cleaning:fix"]\n\n[split]')
    folder = write_project(tmp_path, text, cleaning="def fix(frame):\n    print('cleaned')\n    return frame\n")
    answer = here("run", "-C", folder, "--json")
    assert answer.code == 0
    assert_one_document(answer)


def test_starting_the_command_loads_nothing_heavy(tahona: Command) -> None:
    import subprocess
    import sys

    heavy = ("pandas", "numpy", "sklearn", "optuna", "sqlalchemy", "pydantic", "matplotlib", "rich.table")
    code = (
        "import sys\nfrom tahona.cli import run\nrun(['--help'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "promote" in done.stdout
    assert tahona("--version").stdout.strip().count(".") == 2


def test_cells_that_look_like_formulas_are_kept_as_they_are(tmp_path: Path, here: Command) -> None:
    """They are escaped where a person's program would open them, and nowhere else."""
    table = quick_table()
    table["colour"] = table["colour"].map({"red": "=1+1", "green": "@SUM(A1)", "blue": "-2+3"})
    folder = write_project(tmp_path, table=table)
    assert here("run", "-C", folder).code == 0

    import tahona

    bundle = tahona.load_bundle("quick@champion", project=folder)
    levels = next(column.levels for column in bundle.schema.columns if column.name == "colour")
    assert set(levels) == {"=1+1", "@SUM(A1)", "-2+3"}
    assert bundle.predict([{"size": 0.1, "weight": 0.1, "colour": "=1+1"}])["warnings"].tolist() == [""]


def test_a_name_in_brackets_is_text_and_no_markup(tmp_path: Path, here: Command) -> None:
    table = quick_table().rename(columns={"size": "[red]size[/red]"})
    table["[bold]same"] = 1
    folder = write_project(tmp_path, table=table)
    answer = here("run", "-C", folder)
    assert answer.code == 0
    assert "'[bold]same' has one value only; dropped." in answer.stdout
