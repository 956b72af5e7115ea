"""The tree of errors is as it is drawn; errors name value, place and repair, and travel between processes whole."""

import copy
import errno
import inspect
import pickle
import re
import traceback
from typing import Any

import pytest

from persistable import exceptions
from persistable.exceptions import (
    AmbiguousFormatError,
    BrokenPluginError,
    BrokenStorageError,
    CorruptArtifactError,
    DeclaredSizeError,
    ExplainedNotImplementedError,
    FidelityError,
    ForeignArtifactError,
    FormatNotInstalledError,
    InvalidPayloadError,
    LockTimeoutError,
    MissingArtifactError,
    NoPayloadError,
    NoSuchPlaceError,
    ParamsChangedError,
    PersistableError,
    PersistableWarning,
    RecordSchemaError,
    RecursiveGenerationError,
    SaveError,
    SigningKeyError,
    StorageConnectionError,
    StorageCredentialsError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    UnkeyableParamError,
    UnknownFormatError,
    UnknownStorageError,
    UnsupportedOperationError,
    UntrustedArtifactError,
)

PLACE = {"name": "points", "key": "ab" * 16, "path": "/data/points/ab.json"}

# an error of each kind, and what its message has to say: the value, the place, the repair
EXAMPLES: list[tuple[PersistableError, tuple[str, ...]]] = [
    (NoPayloadError("'points' has no payload: load() it"), ("points", "load()")),
    (InvalidPayloadError("two rows"), ("two rows",)),
    (
        UnkeyableParamError(path="params.model.layers[2]", value_type="torch.nn.Linear", reason="it has no encoding"),
        ("params.model.layers[2]", "torch.nn.Linear", "it has no encoding", "__persistable_params__", "tracked=False"),
    ),
    (
        ParamsChangedError(name="points", key="ab" * 16, path="params.n"),
        ("params.n", "points", "ab" * 16, "p.params = "),
    ),
    (MissingArtifactError(**PLACE), ("points", "ab" * 16, "/data/points/ab.json", "load_generate()")),
    (
        CorruptArtifactError(**PLACE, reason="has 3 bytes instead of 4"),
        ("points", "/data/points/ab.json", "has 3 bytes instead of 4", "load_generate()"),
    ),
    (
        ForeignArtifactError(**PLACE, found="old:P", asked="new:Q"),
        ("old:P", "new:Q", "points", "formerly = ('old:P',)", "payload_name"),
    ),
    (RecordSchemaError(**PLACE, found=7, supported=1), ("/data/points/ab.json", "7", "1", "Upgrade persistable")),
    (
        UntrustedArtifactError(**PLACE, reason="belongs to eve (uid 7)", format="pickle"),
        ("points", "pickle", "belongs to eve", "trust=", "trust='all'", "PERSISTABLE_TRUST", "data-only"),
    ),
    (
        UnknownFormatError(format="pikle", known=("npy", "pickle"), suggestion="pickle"),
        ("pikle", "did you mean 'pickle'"),
    ),
    (UnknownFormatError(format="qq", known=("npy", "json")), ("qq", "json, npy")),
    (
        UnknownFormatError(format="qq", known=(), setting="prefer={'a.B': 'qq'}"),
        ("qq", "prefer={'a.B': 'qq'} asks for"),
    ),
    (UnknownFormatError(format="custom:MyIO", known=()), ("custom:MyIO", "payload_io")),
    (
        FormatNotInstalledError(format="parquet", install="persistable-arrow"),
        ("parquet", "pip install persistable-arrow"),
    ),
    (
        BrokenPluginError(format="npy", plugin="numpy", distribution="persistable-numpy 2.0", reason="ImportError: x"),
        ("npy", "numpy", "persistable-numpy 2.0", "ImportError: x", "PERSISTABLE_DISABLE_PLUGINS=persistable-numpy"),
    ),
    (
        AmbiguousFormatError(
            format="a", subject="the type x.Y", candidates=[("a", "d1 1"), ("b", "d2 2")], repair="say which"
        ),
        ("'a' of d1 1", "'b' of d2 2", "the type x.Y", "say which"),
    ),
    (
        FidelityError(format="csv", where="column 'a'", reason="it holds tuples"),
        ("csv", "column 'a'", "it holds tuples", "payload_io"),
    ),
    (
        DeclaredSizeError(format="npz", declared=9, what="bytes", reason="the record says 8: it is another file"),
        ("npz", "9 bytes", "the record says 8"),
    ),
    (
        SaveError(format="json", payload_type="set", filepath="/t/x", file_io="JsonFileIO", cause=TypeError("no set")),
        ("set", "/t/x", "JsonFileIO", "TypeError: no set", "payload_io"),
    ),
    (StorageError("s3://b: put failed", url="s3://b", operation="put"), ("s3://b", "put")),
    (
        UnknownStorageError(url="s3://b/p", scheme="s3", install="persistable-cloud"),
        ("s3://b/p", "s3://", "pip install persistable-cloud"),
    ),
    (UnknownStorageError(url="foo://b", scheme="foo"), ("foo://b", "plugin")),
    (
        UnknownStorageError(url="foo://b", scheme="foo", claims=["a 1.0", "b 2.0"]),
        ("foo://b", "a 1.0 and b 2.0 each claim", "PERSISTABLE_DISABLE_PLUGINS=a"),
    ),
    (
        SigningKeyError(path="/home/key", reason="is open to others", repair="chmod 600 /home/key"),
        ("/home/key", "is open to others", "chmod 600"),
    ),
    (
        UnknownStorageError(url="s4://bucket", scheme="s4", suggestion="s3"),
        ("s4://bucket", "did you mean s3://"),
    ),
    (
        UnknownStorageError(url="s4://bucket", scheme="s4", suggestion="s3", install="persistable-obstore"),
        ("s4://bucket", "did you mean s3://", "pip install persistable-obstore"),
    ),
    (
        BrokenStorageError(url="s3://b", scheme="s3", distribution="persistable-obstore 2.0", reason="no obstore"),
        ("s3://b", "persistable-obstore 2.0", "no obstore", "Repair or reinstall"),
    ),
    *(
        (kind(url="s3://bucket/a", operation="put", reason="HTTP 404"), ("s3://bucket/a", "put", "HTTP 404", repair))
        for kind, repair in (
            (NoSuchPlaceError, "correct the URL"),
            (StoragePermissionError, "Ask for the permission"),
            (StorageCredentialsError, "Renew them"),
            (StorageConnectionError, "Try again"),
            (StorageFullError, "Make room"),
            (UnsupportedOperationError, "capabilities"),
        )
    ),
    (RecursiveGenerationError(name="points", key="ab" * 16), ("points", "ab" * 16, "self.params")),
    (
        LockTimeoutError(name="points", key="ab" * 16, seconds=2.5, owner="7@host"),
        ("2.5 s", "7@host", "points", "lock_timeout"),
    ),
    (LockTimeoutError(name="points", key="ab" * 16, seconds=3, owner=None), ("3 s", "another process")),
    (ExplainedNotImplementedError("P._generate_payload"), ("P._generate_payload", "subclass")),
]

