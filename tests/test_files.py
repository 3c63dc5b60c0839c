"""A small file is there whole or not at all."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest

from tahona.files import write_whole


def test_only_its_owner_may_read_a_private_file_whatever_was_left_of_it(tmp_path: Path) -> None:
    file, left = tmp_path / "keys.json", tmp_path / ".keys.json.new"
    for path in (file, left):
        path.write_text("old", "utf-8")
        path.chmod(0o644)
    write_whole(file, "new", private=True)
    assert file.read_text("utf-8") == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_does_not_fit_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "note.json"
    write_whole(file, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    with pytest.raises(OSError, match="too large"):
        write_whole(file, b"x" * 2000)
    assert file.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]
