"""What every store does, as tests. Subclass `StoreContract` and give it a ``store``."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tahona.errors import IntegrityError
from tahona.ports import Store

FINGERPRINT = "f0" * 32


class StoreContract:
    """The behaviour behind `tahona.ports.Store`."""

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store; override this."""
        raise NotImplementedError("give the suite the store to test: override the fixture `store`")

    def test_it_is_a_store(self, store: Store) -> None:
        """The port's methods are all there."""
        assert isinstance(store, Store)

    @pytest.mark.parametrize(
        "data", [b"", b"grain", bytes(range(256)) * 20_000], ids=["empty", "short", "five_megabytes"]
    )
    def test_what_is_put_is_got(self, store: Store, tmp_path: Path, data: bytes) -> None:
        """Bytes come back as they went in, under their own sha256."""
        digest = store.put(_file(tmp_path, data))
        assert digest == hashlib.sha256(data).hexdigest()
        assert store.get(digest).read_bytes() == data

    def test_putting_twice_is_putting_once(self, store: Store, tmp_path: Path) -> None:
        """Equal bytes have one name, whatever their file was called."""
        first = store.put(_file(tmp_path, b"grain", "a.csv"))
        again = store.put(_file(tmp_path, b"grain", "b.parquet"))
        assert first == again
        assert store.get(first).read_bytes() == b"grain"

    def test_the_file_put_stays_the_callers(self, store: Store, tmp_path: Path) -> None:
        """Changing or removing the original afterwards changes nothing in the store."""
        file = _file(tmp_path, b"grain")
        digest = store.put(file)
        assert file.read_bytes() == b"grain"
        file.write_bytes(b"chaff")
        assert store.get(digest).read_bytes() == b"grain"
        file.unlink()
        assert store.get(digest).read_bytes() == b"grain"

    def test_has_tells_what_is_kept(self, store: Store, tmp_path: Path) -> None:
        """A digest is known exactly when its bytes were put."""
        absent = hashlib.sha256(b"grain").hexdigest()
        assert not store.has(absent)
        assert store.has(store.put(_file(tmp_path, b"grain")))
        assert not store.has(hashlib.sha256(b"chaff").hexdigest())

    @pytest.mark.parametrize("digest", ["0" * 64, "", "../../secret", "A" * 64])
    def test_what_was_never_put_cannot_be_got(self, store: Store, digest: str) -> None:
        """An unknown digest, or a text that is none, is an integrity error and no path outside the store."""
        assert not store.has(digest)
        with pytest.raises(IntegrityError):
            store.get(digest)

    def test_damage_is_noticed_or_undone(self, store: Store, tmp_path: Path) -> None:
        """After someone wrote into a file they had got, the wrong bytes are never handed out."""
        digest = store.put(_file(tmp_path, b"grain"))
        store.get(digest).write_bytes(b"chaff")
        try:
            data = store.get(digest).read_bytes()
        except IntegrityError:
            store.put(_file(tmp_path, b"grain"))  # putting the bytes again mends it
            data = store.get(digest).read_bytes()
        assert data == b"grain"

    def test_a_result_is_recalled(self, store: Store) -> None:
        """A step's result is found by its fingerprint, byte for byte, and nothing is found before."""
        assert store.recall(FINGERPRINT) is None
        assert store.record(FINGERPRINT, b'{"model": "ni\xc3\xb1o"}') == b'{"model": "ni\xc3\xb1o"}'
        assert store.recall(FINGERPRINT) == b'{"model": "ni\xc3\xb1o"}'
        assert store.recall("e1" * 32) is None

    def test_the_first_result_stays(self, store: Store) -> None:
        """A step that ran twice has one result: the second writer is given the first one's."""
        store.record(FINGERPRINT, b"first")
        assert store.record(FINGERPRINT, b"second") == b"first"
        assert store.recall(FINGERPRINT) == b"first"

    def test_racing_writers_agree(self, store: Store) -> None:
        """Of many who record at once, all are given the same result, and it is one of theirs."""
        offers = [b"result %d " % number * 500 for number in range(16)]
        with ThreadPoolExecutor(8) as pool:
            kept = set(pool.map(lambda offer: store.record(FINGERPRINT, offer), offers))
        assert len(kept) == 1
        assert kept <= set(offers)
        assert kept == {store.recall(FINGERPRINT)}

    def test_racing_puts_agree(self, store: Store, tmp_path: Path) -> None:
        """Many who put the same bytes at once all succeed."""
        file = _file(tmp_path, b"grain" * 100_000)
        with ThreadPoolExecutor(8) as pool:
            digests = set(pool.map(lambda _: store.put(file), range(16)))
        assert len(digests) == 1
        assert store.get(digests.pop()).read_bytes() == b"grain" * 100_000


def _file(folder: Path, data: bytes, name: str = "artefact.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
