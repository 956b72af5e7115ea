"""Trust: code of others is not run, and the reader's settings alone decide who others are."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from specimens import (
    NOBODY,
    ROOT,
    BlobP,
    artifact_files,
    blob,
    environment,
    fast,
    in_child,
    loaded,
    stored,
    unprivileged,
)

from persistable import ArtifactStore, trust
from persistable.exceptions import TrustWarning, UntrustedArtifactError
from persistable.trust import Trust

OLD = {"old": 1}
needs_root = pytest.mark.skipif(not ROOT, reason="only root may give files to others")


def parts(made: BlobP) -> dict[str, Path]:
    """Return what an artifact is made of, by what it is called here."""
    payload = Path(made.persist_filepath)
    folder = payload.parent
    return {
        "record": folder / f"{made.key}.json",
        "payload": payload,
        "folder": folder,
        "data_dir": folder.parent,
    }


def status(mode: int = stat.S_IFREG | 0o644, uid: int = 0, gid: int = 0) -> os.stat_result:
    """Return a made-up file status."""
    return os.stat_result((mode, 1, 1, 1, uid, gid, 1, 0, 0, 0))


def refused(store: Any) -> UntrustedArtifactError:
    """Load, and return the refusal."""
    for use in ("load", "load_generate"):
        with pytest.raises(UntrustedArtifactError) as caught:
            getattr(blob(store), use)()
    return caught.value


@needs_root
@pytest.mark.parametrize("what", ["record", "payload", "folder", "data_dir"])
def test_owned_by_somebody_else(what: str, tmp_path) -> None:
    """Whatever of an artifact belongs to another user is refused, with the choices; trusting that user is one."""
    made = stored(fast(tmp_path / "data"), OLD)
    path = parts(made)[what]
    os.chown(path, NOBODY, NOBODY)
    error = refused(fast(tmp_path / "data"))
    assert error.path == str(path)
    assert isinstance(error, PermissionError)
    assert f"uid {NOBODY}" in error.reason
    for choice in ("trust=", "trust='all'", "PERSISTABLE_TRUST", "data-only"):
        assert choice in str(error)
    for setting in ("all", NOBODY, str(NOBODY), [NOBODY], ["root", NOBODY], f"root, {NOBODY}"):
        assert loaded(fast(tmp_path / "data", trust=setting)) == OLD
    with pytest.raises(UntrustedArtifactError):
        loaded(fast(tmp_path / "data", trust="daemon"))
    os.chown(path, 0, 0)
    assert loaded(fast(tmp_path / "data")) == OLD


@needs_root
def test_root_is_trusted(open_folder) -> None:
    """What root wrote is loaded by anybody who may read it."""
    root = open_folder / "data"
    stored(fast(root), OLD)
    assert in_child(lambda: loaded(fast(root)), uid=NOBODY) == OLD


@pytest.mark.parametrize("what", ["record", "payload", "folder", "data_dir"])
@pytest.mark.parametrize("bit", [stat.S_IWOTH, stat.S_IWGRP], ids=["everybody", "group"])
def test_writable_by_others(bit: int, what: str, open_folder) -> None:
    """Whatever of an artifact others may write to is refused; a group counts as others unless it is private."""

    def work() -> None:
        made = stored(fast(open_folder / "data"), OLD)
        path = parts(made)[what]
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(before | bit)
        with mock.patch.object(trust, "_group_is_trusted", return_value=False):
            error = refused(fast(open_folder / "data"))
        assert error.path == str(path)
        assert "writable" in error.reason
        assert loaded(fast(open_folder / "data", trust="all")) == OLD
        path.chmod(before)
        assert loaded(fast(open_folder / "data")) == OLD

    unprivileged(work)


def test_groups() -> None:
    """A group is private if only trusted users are in it, by membership or as their primary group."""
    users = {"ann": (1000, 1000), "bob": (1001, 1001), "cy": (1002, 100)}
    groups = {
        1000: ("ann", []),
        1001: ("bob", ["ann"]),
        100: ("users", []),
        200: ("two", ["ann", "bob"]),
        7: ("no", []),
    }

    class Entry:
        def __init__(self, **fields: Any) -> None:
            self.__dict__.update(fields)

    def by_name(name: str) -> Entry:
        uid, gid = users[name]
        return Entry(pw_name=name, pw_uid=uid, pw_gid=gid)

    def by_id(uid: int) -> Entry:
        return by_name(next(name for name, (known, _) in users.items() if known == uid))

    def group(gid: int) -> Entry:
        name, members = groups[gid]
        return Entry(gr_name=name, gr_mem=members)

    ann, both = frozenset({1000}), frozenset({1000, 1001})
    trust._group_is_trusted.cache_clear()
    try:
        everybody = [by_name(name) for name in users]
        with (
            mock.patch("pwd.getpwnam", by_name),
            mock.patch("pwd.getpwuid", by_id),
            mock.patch("pwd.getpwall", return_value=everybody),
            mock.patch("grp.getgrgid", group),
        ):
            assert trust._group_is_trusted(1000, ann)
            assert not trust._group_is_trusted(1001, ann)  # bob is in it, by his primary group
            assert trust._group_is_trusted(1001, both)
            assert not trust._group_is_trusted(100, ann)
            assert not trust._group_is_trusted(200, ann)
            assert trust._group_is_trusted(200, both)
            assert not trust._group_is_trusted(7, ann)  # nobody is in it that is known
            assert not trust._group_is_trusted(999, ann)
    finally:
        trust._group_is_trusted.cache_clear()


def test_objections_in_order() -> None:
    """The outermost thing that is not trusted is named, and evidence is needed."""
    me = os.geteuid()
    good, bad = status(uid=me), status(uid=me + 1)
    policy = Trust()
    assert policy.objection([("a", good), ("b", good)]) is None
    assert policy.objection([("a", status(uid=0)), ("b", good)]) is None
    assert policy.objection([("a", good), ("b", bad), ("c", bad)])[0] == "b"
    assert policy.objection([]) is not None
    assert Trust("all").objection([("a", bad)]) is None
    assert Trust("data-only").objection([("a", good)]) == ("a", "is read by a store with trust='data-only'")
    assert Trust(me + 1).objection([("a", bad)]) is None
    assert Trust(me + 1).objection([("a", status(mode=stat.S_IFREG | 0o666, uid=me + 1))])[1].startswith("is writable")


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ("own", "own"),
        ("all", "all"),
        ("data-only", "data-only"),
        (["own"], "own"),
        (("all",), "all"),
        (0, "0"),
        ("0,1", "0,1"),
        (" root , 1 ", "root,1"),
        (["root", 12345], "root,12345"),
        (Trust("all"), "all"),
    ],
    ids=repr,
)
def test_settings(given: Any, setting: str) -> None:
    """Trust is given as own, all, data-only, or as users by name or id, alone, in a list or with commas."""
    assert Trust(given).setting == setting
    assert ArtifactStore("x", trust=given).trust.setting == setting


@pytest.mark.parametrize(
    "given",
    ["", "no such user", "Own", "own,all", ["own", "root"], "root,", -1, "-1", True, [], [""], "²", b"all", b"\0"],
    ids=repr,
)
def test_bad_settings(given: Any, monkeypatch) -> None:
    """Anything else is a ValueError that says what there is, at construction; from the environment on first use."""
    with pytest.raises(ValueError, match="trust"):
        ArtifactStore("x", trust=given)
    if isinstance(given, str) and given:
        monkeypatch.setenv("PERSISTABLE_TRUST", given)
        with pytest.raises(ValueError, match="trust"):
            _ = ArtifactStore("x").trust


def test_environment(tmp_path, monkeypatch) -> None:
    """PERSISTABLE_TRUST is the default of stores that say nothing, and is overruled by those that do."""
    made = stored(fast(tmp_path), OLD)
    parts(made)["payload"].chmod(0o666)
    with pytest.raises(UntrustedArtifactError):
        loaded(tmp_path)
    monkeypatch.setenv("PERSISTABLE_TRUST", "all")
    assert loaded(tmp_path) == OLD
    with pytest.raises(UntrustedArtifactError):
        loaded(ArtifactStore(tmp_path, trust="own"))
    monkeypatch.setenv("PERSISTABLE_TRUST", "")
    with pytest.raises(UntrustedArtifactError):
        loaded(tmp_path)


def test_data_only(tmp_path) -> None:
    """A store for data only loads no pickle, not even its own."""
    stored(fast(tmp_path), OLD)
    with pytest.raises(UntrustedArtifactError, match="data-only"):
        loaded(fast(tmp_path, trust="data-only"))


def test_the_artifact_has_no_say(tmp_path) -> None:
    """Nothing that stands in a record changes who is trusted, and a format is a name, never an import path."""
    made = stored(fast(tmp_path), OLD)
    document = made.record.document
    assert document["payload"]["format"] == "pickle"
    assert "trust" not in str(document)


def test_judged_before_the_format_is_imported(tmp_path) -> None:
    """The gate comes before the format: a refused artifact imports nothing and reads no payload."""
    made = stored(fast(tmp_path), OLD)
    parts(made)["record"].chmod(0o666)
    with mock.patch("persistable.choice.load_object", side_effect=AssertionError("imported")):
        refused(fast(tmp_path))


def test_judged_before_the_payload(tmp_path) -> None:
    """A record that is not trusted is refused as such, whatever the payload that it names is like."""
    made = stored(fast(tmp_path), OLD)
    parts(made)["record"].chmod(0o666)
    parts(made)["payload"].unlink()
    refused(fast(tmp_path))


@pytest.mark.parametrize("what", ["record", "payload"])
def test_judged_on_what_is_open(what: str, tmp_path) -> None:
    """A file that is exchanged right after it was opened is judged and read as it was opened."""
    made = stored(fast(tmp_path), OLD)
    path = parts(made)[what]
    real_open, real_fstat = os.open, os.fstat
    good, executed = path.read_bytes(), tmp_path / "executed"
    planted = tmp_path / "planted"
    planted.write_bytes(pickle.dumps(Bomb(str(executed))))
    planted.chmod(0o666)
    swapped: list[int] = []

    def opened(name: Any, *args: Any, **options: Any) -> int:
        descriptor = real_open(name, *args, **options)
        if str(name).endswith(path.name) and not swapped:
            swapped.append(descriptor)
            os.replace(planted, path)
        return descriptor

    with mock.patch.object(os, "open", opened), mock.patch.object(os, "fstat", real_fstat):
        assert loaded(fast(tmp_path)) == OLD
    assert swapped
    assert path.read_bytes() != good
    assert not executed.exists()


# -- warnings before writing


def test_warning_before_writing(open_folder) -> None:
    """What this store would refuse to load is not written without a warning, before generating where it can be told."""

    def work() -> None:
        root = open_folder / "data"
        root.mkdir()
        root.chmod(0o777)
        made = blob(fast(root))
        with pytest.warns(TrustWarning, match="would refuse to load"):
            made.load_generate(value=lambda: OLD)
        with warnings.catch_warnings(record=True) as caught:  # once per store and place
            warnings.simplefilter("always")
            made.generate(value=OLD)
        assert caught == []
        refused(fast(root))
        declared = blob(fast(root), n=2, payload_io="pickle")
        with pytest.raises(TrustWarning):
            declared.load_generate(value=lambda: pytest.fail("generated"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            stored(fast(root, trust="all"), OLD, n=3)

    unprivileged(work)


# -- planted pickles


class Bomb:
    """A payload that creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.path}'",)


