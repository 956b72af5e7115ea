"""Artifacts that somebody else has planted: no code of theirs runs under the default policy, no link leads outside.

The attacker is another user who can write where we read, or has made a link there. Each plant carries code in a
pickle, in a format of the attacker's own, or inside of a format that holds data only, and would leave a mark if run.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from specimens import NOBODY, ROOT, blob, fast, files

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.children import open_folder
from campaigns.samples import installed
from persistable import ArtifactStore, FileIO

__all__ = ["CAMPAIGN"]


class _Malice:
    """Make a folder where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


# -- what is planted


class _Custom(FileIO[Any]):
    """A format of the attacker's own."""

    suffix: ClassVar[str] = ".own"

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_bytes(pickle.dumps(payload))

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return pickle.loads(filepath.read_bytes())


def _posing(format_name: str, file_suffix: str, content: Callable[[Any], bytes]) -> type[FileIO[Any]]:
    """Return a FileIO that has the record name a format which holds data only, and writes what that one never would."""

    class Posing(FileIO[Any]):
        name: ClassVar[str] = format_name
        suffix: ClassVar[str] = file_suffix

        def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
            filepath.write_bytes(content(payload))

        def _load(self, filepath: Path, **kwargs: Any) -> Any:
            raise AssertionError("nobody loads with this one")

    return Posing


def _objects(payload: Any) -> bytes:
    import io

    import numpy as np

    buffer, array = io.BytesIO(), np.empty(1, object)
    array[0] = payload
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _zipped_objects(payload: Any) -> bytes:
    import io

    import numpy as np

    buffer, array = io.BytesIO(), np.empty(1, object)
    array[0] = payload
    np.savez(buffer, one=array)
    return buffer.getvalue()


def _extension(payload: Any) -> bytes:
    """A feather file with a column of the extension type that old pyarrow unpickled (CVE-2023-47248)."""
    import pyarrow as pa

    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(payload),
    }
    schema = pa.schema([pa.field("x", pa.int64(), metadata=metadata)])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array([1])], schema=schema))
    return bytes(sink.getvalue())


