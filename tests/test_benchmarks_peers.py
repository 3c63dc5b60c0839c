"""The comparison with other tools: everybody learns from the same rows, and is judged and measured the same way."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from peers import comparison, data, environments, measuring, protocol, runs  # noqa: E402

PLAIN_PEER = """
from protocol import main

def train(task, model, asked):
    share = float(task.train()[task.label].mean())
    (model / "share.txt").write_text(str(share))
    with open(task.folder / "trained.txt", "a") as file:
        file.write("once\\n")
    return {"chosen": f"a constant with {asked.size}"}

def load(task, model):
    import numpy as np
    share = float((model / "share.txt").read_text())
    return lambda frame: np.tile([1 - share, share], (len(frame), 1))

main(train, load, ("numpy",), size=1)
"""


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of breast cancer."""
    return data.make_task("breast_cancer", 42, tmp_path_factory.mktemp("tasks"))


@pytest.fixture
def constant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> runs.Peer:
    """A peer that predicts the share of the positive class, in this interpreter."""
    monkeypatch.setenv("PYTHONPATH", "not for peers")
    (tmp_path / "constant.py").write_text(
        f"import sys\nsys.path.insert(0, {str(BENCHMARKS / 'peers')!r})\n{PLAIN_PEER}"
    )
    return runs.Peer("constant", "Constant", str(tmp_path / "constant.py"), None)


def test_the_random_split_is_scikit_learns(real_data: Path) -> None:
    """The test rows are those of `train_test_split` with the same seed, stratified: anybody can draw them."""
    table = data.hotel()
    train, test = data.cut(data.DATA["hotel_random"], table, 43)
    theirs = train_test_split(np.arange(len(table)), test_size=0.2, random_state=43, stratify=table["is_canceled"])
    assert train.tolist() == theirs[0].tolist()
    assert test.tolist() == theirs[1].tolist()


def test_the_time_split_is_the_latest_fifth(real_data: Path) -> None:
    """Nobody trains on an arrival that is as late as one he is judged on; the seed only shuffles training rows."""
    table = data.hotel()
    one, test = data.cut(data.DATA["hotel_time"], table, 42)
    other, same = data.cut(data.DATA["hotel_time"], table, 43)
    arrival = table["arrival_date"].to_numpy()
    assert arrival[one].max() < arrival[test].min()
    assert abs(len(test) / len(table) - 0.2) < 0.005
    assert test.tolist() == same.tolist()
    assert one.tolist() != other.tolist()
    assert sorted(one) == sorted(other)
    assert not {"reservation_status", "reservation_status_date", "assigned_room_type"} & set(table.columns)


def test_no_abstract_is_on_both_sides(real_data: Path) -> None:
    """A text that occurs twice trains or tests."""
    table = data.abstracts()
    train, test = data.cut(data.DATA["abstracts"], table, 42)
    texts = table["medical_abstract"]
    assert texts.duplicated().sum() > 100
    assert not set(texts.iloc[train]) & set(texts.iloc[test])
    assert len(train) + len(test) == len(table)


def test_a_task_holds_every_row_once(patients: Path) -> None:
    """What Tahona reads whole is what the others read in two parts; the file has no notes of one pandas."""
    import pyarrow.parquet as pq

    whole = pd.read_parquet(patients / "table.parquet")
    parts = [pd.read_parquet(patients / f"{part}.parquet") for part in ("train", "test")]
    assert [len(part) for part in parts] == [398, 171]
    assert parts[1]["malignant"].sum() == 63
    order = whole.columns.tolist()
    pd.testing.assert_frame_equal(
        pd.concat(parts).sort_values(order, ignore_index=True), whole.sort_values(order, ignore_index=True)
    )
    assert pq.read_schema(patients / "train.parquet").metadata is None


def test_a_run_is_kept_until_something_changes(constant: runs.Peer, patients: Path, tmp_path: Path) -> None:
    """The same run is measured once; another argument or another seed's rows are another run."""
    (patients / "trained.txt").unlink(missing_ok=True)
    first = runs.run(constant, {}, patients, tmp_path / "cache")
    assert runs.run(constant, {}, patients, tmp_path / "cache") == first
    other = runs.run(constant, {"size": 2}, patients, tmp_path / "cache")
    assert other != first
    assert (patients / "trained.txt").read_text().split() == ["once", "once"]
    result = runs.read_result(other)
    assert result.facts["chosen"] == "a constant with 2"
    assert result.facts["one_row_ms"] > 0
    assert result.facts["disk_mb"] < 0.001
    assert 0 < result.training["cpu"] < 60
    assert not (other / "model").exists()
    assert runs.place_of(constant, {}, data.make_task("breast_cancer", 43, tmp_path), tmp_path / "cache") != first