PARENTS: dict[str, type[Exception]] = {
    "NoPayloadError": ValueError,
    "UnkeyableParamError": TypeError,
    "MissingArtifactError": FileNotFoundError,
    "UntrustedArtifactError": PermissionError,
    "UnknownFormatError": LookupError,
    "FormatNotInstalledError": ImportError,
    "BrokenPluginError": ImportError,
    "AmbiguousFormatError": LookupError,
    "FidelityError": ValueError,
    "DeclaredSizeError": ValueError,
    "SaveError": OSError,
    "StorageError": OSError,
    "UnknownStorageError": LookupError,
    "StoragePermissionError": PermissionError,
    "StorageCredentialsError": PermissionError,
    "StorageConnectionError": ConnectionError,
    "RecursiveGenerationError": RuntimeError,
    "LockTimeoutError": TimeoutError,
    "ExplainedNotImplementedError": NotImplementedError,
}


def drawn() -> dict[str, tuple[str, str | None]]:
    """The tree of the docstring: name → (parent, builtin)."""
    found: dict[str, tuple[str, str | None]] = {}
    branch, root = "", ""
    for line in (exceptions.__doc__ or "").splitlines():
        if re.fullmatch(r"Persistable(Error|Warning)\b.*", line):
            root, _, rest = line.partition(" ")
            names, parent = re.findall(r"(\w+)(?: \((\w+)\))?", rest), root
        elif line.startswith(("├─", "└─")):
            (branch, builtin), *names = re.findall(r"(\w+)(?: \((\w+)\))?", line)
            found[branch] = (root, builtin or None)
            parent = branch
        elif line.startswith("│"):
            names, parent = re.findall(r"(\w+)(?: \((\w+)\))?", line), branch
        else:
            continue
        found |= {name: (parent, builtin or None) for name, builtin in names}
    return found


def classes() -> dict[str, type]:
    return {name: cls for name, cls in vars(exceptions).items() if inspect.isclass(cls) and issubclass(cls, Exception)}


def test_the_tree_is_as_drawn() -> None:
    """Every class stands in the drawing under its parent, with its builtin, and nothing else does."""
    tree = drawn()
    found = classes()
    assert tree.keys() | {"PersistableError", "PersistableWarning"} == found.keys()
    for name, (parent, builtin) in tree.items():
        bases = [base.__name__ for base in found[name].__bases__]
        assert bases == [parent, *([builtin] if builtin else [])], name
    assert sorted(found) == exceptions.__all__