def test_the_bomb_is_live(tmp_path) -> None:
    """The planted pickles of the next test would run, were they loaded."""
    stored(fast(tmp_path), Bomb(str(tmp_path / "executed")))
    loaded(fast(tmp_path))
    assert (tmp_path / "executed").exists()


@needs_root
@pytest.mark.parametrize("attacker", ["owner of all", "owner of payload", "writable folder", "writable payload"])
def test_planted_pickles(attacker: str, open_folder) -> None:
    """Ten pickles planted by somebody else run nothing under the default trust."""
    root, executed = open_folder / "data", open_folder / "executed"

    def plant() -> None:
        for number in range(10):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stored(fast(root), Bomb(str(executed)), n=number)

    if attacker == "owner of all":
        in_child(plant, uid=NOBODY)
    else:
        plant()
        for path in [*artifact_files(root), "blob"]:
            if attacker == "owner of payload" and path.endswith(".pickle"):
                os.chown(root / path, NOBODY, NOBODY)
            if attacker == "writable folder" and path == "blob":
                (root / path).chmod(0o777)
            if attacker == "writable payload" and path.endswith(".pickle"):
                (root / path).chmod(0o646)
    before = artifact_files(root)
    for number in range(10):
        for use in ("load", "load_generate"):
            with pytest.raises(UntrustedArtifactError):
                getattr(blob(fast(root), n=number), use)()
    assert not executed.exists()
    assert artifact_files(root) == before
    loaded(fast(root, trust="all"))
    assert executed.exists()