def test_predictions_are_judged_as_scikit_learn_judges(constant: runs.Peer, patients: Path, tmp_path: Path) -> None:
    """Metrics of the table are the usual ones, and a report that says another number is noticed."""
    result = runs.read_result(runs.run(constant, {}, patients, tmp_path / "cache"))
    y = protocol.read_task(patients).labels()
    noise = np.random.default_rng(0).uniform(0, 0.6, len(y))
    scores = np.clip(0.4 * y + noise, 0.01, 0.99)
    result.predictions[:] = np.column_stack([1 - scores, scores])
    metrics = comparison.judge(result, patients).metrics
    assert metrics["roc_auc"] == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
    assert metrics["pr_auc"] == pytest.approx(average_precision_score(y, scores), abs=1e-12)
    assert metrics["log_loss"] == pytest.approx(log_loss(y, scores), abs=1e-12)
    assert metrics["f1"] == pytest.approx(f1_score(y, scores > 0.5), abs=1e-12)
    result.facts["claimed"] = {"roc_auc": metrics["roc_auc"] + 1e-6}
    with pytest.raises(comparison.NotComparableError, match="its report says"):
        comparison.judge(result, patients)
    result.facts.pop("claimed")
    result.predictions[0] = [0.2, 0.2]
    with pytest.raises(comparison.NotComparableError, match="no probabilities"):
        comparison.judge(result, patients)


def test_the_difference_is_resampled_in_pairs(constant: runs.Peer, patients: Path, tmp_path: Path) -> None:
    """A peer differs from itself by exactly nothing; a slightly worse one by less than the spread of either."""
    place = runs.run(constant, {}, patients, tmp_path / "cache")
    y = protocol.read_task(patients).labels()
    random = np.random.default_rng(1)
    base = 0.3 * y + random.uniform(0, 0.7, len(y))

    def judged(scores: np.ndarray) -> comparison.Judged:
        result = runs.read_result(place)
        result.predictions[:] = np.column_stack([1 - scores, scores])
        return comparison.judge(result, patients)

    good, copy, worse = judged(base), judged(base), judged(np.clip(base + random.normal(0, 0.03, len(y)), 0, 1))
    same = comparison.difference([(good, copy)], "roc_auc")
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    found = comparison.difference([(good, worse)], "roc_auc")
    assert found.mean == pytest.approx(good.metrics["roc_auc"] - worse.metrics["roc_auc"])
    assert found.low <= found.mean <= found.high
    alone = np.ptp(np.quantile(comparison.resampled(good, "roc_auc"), [0.025, 0.975]))
    assert found.high - found.low < 0.6 * alone


def test_a_tables_lines_tell_ratios(constant: runs.Peer, patients: Path, tmp_path: Path) -> None:
    """The lines against a peer stand below the figures, with CPU and disk as shares of that peer's."""
    theirs = runs.read_result(runs.run(constant, {}, patients, tmp_path / "cache"))
    ours = runs.Result(
        "tahona",
        theirs.data,
        theirs.seed,
        {},
        theirs.date,
        {**theirs.facts, "disk_mb": theirs.facts["disk_mb"] / 4},
        {**theirs.training, "cpu": theirs.training["cpu"] / 8},
        theirs.predictions,
    )
    judged = [comparison.judge(one, patients) for one in (ours, theirs)]
    text = comparison.tables("patients", judged, {"tahona": "Tahona", "constant": "Constant"})
    assert "| Constant, seed 42 | +0.0000 [+0.0000, +0.0000] | +0.0000 [+0.0000, +0.0000] | 0.125× | 0.2500× |" in text
    lines = text.splitlines()
    assert {line.count("|") for line in lines[2:6]} == {lines[2].count("|")}