def test_builtin_parents() -> None:
    """An error that has a builtin counterpart is that builtin, so that except goes on working."""
    found = classes()
    for name, builtin in PARENTS.items():
        assert issubclass(found[name], builtin), name
    assert issubclass(PersistableWarning, UserWarning)
    assert not any(issubclass(cls, PersistableError) for name, cls in found.items() if name.endswith("Warning"))


def test_every_class_has_an_example_and_says_what_it_is() -> None:
    """Each class that can be raised is tried below, and each has a docstring of its own."""
    bases = {"PersistableError", "PayloadError", "IdentityError", "ArtifactError", "FormatError", "GenerationError"}
    raised = {name for name in classes() if name.endswith("Error")} - bases
    assert {type(error).__name__ for error, _ in EXAMPLES} == raised
    assert all(vars(cls).get("__doc__") for cls in classes().values())


@pytest.mark.parametrize(("error", "told"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_messages_name_value_place_and_repair(error: PersistableError, told: tuple[str, ...]) -> None:
    """The message has all that is needed to understand and to repair it, and OSErrors print it too."""
    for part in told:
        assert part in str(error), part
    assert "[Errno" not in str(error)
    assert str(error) in "".join(traceback.format_exception_only(error))


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
@pytest.mark.parametrize("error", [error for error, _ in EXAMPLES], ids=lambda error: type(error).__name__)
def test_errors_travel_whole(error: PersistableError, way: str) -> None:
    """Class, message, attributes and notes survive pickling by every protocol, and copying."""
    builtin = {name: getattr(error, name, None) for name in ("errno", "strerror", "filename", "msg")}
    error = copy.copy(error)
    error.add_note("seen by a worker")
    protocols = range(pickle.HIGHEST_PROTOCOL + 1) if way == "pickle" else range(1)
    for protocol in protocols:
        back: Any = pickle.loads(pickle.dumps(error, protocol)) if way == "pickle" else getattr(copy, way)(error)
        assert type(back) is type(error)
        assert (str(back), back.args, vars(back)) == (str(error), error.args, vars(error))
        assert back.__notes__ == ["seen by a worker"]
        assert {name: getattr(back, name, None) for name in builtin} == builtin
    assert "seen by a worker" in error.__notes__


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@pytest.mark.parametrize("cls", classes().values(), ids=classes())
def test_what_an_error_is_made_from_it_keeps(cls: type[Exception]) -> None:
    """Each argument is an attribute of that name; what is only said is in the message."""
    values: dict[str, Any] = {"known": ("a",), "candidates": (("a", "b"),), "seconds": 1.5, "cause": ValueError("why")}
    values |= {"disabled": False, "claims": ("a 1.0",)}  # the first one would be the reason
    parameters = inspect.signature(cls.__init__).parameters
    names = [name for name, parameter in parameters.items() if parameter.kind not in _VARIADIC and name != "self"]
    given = {name: values.get(name, f"<{name}>") for name in names}
    error = cls(**given)
    for name in {*given} - {"message", "repair", "cause"}:
        assert getattr(error, name) == given[name], name


def test_attributes() -> None:
    """Handlers find what they need as attributes, the builtin's own included."""
    missing = MissingArtifactError(**PLACE)
    assert (missing.name, missing.key, missing.path) == tuple(PLACE.values())
    assert (missing.errno, missing.filename) == (errno.ENOENT, PLACE["path"])
    untrusted = UntrustedArtifactError(**PLACE, reason="r", format="pickle")
    assert (untrusted.errno, untrusted.reason, untrusted.format) == (errno.EPERM, "r", "pickle")
    assert LockTimeoutError(name="n", key="k", seconds=1, owner=None).errno == errno.ETIMEDOUT
    unknown = UnknownFormatError(format="x", known=iter(["b", "a"]), suggestion="a")
    assert (unknown.format, unknown.known, unknown.suggestion) == ("x", ("a", "b"), "a")
    assert FormatNotInstalledError(format="x", install="y").msg.endswith("pip install y")


@pytest.mark.parametrize("error", [InvalidPayloadError, NoPayloadError, exceptions.PayloadError])
def test_payload_errors_take_what_exceptions_take(error: type[Exception]) -> None:
    """Users raise them with any arguments, or none."""
    assert str(error()) == ""
    assert str(error("a")) == "a"
    assert str(error("a", 1)) == "('a', 1)"
    assert pickle.loads(pickle.dumps(error("a", 1))).args == ("a", 1)
