"""Signed records: who has the key is trusted wherever the files lie; a signature binds all that a load relies on."""

import contextlib
import json
import os
import pickle
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from dict_storage import DictStorage
from specimens import NOBODY, ROOT, fast, loaded, stored

from persistable import ArtifactStore
from persistable.exceptions import (
    CorruptArtifactError,
    SigningKeyError,
    TrustWarning,
    UntrustedArtifactError,
)
from persistable.signing import SigningKey, keygen, read_key

VALUE = {"week of": "compute"}


class Bomb:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    keygen(tmp_path / "key")
    return tmp_path / "key"


def open_up(root: Path) -> None:
    """Let everybody write to a store."""
    for path in [root, *root.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWOTH)


def test_a_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    """keygen makes a file that only this user can read, and no two alike."""
    keygen(tmp_path / "a")
    keygen(tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()
    with pytest.raises(FileExistsError):
        keygen(tmp_path / "a")


@pytest.mark.parametrize(
    ("content", "mode", "match"),
    [
        ("", 0o600, "is not a key file.*keygen"),
        ("persistable-signing-key xyz\n", 0o600, "is not a key file"),
        (f"persistable-signing-key {'0' * 64}\n", 0o640, "is open to others.*chmod 600"),
    ],
)
def test_a_bad_key_file_is_refused(tmp_path: Path, content: str, mode: int, match: str) -> None:
    """The error names the file and the repair, and not what is in it."""
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SigningKeyError, match=match) as caught:
        read_key(str(path))
    assert "xyz" not in str(caught.value)


def test_a_key_file_that_is_not_there_is_no_missing_artifact(tmp_path: Path) -> None:
    """Nothing is loaded, stored or found whole without the key that was asked for, and nobody takes it for a miss."""
    stored(fast(tmp_path / "data"), VALUE)
    store = fast(tmp_path / "data", signing_key=tmp_path / "nowhere")
    for use in (lambda: loaded(store), lambda: stored(store, VALUE), lambda: list(store.check())):
        with pytest.raises(SigningKeyError, match=r"nowhere is not there.*keygen") as caught:
            use()
        assert not isinstance(caught.value, FileNotFoundError)


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_a_key_file_of_somebody_else_is_refused(key: Path) -> None:
    """Its owner could have others sign, whoever may read it."""
    os.chown(key, NOBODY, NOBODY)
    with pytest.raises(SigningKeyError, match="belongs to uid"):
        read_key(str(key))


def test_every_character_of_a_signature_counts(tmp_path: Path, key: Path) -> None:
    """No part of a signature, of the data or of the key alone is enough."""
    keygen(tmp_path / "other")
    mine, other = read_key(str(key)), read_key(str(tmp_path / "other"))
    signature = mine.sign(b"data")
    assert mine.verifies(b"data", signature)
    for at, character in enumerate(signature):
        assert not mine.verifies(b"data", signature[:at] + ("0" if character != "0" else "1") + signature[at + 1 :])
        assert not mine.verifies(b"data", signature[:at])
    assert not mine.verifies(b"data", other.sign(b"data"))
    assert not mine.verifies(b"date", signature)


def test_a_key_in_the_store_is_refused(tmp_path: Path) -> None:
    """Who may write to the store must not find the key there."""
    (tmp_path / "data").mkdir()
    keygen(tmp_path / "data" / "key")
    with pytest.raises(SigningKeyError, match="lies within the store"):
        stored(fast(tmp_path / "data", signing_key=tmp_path / "data" / "key"))


def test_a_signed_artifact_is_trusted_wherever_it_lies(tmp_path: Path, key: Path) -> None:
    """In a folder that everybody may write to, a signed pickle is loaded, and only with the key."""
    made = stored(fast(tmp_path / "data", signing_key=key), VALUE)
    assert made.record.signature is not None
    assert json.loads(made.record.raw)["signature"].startswith("hmac-sha256:")
    assert {file.digest.partition(":")[0] for file in made.record.files} == {"sha256"}
    open_up(tmp_path / "data")
    assert loaded(fast(tmp_path / "data", signing_key=key, cache="off")) == VALUE
    with pytest.raises(UntrustedArtifactError, match="signing_key"):
        loaded(fast(tmp_path / "data"))
    keygen(tmp_path / "other")
    with pytest.raises(UntrustedArtifactError):
        loaded(fast(tmp_path / "data", signing_key=tmp_path / "other"))
    with pytest.raises(UntrustedArtifactError):
        loaded(fast(tmp_path / "data", signing_key=key, trust="data-only"))