def test_children_are_measured_too(tmp_path: Path) -> None:
    """CPU seconds and memory of a child count, even of one that nobody waited for."""
    child = (
        "import time; held = bytearray(150_000_000); end = time.process_time() + 1\n"
        "while time.process_time() < end: pass\n"
        "print('spent', flush=True); time.sleep(1)"
    )
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); time.sleep(0.6)"
    )
    cost = measuring.measure(
        (sys.executable, "-c", parent), log=tmp_path / "log", cwd=tmp_path, env=os.environ, limit=60
    )
    assert 0.8 < cost.cpu < 2.5
    assert cost.peak_mb > 150


def test_what_others_take_is_told(tmp_path: Path) -> None:
    """A neighbour's CPU seconds are seen, and are not the measured process's."""
    spin = "import time; end = time.process_time() + 1.5\nwhile time.process_time() < end: pass"
    wait = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}])"
    neighbour = subprocess.Popen([sys.executable, "-c", spin])
    cost = measuring.measure((sys.executable, "-c", wait), log=tmp_path / "log", cwd=tmp_path, env=os.environ, limit=60)
    neighbour.wait()
    assert 1.4 < cost.cpu < 3
    assert cost.others_cpu > 0.4


def test_a_peer_is_stopped_at_its_limit(tmp_path: Path) -> None:
    """With everything that it has started."""
    parent = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with pytest.raises(measuring.PeerError, match="stopped after 1 s"):
        measuring.measure((sys.executable, "-c", parent), log=tmp_path / "log", cwd=tmp_path, env=os.environ, limit=1)
    child = Path("/proc") / (tmp_path / "log").read_text().strip()
    for _ in range(50):
        if not child.exists() or ") Z " in (child / "stat").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the child is still there")


def test_an_environment_is_what_its_pins_say() -> None:
    """A resolver that fell back to an older release is noticed."""
    found = environments.installed(Path(sys.executable))
    assert environments.differing(f"numpy=={found['numpy']}\n", found) == []
    assert environments.differing("torch==2.13.0\n", {"torch": "2.13.0+cpu"}) == []
    assert environments.differing("numpy==1.0\nscikit_learn[x]==0.1\n", found) == [
        f"numpy==1.0 (found {found['numpy']})",
        f"scikit_learn[x]==0.1 (found {found['scikit-learn']})",
    ]


@pytest.mark.parametrize("name", sorted(file.stem for file in environments.REQUIREMENTS.glob("*.in")))
def test_every_pin_is_a_release(name: str) -> None:
    """What the issue names is what is pinned, and no line names an address."""
    wanted = (environments.REQUIREMENTS / f"{name}.in").read_text("utf-8").split()
    pins = dict(
        line.split(";")[0].strip().split("==")
        for line in (environments.REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    )
    for line in wanted:
        package, _, version = line.partition("==")
        have = pins[environments.plain(package.partition("[")[0])]
        assert have.startswith(version.removesuffix("*")), line


def test_the_tables_have_their_place_in_the_readme(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--write` replaces what stands between its marks, and nothing else."""
    before = (BENCHMARKS / "README.md").read_text("utf-8")
    spec = importlib.util.spec_from_file_location("peers_command", BENCHMARKS / "peers.py")
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(before, "utf-8")
    command.write_readme("twice\n")
    command.write_readme("new tables\n")
    head, rest = before.split("<!-- peers -->")
    after = rest.split("<!-- end of peers -->")[1]
    written = (tmp_path / "README.md").read_text("utf-8")
    assert written == f"{head}<!-- peers -->\nnew tables\n<!-- end of peers -->{after}"


def test_tahona_reads_the_whole_table(patients: Path, tmp_path: Path) -> None:
    """Its project file sets nothing of what a search could find, and Tahona accepts it."""
    script = (
        f"import sys; sys.path.insert(0, {str(BENCHMARKS / 'peers')!r})\n"
        "import pathlib, protocol, tahona_\n"
        f"print(tahona_.project_file(protocol.read_task(pathlib.Path({str(patients)!r})), 7))"
    )
    text = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    (tmp_path / "tahona.toml").write_text(text, "utf-8")
    import tahona

    project = tahona.load(tmp_path)
    part = project._opened.project
    assert part.split.seed == 7
    assert part.split.stratify is False
    assert part.train.model_fields_set == {"metric"}
    assert json.loads((patients / "task.json").read_text())["rows"] == {"train": 398, "test": 171, "columns": 30}
