"""What every store does, as tests. Subclass `StoreContract` (or `StoreroomContract`) and give it a ``store``."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tahona.errors import IntegrityError
from tahona.ports import Store, Storeroom

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


class StoreroomContract(StoreContract):
    """The behaviour behind `tahona.ports.Storeroom`, for a store that has it besides."""

    @pytest.fixture
    def room(self, store: Store) -> Storeroom:
        """Return the same store by its other side."""
        assert isinstance(store, Storeroom)
        return store

    def test_an_empty_room_holds_nothing(self, room: Storeroom) -> None:
        """What the store keeps for itself (its format's mark) is not among its holdings."""
        assert list(room.holdings()) == []

    def test_all_that_is_kept_is_told(self, store: Store, room: Storeroom, tmp_path: Path) -> None:
        """Each object and each result once, by its name, with its bytes and its age."""
        digests = [store.put(_file(tmp_path, data)) for data in (b"grain", b"chaff" * 1000, b"grain")]
        store.record(FINGERPRINT, b"first")
        store.record(FINGERPRINT, b"second, and longer")
        found = sorted((held.kind, held.name, held.size) for held in room.holdings())
        assert found == sorted([("object", digests[0], 5), ("object", digests[1], 5000), ("result", FINGERPRINT, 5)])
        assert all(-60 < held.age < 60 for held in room.holdings())

    def test_what_is_removed_is_gone_and_can_be_kept_anew(self, store: Store, room: Storeroom, tmp_path: Path) -> None:
        """Nothing else goes with it, and no copy of it is handed out any more."""
        grain, chaff = (store.put(_file(tmp_path, data)) for data in (b"grain", b"chaff"))
        store.record(FINGERPRINT, b"first")
        store.get(grain)
        for held in room.holdings():
            if held.name != chaff:
                room.remove(held)
        assert [held.name for held in room.holdings()] == [chaff]
        assert store.get(chaff).read_bytes() == b"chaff"
        assert not store.has(grain)
        assert store.recall(FINGERPRINT) is None
        with pytest.raises(IntegrityError):
            store.get(grain)
        assert store.put(_file(tmp_path, b"grain")) == grain
        assert store.record(FINGERPRINT, b"second") == b"second"
        assert store.get(grain).read_bytes() == b"grain"

    def test_removing_twice_is_removing_once(self, store: Store, room: Storeroom, tmp_path: Path) -> None:
        """Two who clear away at once do not trip over one another."""
        store.put(_file(tmp_path, b"grain"))
        (held,) = room.holdings()
        room.remove(held)
        room.remove(held)
        assert list(room.holdings()) == []

    def test_what_was_put_again_stays(self, store: Store, room: Storeroom, tmp_path: Path) -> None:
        """What looked old when it was looked at, and was written since, is not removed."""
        digest = store.put(_file(tmp_path, b"grain"))
        (held,) = room.holdings()
        assert not room.remove(replace(held, age=held.age + 3600))
        assert store.get(digest).read_bytes() == b"grain"


def _file(folder: Path, data: bytes, name: str = "artefact.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