def _parquet_extension(payload: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.parquet as pq

    table = pa.ipc.open_file(_extension(payload)).read_all()
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


_EXECUTING: Mapping[str, Callable[[], Any]] = {"pickle": lambda: "pickle", "own format": _Custom}
_DISGUISED: Mapping[str, tuple[str, Callable[[], Any]]] = {
    "a pickle as npy": ("npy", lambda: _posing("npy", ".npy", pickle.dumps)()),
    "objects as npy": ("npy", lambda: _posing("npy", ".npy", _objects)()),
    "a pickle as npz": ("npz", lambda: _posing("npz", ".npz", pickle.dumps)()),
    "objects as npz": ("npz", lambda: _posing("npz", ".npz", _zipped_objects)()),
    "a pickle as json": ("json", lambda: _posing("json", ".json", pickle.dumps)()),
    "a pickle as text": ("text", lambda: _posing("text", ".txt", pickle.dumps)()),
    "a pickle as csv": ("csv", lambda: _posing("csv", ".csv", pickle.dumps)()),
    "a pickle as parquet": ("parquet", lambda: _posing("parquet", ".parquet", pickle.dumps)()),
    "an extension type as parquet": ("parquet", lambda: _posing("parquet", ".parquet", _parquet_extension)()),
    "a pickle as feather": ("feather", lambda: _posing("feather", ".feather", pickle.dumps)()),
    "an extension type as feather": ("feather", lambda: _posing("feather", ".feather", _extension)()),
    "a pickle as avro": ("avro", lambda: _posing("avro", ".avro", pickle.dumps)()),
    "an import path": ("json", lambda: _posing("os:system", ".json", pickle.dumps)()),
    "a module": ("json", lambda: _posing("antigravity", ".json", pickle.dumps)()),
}


# -- where and how it is planted: from (data_dir, the attacker's own store) to a data_dir that holds the plant


def _payload_of(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.name[32:33] == "-")


def _record_of(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if len(path.name) == 37)


def _given(*parts: str) -> Callable[[Path, Path], None]:
    """Copy all, and leave some parts to the attacker."""

    def plant(root: Path, theirs: Path) -> None:
        shutil.copytree(theirs, root)
        for part in parts:
            os.chown(_part(root, part), NOBODY, NOBODY)

    return plant


def _loose(part: str, mode: int) -> Callable[[Path, Path], None]:
    """Copy all, and leave one part writable by others."""

    def plant(root: Path, theirs: Path) -> None:
        shutil.copytree(theirs, root)
        _part(root, part).chmod(mode)

    return plant


def _linked(part: str) -> Callable[[Path, Path], None]:
    """Copy all, and put a link to the attacker's own in place of one part."""

    def plant(root: Path, theirs: Path) -> None:
        shutil.copytree(theirs, root)
        path, target = _part(root, part), _part(theirs, part)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(target)

    return plant


def _part(root: Path, part: str) -> Path:
    folder = root / "blob"
    return {
        "data_dir": lambda: root,
        "folder": lambda: folder,
        "record": lambda: _record_of(folder),
        "payload": lambda: _payload_of(folder),
    }[part]()


_NEEDS_ROOT: Mapping[str, Callable[[Path, Path], None]] = {
    "all theirs": _given("data_dir", "folder", "record", "payload"),
    "their payload": _given("payload"),
    "their record": _given("record"),
    "their folder": _given("folder"),
    "their data_dir": _given("data_dir"),
    "record and payload theirs": _given("record", "payload"),
}
_PLACES: Mapping[str, Callable[[Path, Path], None]] = {
    "payload writable by all": _loose("payload", 0o666),
    "record writable by all": _loose("record", 0o666),
    "folder writable by all": _loose("folder", 0o777),
    "sticky folder": _loose("folder", 0o1777),
    "data_dir writable by all": _loose("data_dir", 0o777),
    "payload is a link": _linked("payload"),
    "record is a link": _linked("record"),
    "folder is a link": _linked("folder"),
    "data_dir is a link": _linked("data_dir"),
}


def _run(setting: Setting, case: str) -> Tally:
    """Plant, then use the store in every way that reads."""
    tally = Tally()
    with contextlib.suppress(FileNotFoundError):
        setting.folder.chmod(0o755)
    if case == "code":
        for what, make in _EXECUTING.items():
            for where, plant in (_NEEDS_ROOT if ROOT else {}).items() | _PLACES.items():
                for injected in [None, "pickle", *installed("npy", "json")]:  # a format switch, for the last two
                    _plant(setting, tally, what, make(), where, plant, injected, code=True)
    elif case == "disguise":
        for what, (format_name, make) in _DISGUISED.items():
            if format_name not in installed():
                continue
            # the files are our own and nobody else can write to them: a format of data runs no code all the same
            places = {"our own": lambda root, theirs: shutil.copytree(theirs, root)}
            for where, plant in (places | ({"all theirs": _NEEDS_ROOT["all theirs"]} if ROOT else {})).items():
                for injected in (None, format_name):
                    _plant(setting, tally, what, make(), where, plant, injected, code=False)
    elif case == "signed":
        _signed(setting, tally)
    else:
        _links(setting, tally)
    return tally


def _plant(
    setting: Setting, tally: Tally, what: str, payload_io: Any, where: str, plant: Any, injected: Any, *, code: bool
) -> None:
    tally.rounds += 1
    with open_folder() as folder:
        mark, theirs, root = folder / "mark", folder / "theirs", folder / "data"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            blob(fast(theirs, trust="all"), payload_io=payload_io).generate(value=_Bait(mark))
        if mark.is_dir():
            mark.rmdir()
        for path in [theirs, *theirs.rglob("*")] if ROOT else ():
            os.chown(path, NOBODY, NOBODY)
        plant(root, theirs)
        if where.startswith(("data_dir is", "folder is")) and not ROOT:
            return  # a link to what is our own is as good as that
        _use(setting, tally, root, f"{what}, {where}, read as {injected}", injected, mark, code=code)


class _Bait:
    """What is persisted: it turns into code on the way to the disk."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return _Malice(self.mark).__reduce__()


def _use(setting: Setting, tally: Tally, root: Path, what: str, injected: Any, mark: Path, *, code: bool) -> None:
    """Read it in every way; a mark means that code was run. What cannot hold code may be served as the data it is."""
    store = ArtifactStore(root, **setting.options)

    def lineage() -> None:
        for address in store.list():
            store.lineage(address)

    fresh = blob(store, payload_io=injected)
    ways: dict[str, Callable[[], object]] = {
        "load": fresh.load,
        "load_generate": lambda: blob(store, payload_io=injected).load_generate(value="mine"),
        "record": lambda: blob(store, payload_io=injected).record,
        "list": lambda: list(store.list()),
        "lineage": lineage,
        "check": lambda: list(store.check()),
        "sweep": lambda: store.sweep(grace=0),
    }
    for way, work in ways.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work()
        except Exception as error:  # noqa: BLE001 - a refusal, told in the row
            if way == "load":
                tally.saw(type(error).__name__)
        else:
            if way == "load" and code:
                tally.fault("served", what)
            elif way == "load":
                tally.saw("served as data")
        if mark.exists():
            tally.fault("executed", f"{what}: {way}")
            mark.rmdir()


# -- what is planted in a signed store


def _rewritten(path: Path, old: bytes, new: bytes, *, signed: bool = True) -> None:
    """Change a record, make its check hold again, and keep its signature, or leave it out."""
    import xxhash

    raw = path.read_bytes()
    body, tail = raw[: raw.index(b'"check"')].replace(old, new), raw[raw.index(b',\n  "signature"') :]
    check = f'"check": "xxh3_128:{xxhash.xxh3_128_hexdigest(body)}"'.encode()
    path.write_bytes(body + check + (tail if signed else b"\n}\n"))


def _replaced(root: Path, theirs: Path) -> None:
    """Put their whole artifact in place of ours."""
    for path in (_record_of(root / "blob"), _payload_of(root / "blob")):
        path.unlink()
    shutil.copytree(theirs / "blob", root / "blob", dirs_exist_ok=True)


def _made_up(root: Path, theirs: Path) -> None:
    """Put their artifact in place of ours, under a signature that nobody made."""
    _replaced(root, theirs)
    record = _record_of(root / "blob")
    raw = record.read_bytes()
    if b'"signature"' not in raw:
        record.write_bytes(raw.removesuffix(b"\n}\n") + b',\n  "signature": "hmac-sha256:%s"\n}\n' % (b"0" * 64))


def _payload_replaced(root: Path, theirs: Path) -> None:
    _payload_of(root / "blob").write_bytes(_payload_of(theirs / "blob").read_bytes())


def _digest_replaced(root: Path, theirs: Path) -> None:
    import hashlib

    record, payload = _record_of(root / "blob"), _payload_of(root / "blob")
    before, bait = payload.read_bytes(), _payload_of(theirs / "blob").read_bytes()
    payload.write_bytes(bait)
    _rewritten(record, hashlib.sha256(before).hexdigest().encode(), hashlib.sha256(bait).hexdigest().encode())


def _format_switched(root: Path, theirs: Path) -> None:
    _payload_replaced(root, theirs)
    _rewritten(_record_of(root / "blob"), b'"format": "text"', b'"format": "pickle"')


def _signature_off(root: Path, theirs: Path) -> None:
    _payload_replaced(root, theirs)
    _rewritten(_record_of(root / "blob"), b'"format": "text"', b'"format": "pickle"', signed=False)


def _another_key(root: Path, theirs: Path) -> None:
    """Serve a good artifact of ours under the key of another one."""
    other, record = root / "other" / "blob", _record_of(root / "blob")
    record.write_bytes(_record_of(other).read_bytes())
    shutil.copy(_payload_of(other), root / "blob")


_FORGERIES: Mapping[str, Callable[[Path, Path], None]] = {
    "their artifact": _replaced,
    "their artifact, the signature made up": _made_up,
    "their payload": _payload_replaced,
    "their payload and its digest": _digest_replaced,
    "the format switched": _format_switched,
    "the format switched, the signature off": _signature_off,
    "a good record of another key": _another_key,
}


def _signed(setting: Setting, tally: Tally) -> None:
    """Forge in a store that has a key of which the attacker has none, and where mostly everybody may write."""
    from persistable.signing import keygen

    for where, forge in _FORGERIES.items():
        for theirs_io in ("pickle", "text"):
            for key in (None, "their.key"):
                # where nobody else can write, it is the signature alone that trust="signed" finds missing
                for trust, mode in ((None, 0o777), ("signed", 0o777), ("signed", 0o755)):
                    tally.rounds += 1
                    with open_folder() as folder:
                        keygen(folder / "my.key")
                        keygen(folder / "their.key")
                        own = {"signing_key": folder / "my.key"} | ({"trust": trust} if trust else {})
                        own |= dict(setting.options)
                        _forge(tally, folder, own, where, forge, theirs_io, key and folder / key, mode)


def _forge(
    tally: Tally, folder: Path, own: dict[str, Any], where: str, forge: Any, theirs_io: str, key: Path | None, mode: int
) -> None:
    mark, theirs, root = folder / "mark", folder / "theirs", folder / "data"
    signed = "signed with their key" if key else "unsigned"
    what = f"{where}, {theirs_io}, {signed}, trust={own.get('trust')}, mode {mode:o}"
    store = ArtifactStore(root, **own)
    made = blob(store, payload_io="text")
    made.generate(value="genuine")
    blob(ArtifactStore(root / "other", **own), n=2, payload_io="text").generate(value="another")
    made.load()
    tally.require(made.payload == "genuine", "served", f"{what}: not even what is good")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plant = ArtifactStore(theirs, trust="all", **({"signing_key": key} if key else {}))
        blob(plant, payload_io=theirs_io).generate(value=_Bait(mark) if theirs_io == "pickle" else "planted")
    if mark.is_dir():
        mark.rmdir()
    forge(root, theirs)
    (root / "blob").chmod(mode)
    fresh = blob(store, payload_io=None)
    try:
        fresh.load()
    except Exception as error:  # noqa: BLE001 - a refusal, told in the row
        tally.saw(type(error).__name__)
    else:
        # without trust="signed" data needs no signature, but a wrong one is refused: what has none, and is consistent
        harmless = theirs_io == "text" and own.get("trust") is None and key is None and forge is not _made_up
        tally.require(harmless, "served", what)
        tally.saw("data served where it needs no signature", harmless)
    if mark.exists():
        tally.fault("executed", what)


# -- links in the way of what a store writes and removes


def _links(setting: Setting, tally: Tally) -> None:
    for name in ("log.txt", ".lock", "quarantine", ".tmp-00000000-1-abcdef01", "record", "lineage"):
        for kind in ("file", "folder", "nothing"):
            tally.rounds += 1
            with open_folder() as folder:
                _link(setting, tally, folder, name, kind)
    for name in ("folder", "record", "payload", "lineage"):
        for payload_io, value in (("pickle", b"x"), ("json", [1]), ("text", "x" * (2 << 20))):
            tally.rounds += 1
            with open_folder() as folder:
                _lead_out(setting, tally, folder, name, payload_io, value)


def _lead_out(setting: Setting, tally: Tally, folder: Path, name: str, payload_io: str, value: Any) -> None:
    """Move a part of a good artifact out of the store, and leave a link to it: it is not read any more."""
    what = f"{name} of a {payload_io} led outside by a link"
    store = ArtifactStore(folder / "data", **setting.options)
    made = blob(store, upstream=True, payload_io=payload_io)
    made.generate(value=value)
    (address,) = store.list()
    lineage = folder / "data" / "blob" / f"{made.key}.lineage.json"
    path = lineage if name == "lineage" else _part(folder / "data", name)
    path.rename(folder / "outside")
    path.symlink_to(folder / "outside")
    try:
        if name == "lineage":
            store.lineage(address)
        else:
            blob(store, upstream=True).load()
    except Exception as error:  # noqa: BLE001 - a refusal, told in the row
        tally.saw(type(error).__name__)
    else:
        tally.fault("served", what)
    found = [finding.problem for finding in store.check()]  # of a folder that is a link nothing is looked at
    tally.require(all(found) and bool(found) == (name != "folder"), "served", f"{what}, by check(): {found}")


def _link(setting: Setting, tally: Tally, folder: Path, name: str, kind: str) -> None:
    """Put a link in the store, to something of ours outside; use the store, and look at what is outside."""
    root, outside = folder / "data", folder / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    (outside / "folder").mkdir()
    (outside / "folder" / "file").write_bytes(b"precious, too")
    before = files(outside)
    store = ArtifactStore(root, **setting.options)
    made = blob(store, upstream=True)
    made.generate(value=b"old")
    place = {"record": f"{made.key}.json", "lineage": f"{made.key}.lineage.json"}.get(name, name)
    path = root / "blob" / place
    if path.exists():
        path.unlink()
    path.symlink_to(outside / kind)
    for work in (
        lambda: blob(store, upstream=True).load_generate(value=b"new"),
        lambda: blob(store, upstream=True).generate(value=b"newer"),
        lambda: blob(store, n=3, payload_io="json").generate(value={1}),  # refused: kept in quarantine
        lambda: list(store.check()),
        lambda: store.sweep(grace=0),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work()
        except Exception as error:  # noqa: BLE001 - a refusal, told in the row
            tally.saw(type(error).__name__)
    found = files(outside)
    tally.require(found == before, "written outside", f"{name} linked to {kind}: {sorted(found)}")


def _cases() -> list[str]:
    return ["code", "disguise", "signed", "links"]


CAMPAIGN = Campaign(
    name="planted",
    promise="Nothing that another user has planted in a store runs code or is served under the default policy, "
    "whatever it calls itself; data formats run none even from our own files; no link leads out of a store.",
    faults=("executed", "served", "written outside"),
    cases=_cases,
    run=_run,
)