def test_the_key_comes_from_the_environment_too(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PERSISTABLE_SIGNING_KEY is the default of the argument."""
    monkeypatch.setenv("PERSISTABLE_SIGNING_KEY", str(key))
    assert stored(fast(tmp_path / "data"), VALUE).record.signature is not None


def test_remote_artifacts_are_trusted_by_their_signature(tmp_path: Path, key: Path) -> None:
    """Where nobody knows the owners, a signature is what makes pickles loadable, without trust='all'."""
    place = DictStorage(f"dict://{os.urandom(4).hex()}")
    store = ArtifactStore(place, signing_key=key, cache=tmp_path / "cache")
    stored(store, VALUE)  # and no TrustWarning, which would be an error here
    assert loaded(ArtifactStore(place, signing_key=key, cache=tmp_path / "empty")) == VALUE
    with pytest.raises(UntrustedArtifactError):
        loaded(ArtifactStore(place, cache=tmp_path / "cache"))


def tampered(raw: bytes, **changes: Any) -> bytes:
    """Return a record with other content and a check that holds, as anybody can make it."""
    from persistable.digest import digest_of

    head, _, signature = raw.partition(b',\n  "signature"')
    body = head[: head.rindex(b'"check"')]
    for old, new in changes.values():
        assert old in body
        body = body.replace(old, new)
    ending = f'"check": "{digest_of(body)}"'.encode()
    return body + ending + (b',\n  "signature"' + signature if signature else b"\n}\n")


@pytest.mark.parametrize("how", ["payload", "format", "key", "unsigned", "weak digest"])
def test_what_a_signature_binds(tmp_path: Path, key: Path, how: str) -> None:
    """Another payload, format or digest under a signature of this key is noticed before anything is executed."""
    root = tmp_path / "data"
    made = stored(fast(root, signing_key=key), VALUE)
    open_up(root)
    payload, record = Path(made.persist_filepath), root / made.payload_name / f"{made.key}.json"
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))
    raw, old = record.read_bytes(), made.record.files[0]
    payload.write_bytes(bomb)
    import hashlib

    sizes = (f'"bytes": {old.bytes}'.encode(), f'"bytes": {len(bomb)}'.encode())
    digests = (old.digest.encode(), f"sha256:{hashlib.sha256(bomb).hexdigest()}".encode())
    if how == "format":
        record.write_bytes(tampered(raw, format=(b'"format": "pickle"', b'"format": "json"')))
    elif how == "unsigned":
        record.write_bytes(tampered(raw.partition(b',\n  "signature"')[0] + b"\n}\n", sizes=sizes, digests=digests))
    elif how == "key":
        keygen(tmp_path / "other")
        other = read_key(str(tmp_path / "other"))
        head = tampered(raw, sizes=sizes, digests=digests).partition(b',\n  "signature"')[0]
        record.write_bytes(head + f',\n  "signature": "{other.sign(head)}"'.encode() + b"\n}\n")
    elif how == "weak digest":
        mine = read_key(str(key))
        from persistable.digest import digest_of

        weak = (old.digest.encode(), digest_of(bomb).encode())
        head = tampered(raw, sizes=sizes, digests=weak).partition(b',\n  "signature"')[0]
        record.write_bytes(head + f',\n  "signature": "{mine.sign(head)}"'.encode() + b"\n}\n")
    expected = CorruptArtifactError if how == "payload" else UntrustedArtifactError
    for trust in ("own", "signed"):
        with pytest.raises((UntrustedArtifactError, CorruptArtifactError)) as caught:
            loaded(fast(root, signing_key=key, trust=trust, cache="off"))
        assert isinstance(caught.value, expected)
    assert not (tmp_path / "executed").exists()


def test_only_signed_artifacts_at_all(tmp_path: Path, key: Path) -> None:
    """trust='signed' refuses even data that is not signed, and says so before generating without a key."""
    stored(fast(tmp_path / "data"), [1], payload_io="json")
    assert loaded(fast(tmp_path / "data"), payload_io="json") == [1]
    with pytest.raises(UntrustedArtifactError, match="is not signed with this store's key"):
        loaded(fast(tmp_path / "data", trust="signed", signing_key=key), payload_io="json")
    with pytest.warns(TrustWarning, match="signing_key"):
        stored(fast(tmp_path / "other", trust="signed"), [1], payload_io="json")
    stored(fast(tmp_path / "data", trust="signed", signing_key=key), [1], payload_io="json")
    assert loaded(fast(tmp_path / "data", trust="signed", signing_key=key), payload_io="json") == [1]


def test_nobody_can_change_the_payload_between_check_and_use(tmp_path: Path, key: Path) -> None:
    """A payload that others could overwrite while it is read is verified and read from a private copy."""
    root = tmp_path / "data"
    made = stored(fast(root, signing_key=key), b"x" * (3 << 20))
    open_up(root)
    payload = Path(made.persist_filepath)
    good, bomb = payload.read_bytes(), pickle.dumps(Bomb(tmp_path / "executed"))
    stop = threading.Event()

    def attack() -> None:
        with payload.open("r+b") as file:
            while not stop.is_set():
                for content in (bomb, good):
                    os.pwrite(file.fileno(), content[: len(good)], 0)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        for _ in range(30):
            with contextlib.suppress(CorruptArtifactError):
                assert loaded(fast(root, signing_key=key, cache="off")) == b"x" * (3 << 20)
    finally:
        stop.set()
        attacker.join()
    assert not (tmp_path / "executed").exists()


def test_what_was_verified_is_what_is_read(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload that is overwritten right after its digest was taken is read as it was then."""
    from persistable import reading

    root, value = tmp_path / "data", b"x" * (3 << 20)
    made = stored(fast(root, signing_key=key), value)
    open_up(root)
    payload, taken, digest_of = Path(made.persist_filepath), [], reading.digest_of
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))

    def overtaken(*args: Any) -> str:
        found = digest_of(*args)
        with payload.open("r+b") as file:
            file.write(bomb)
        taken.append(found)
        return found

    monkeypatch.setattr(reading, "digest_of", overtaken)
    assert loaded(fast(root, signing_key=key, cache="off")) == value
    assert made.record.files[0].digest in taken
    assert payload.read_bytes().startswith(bomb)
    assert not (tmp_path / "executed").exists()