def test_no_import_of_pwd_for_own_files(tmp_path) -> None:
    """A hit on files of one's own looks up no user names."""
    stored(fast(tmp_path), OLD)
    script = (
        "import sys; from specimens import loaded; loaded(sys.argv[1]); "
        "assert 'grp' not in sys.modules, 'grp was imported'"
    )
    subprocess.run([sys.executable, "-P", "-c", script, str(tmp_path)], env=environment(), check=True)


@needs_root
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
@pytest.mark.parametrize("changed", [False, True], ids=["from the start", "later"])
def test_nobody_else_can_write_to_what_is_about_to_be_digested(changed: bool, umask: int, open_folder) -> None:
    """Whatever the umask, a staged payload is never open to others: what they wrote would get our digest."""
    root = open_folder / "data"

    before = os.umask(0o022)
    try:
        store = fast(root)
        if changed:
            stored(store, OLD)
        os.umask(umask)
        stored(store, [bytes(1 << 17), SlowPayload(root)], n=2)  # the first part is longer than what is held in memory
    finally:
        os.umask(before)
    assert SlowPayload.open_at_the_end == []


class SlowPayload:
    """A payload that looks, while it is pickled, whether somebody else could write to where it is staged."""

    open_at_the_end: Any = None

    def __init__(self, root: Path) -> None:
        self.root = root

    def __reduce__(self) -> tuple[Any, ...]:
        staged = [path for path in self.root.rglob("*.pickle") if ".tmp-" in str(path)]
        assert len(staged) == 1
        type(self).open_at_the_end = in_child(lambda: [path for path in staged if _opens(path)], uid=NOBODY)
        return SlowPayload, (self.root,)


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        return False
    return True


@needs_root
def test_a_link_of_somebody_else_is_not_trusted(open_folder) -> None:
    """A data_dir that is a link of another user could lead elsewhere between check and use."""
    stored(fast(open_folder / "data"), OLD)
    link = open_folder / "link"
    link.symlink_to(open_folder / "data")
    assert loaded(fast(link)) == OLD
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert refused(fast(link)).path == str(link)