def test_keys_are_replaced_step_by_step(tmp_path: Path, key: Path) -> None:
    """The first line of a key file signs, all of them verify."""
    stored(fast(tmp_path / "data", signing_key=key), VALUE)
    open_up(tmp_path / "data")
    keygen(tmp_path / "new")
    with (tmp_path / "new").open("a") as file:
        file.write(key.read_text())
    assert loaded(fast(tmp_path / "data", signing_key=tmp_path / "new", cache="off")) == VALUE
    stored(fast(tmp_path / "data", signing_key=tmp_path / "new", trust="signed"), VALUE)
    with pytest.raises(UntrustedArtifactError):
        loaded(fast(tmp_path / "data", signing_key=key, trust="signed"))


def test_verification_reports_what_is_not_signed(tmp_path: Path, key: Path) -> None:
    """A check with a key finds unsigned artifacts; one without finds nothing wrong with signed ones."""
    stored(fast(tmp_path / "data"), VALUE)
    assert [finding.problem for finding in fast(tmp_path / "data").check()] == [None]
    (finding,) = fast(tmp_path / "data", signing_key=key).check()
    assert finding.problem == "is not signed with this store's key"
    stored(fast(tmp_path / "data", signing_key=key), VALUE)
    for store in (fast(tmp_path / "data"), fast(tmp_path / "data", signing_key=key)):
        assert [finding.problem for finding in store.check()] == [None]


def test_a_key_is_nowhere_to_be_seen(tmp_path: Path, key: Path) -> None:
    """Neither repr nor pickle of a store holds the secret; a key itself is not pickled."""
    secret = key.read_text().split()[1]
    store = fast(tmp_path / "data", signing_key=key)
    made = stored(store, VALUE)
    sent = pickle.dumps((store, made))
    for seen in (repr(store), repr(store.signing_key), repr(made), made.record.raw.decode()):
        assert secret not in seen
    assert secret.encode() not in sent
    assert bytes.fromhex(secret) not in sent
    assert isinstance(store.signing_key, SigningKey)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(store.signing_key)
    store, _ = pickle.loads(sent)
    assert store.signing_key is not None


def test_the_command_makes_a_key(tmp_path: Path) -> None:
    """python -m persistable keygen PATH says where it is, and refuses to overwrite one."""
    command = [sys.executable, "-m", "persistable", "keygen", str(tmp_path / "key")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'key'}\n")
    assert read_key(str(tmp_path / "key"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "exists" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("payload_io", ["json", "pickle"])
def test_a_wrong_signature_is_refused_whatever_the_format(tmp_path: Path, key: Path, payload_io: str) -> None:
    """What was changed after it was signed is not served by a store with the key, unless it trusts everybody."""
    store = fast(tmp_path / "data", signing_key=key)
    made = stored(store, [1], payload_io=payload_io)
    record = next((tmp_path / "data").rglob(f"{made.key}.json"))
    record.write_bytes(tampered(record.read_bytes(), created=(b'"created": "2', b'"created": "3')))
    with pytest.raises(UntrustedArtifactError, match="is not signed with this store's key"):
        loaded(fast(tmp_path / "data", signing_key=key), payload_io=payload_io)
    assert loaded(fast(tmp_path / "data", signing_key=key, trust="all"), payload_io=payload_io) == [1]
    assert loaded(fast(tmp_path / "data"), payload_io=payload_io) == [1]
