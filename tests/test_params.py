"""PersistableParams: field options, snapshots and what they notice, FileContent, the 1.x face."""

import copy
import dataclasses
import json
import os
import pathlib
import pickle
import threading
import types
import typing
from collections import deque
from dataclasses import dataclass, field

import pytest

from persistable.data import PersistableParam
from persistable.data import PersistableParams as OldPersistableParams
from persistable.encoding import ParamEncoder
from persistable.exceptions import UnkeyableParamError
from persistable.identity import identify
from persistable.params import FileContent, PersistableParams, param, snapshot, untracked


@dataclass
class Inner(PersistableParams):
    depth: int = 1
    verbose: bool = param(default=False, tracked=False)
    token: str = param(default="", secret=True)


@dataclass
class Params(PersistableParams):
    n: int
    layers: list = field(default_factory=lambda: [1, 2])
    table: dict = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    jobs: int = param(default=1, tracked=False)
    password: str = param(default="none", secret=True)
    added: int = param(default=2, absent_means=1)


@dataclass
class Plain:
    n: int = 1
    name: str = "a"


@dataclass(frozen=True, slots=True)
class Frozen(PersistableParams):
    n: int = 1
    password: str | None = param(default=None, secret=True)


@dataclass
class NoDefault(PersistableParams):
    password: str = param(secret=True)
    made: list = param(default_factory=list, secret=True)  # noqa: RUF009 - param() is a field
    n: int = 1


@dataclass(frozen=True, slots=True)
class Slim(PersistableParams):
    n: int = 1


class Old(PersistableParams):
    def __init__(self, n, scratch=None):
        self.n = n
        self.scratch = scratch

    @property
    def _excluded_attributes(self):
        return super()._excluded_attributes | {"scratch"}


class OldMap(PersistableParams):
    def __init__(self, path):
        self.path = path

    @property
    def _custom_type_encoder_map(self):
        return {pathlib.PurePath: lambda path: path.name}


def key(params, **kwargs):
    return identify("name", "0", snapshot(params, **kwargs).parts, ()).key


def test_the_parts_are_the_tracked_fields_sorted():
    """Untracked fields and secrets are not there, nested ones neither; the class is not in the key."""
    assert snapshot(Params(3, added=1)).parts == (
        '"inner":{"$":"dataclass","class":"Inner","fields":{"depth":1}}',
        '"layers":[1,2]',
        '"n":3',
        '"table":{}',
    )
    assert key(Plain()) == key(Renamed())
    assert snapshot(Plain()).parts == ('"n":1', '"name":"a"')


@dataclass
class Renamed(PersistableParams):
    n: int = 1
    name: str = "a"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**700, "\ud800", "inf", "a\\ud800", True, None, (1,)])
def test_fields_are_encoded_like_any_value(value):
    """The short way for plain scalars gives the same text as the long way."""
    from persistable.encoding import encode

    assert snapshot(Plain(value)).parts == (f'"n":{encode(value)}', '"name":"a"')


@pytest.mark.parametrize(
    "change", [{"jobs": 8}, {"password": "x"}, {"inner": Inner(verbose=True)}, {"inner": Inner(token="x")}]
)
def test_untracked_fields_do_not_change_the_key(change):
    """At any depth."""
    assert key(Params(1, **change)) == key(Params(1))
    assert snapshot(Params(1)).difference(Params(1, **change)) is None


def test_absent_means_leaves_a_field_out_exactly_for_its_value():
    """The key without the field is that of the absent value, whatever the default is; type counts."""

    @dataclass
    class Before(PersistableParams):
        n: int = 1

    @dataclass
    class After(PersistableParams):
        n: int = 1
        power: object = param(default=2, absent_means=1)

    assert key(After(power=1)) == key(Before())
    assert len({key(After(power=power)) for power in (1, 2, 1.0, True, None)}) == 5


def test_absent_means_is_frozen_when_the_class_is_made():
    """Changing the object that was given, or a value that equals it, changes no meaning."""
    meaning = [1]

    @dataclass
    class After(PersistableParams):
        layers: list = param(default_factory=list, absent_means=meaning)  # noqa: RUF009 - param() is a field

    meaning.append(2)
    assert snapshot(After([1])).parts == ()
    assert snapshot(After([1, 2])).parts == ('"layers":[1,2]',)
    with pytest.raises(ValueError, match="absent_means"):
        param(absent_means=1, tracked=False)
    with pytest.raises(ValueError, match="absent_means"):
        param(absent_means=1, secret=True)


def change_inner(params):
    params.inner.depth = 9


CHANGES = {
    "n": lambda p: setattr(p, "n", 2),
    "n type": lambda p: setattr(p, "n", True),
    "layers": lambda p: p.layers.append(3),
    "layers twin": lambda p: setattr(p, "layers", (1, 2)),
    "table": lambda p: p.table.update(a=1),
    "inner": change_inner,
    "added": lambda p: setattr(p, "added", 1),
    "more": lambda p: setattr(p, "more", 1),
    "layers gone": lambda p: delattr(p, "layers"),
    "layers unkeyable": lambda p: p.layers.append(object()),
    "layers loop": lambda p: p.layers.append(p.layers),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_in_place_is_noticed_and_named(name):
    """Assignment, deletion, new attributes, and changes in lists, dicts and nested objects."""
    params = Params(1)
    taken = snapshot(params)
    assert taken.difference(params) is None
    CHANGES[name](params)
    assert taken.difference(params) == f"params.{name.split()[0]}"


def test_simple_params_notice_changes_too():
    """The way without re-encoding: identical immutable values are unchanged, all else is looked at."""
    params = Plain()
    taken = snapshot(params)
    params.n = int("1")
    assert taken.difference(params) is None
    params.n = 1.0
    assert taken.difference(params) == "params.n"
    params.n = 1
    params.more = 1
    assert taken.difference(params) == "params.more"
    del params.more
    assert taken.difference(params) is None
    deep = Plain(n=(1, [2]))
    taken = snapshot(deep)
    deep.n[1].append(3)
    assert taken.difference(deep) == "params.n"
    assert taken.difference(None) == "params"
    slim = Frozen(n={1})
    taken = snapshot(slim)
    slim.n.add(2)
    assert taken.difference(slim) == "params.n"


def test_a_change_of_an_array_is_noticed():
    """One element of an array is enough."""
    numpy = pytest.importorskip("numpy")
    params = Plain(n=numpy.zeros(1000))
    taken = snapshot(params)
    assert taken.difference(params) is None
    params.n[500] = 1
    assert taken.difference(params) == "params.n"


def test_untracked_shows_people_what_the_key_leaves_out(tmp_path):
    """Untracked fields and paths of files, nested ones by their path; never secrets; it is JSON and never fails."""

    @dataclass
    class Many(PersistableParams):
        lock: object = param(tracked=False)
        nested: object = param(tracked=False)
        inner: Inner = field(default_factory=lambda: Inner(token="geheim", verbose=True))
        files: list = field(default_factory=lambda: [FileContent(tmp_path / "missing")])
        secret: object = param(default="geheim", secret=True)

    shown = untracked(Many(threading.Lock(), Inner(token="geheim")))
    assert json.loads(json.dumps(shown)) == shown
    assert shown["lock"] == {"class": "lock"}
    assert shown["inner.verbose"] is True
    assert shown["files[0]"] == {"path": str(tmp_path / "missing")}
    assert "geheim" not in json.dumps(shown)
    assert untracked(Params(1)) == {"jobs": 1, "inner.verbose": False}
    loop = Plain()
    loop.n = [loop]
    assert untracked(loop) == {}
    assert untracked(None) == {}
    shared = []
    for _ in range(60):
        shared = [shared, shared]
    assert untracked(Plain(shared)) == {}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_hold_no_secret(protocol):
    """After unpickling a secret is its default, or None; everything else is as it was; frozen slots as well."""
    for made in (Params(3, password="geheim", inner=Inner(5, token="geheim")), Frozen(2, "geheim")):
        pickled = pickle.dumps(made, protocol)
        assert b"geheim" not in pickled
        again = pickle.loads(pickled)
        assert type(again) is type(made)
        assert key(again) == key(made)
    assert pickle.loads(pickle.dumps(Params(3, password="geheim"))).password == "none"
    again = pickle.loads(pickle.dumps(NoDefault("geheim", ["geheim"])))
    assert (again.password, again.made, again.n) == (None, [], 1)


def test_copies_keep_secrets():
    """copy, deepcopy and replace are not pickles."""
    made = Params(3, password="geheim", inner=Inner(5, token="geheim"))
    for again in (copy.copy(made), copy.deepcopy(made), dataclasses.replace(made)):
        assert (again.password, again.inner.token, again) == ("geheim", "geheim", made)
    assert copy.copy(made).layers is made.layers
    assert copy.deepcopy(made).layers is not made.layers
    assert copy.deepcopy(Frozen(1, "geheim")).password == "geheim"
    assert copy.copy(Renamed(5)) == copy.deepcopy(Renamed(5)) == Renamed(5)
    for again in (copy.copy(Slim(5)), copy.deepcopy(Slim(5)), pickle.loads(pickle.dumps(Slim(5)))):
        assert again == Slim(5)
    shared = Renamed([1])
    pair = copy.deepcopy([shared, shared])
    assert pair[0] is pair[1] is not shared
    loop = Renamed()
    loop.n = loop
    again = copy.deepcopy(loop)
    assert again.n is again


def test_a_secret_is_in_no_text_about_the_params():
    """Neither repr, to_dict nor the 1.x texts show it, also if a class replaces the excluded attributes."""

    class Careless(Params):
        @property
        def _excluded_attributes(self):
            return set()

    for cls in (Params, Careless):
        made = cls(1, password="geheim", inner=Inner(token="geheim"))
        assert "geheim" not in f"{made!r} {made} {made.to_dict()} {made.get_str_repr()}"
        assert "geheim" not in "".join(snapshot(made).parts)


def test_1x_params_without_dataclass_work():
    """Attributes set in __init__ are the params; excluded ones are not; the custom map counts."""
    assert snapshot(Old(1, scratch=object())).parts == ('"n":1',)
    assert key(Old(1)) != key(Old(2))
    assert snapshot(OldMap(pathlib.Path("a/b"))).parts == ('"path":{"$":"custom","class":"PurePath","value":"b"}',)

    @dataclass
    class Excluding(PersistableParams):
        n: int
        scratch: int = 0

        @property
        def _excluded_attributes(self):
            return ["scratch"]

    assert snapshot(Excluding(1, 2)).parts == ('"n":1',)
    assert snapshot(Excluding(1, 2)).difference(Excluding(1, 3)) is None
    made = Old(1)
    taken = snapshot(made)
    made.scratch = 5
    assert taken.difference(made) is None
    made.n = 2
    assert taken.difference(made) == "params.n"
    assert OldPersistableParams is PersistableParams
    assert made.get_str_repr() == "{'n': 2}"
    assert len(made.get_md5_hash()) == 32


def test_the_1x_wrapper_can_leave_a_value_out_of_the_key():
    """exclude_from_file_hash decides whether the wrapped value counts."""
    assert key(Plain(PersistableParam(1))) != key(Plain(PersistableParam(2)))
    assert key(Plain(PersistableParam(1, True))) == key(Plain(PersistableParam(2, True)))


@pytest.mark.parametrize("params", [None, 1, {"a": 1}, object(), types.SimpleNamespace(a=1), Plain])
def test_what_is_no_params_object_is_refused(params):
    """Params are an instance of a dataclass or of PersistableParams."""
    with pytest.raises(UnkeyableParamError, match="dataclass"):
        snapshot(params)


@pytest.mark.parametrize(
    ("params", "repair"),
    [
        (None, r"give PersistableParams\(\)"),
        (Inner, r"Give an instance: Inner\("),
        ({"n": 1}, "Derive one from PersistableParams"),
    ],
)
def test_what_to_give_instead_of_it_is_said(params, repair):
    """An encoder or tracked=False would be no help: the error says what is."""
    with pytest.raises(UnkeyableParamError, match=repair) as caught:
        snapshot(params)
    assert "tracked=False" not in str(caught.value)


def test_a_forgotten_decorator_is_refused():
    """Annotated values of an undecorated subclass would not be in the key."""

    class Forgot(Renamed):
        width: int = 3

    class Base(PersistableParams):
        width: int = 3
        limit: typing.ClassVar[int] = 3

    for cls in (Forgot, Base):
        with pytest.raises(UnkeyableParamError, match="Decorate it with @dataclass") as caught:
            snapshot(cls())
        assert caught.value.path == "params"


def test_errors_name_the_path_from_the_params():
    """The path starts at params and goes down to the value."""
    with pytest.raises(UnkeyableParamError) as caught:
        snapshot(Params(1, table={"a b": [0, object()]}))
    assert caught.value.path == "params.table['a b'][1]"
    with pytest.raises(UnkeyableParamError, match=r"params\.inner\.depth "):
        snapshot(Params(1, inner=Inner(depth=object())))


def test_plugins_encoders_reach_params_and_their_snapshots():
    """extend is asked for what the core cannot encode, when the snapshot is taken and when it is compared."""

    class Foreign:
        value = 1

    def extend(cls):
        return ParamEncoder("foreign", 1, lambda value: value.value) if cls is Foreign else None

    params = Plain(Foreign())
    taken = snapshot(params, extend=extend)
    assert taken.difference(params, extend=extend) is None
    params.n.value = 2
    assert taken.difference(params, extend=extend) == "params.n"


def write(path, content, age=10):
    path.write_bytes(content)
    when = path.stat().st_mtime - age
    os.utime(path, (when, when))
    return path


def test_file_content_is_keyed_by_its_bytes(tmp_path):
    """Another path with the same bytes is the same param; other bytes are another one."""
    a, b, c = (write(tmp_path / name, content) for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")))
    assert key(Plain(FileContent(a))) == key(Plain(FileContent(str(b)))) != key(Plain(FileContent(c)))
    assert key(Plain(FileContent(a))) != key(Plain(a))
    assert os.fspath(FileContent(a)) == str(a)
    assert FileContent(a) == FileContent(str(a)) != FileContent(b)
    assert untracked(Plain(FileContent(a))) == {"n": {"path": str(a)}}


def test_file_content_is_read_again_only_when_the_file_may_have_changed(tmp_path, monkeypatch):
    """An old unchanged file is hashed once; a changed one again; one of the last two seconds every time."""
    reads = []
    digest = __import__("hashlib").file_digest
    monkeypatch.setattr("hashlib.file_digest", lambda *args: reads.append(1) or digest(*args))
    path = write(tmp_path / "a", b"1")
    content = FileContent(path)
    first = content.digest()
    assert (content.digest(), len(reads)) == (first, 1)
    write(path, b"2", age=5)
    assert content.digest() != first
    assert len(reads) == 2
    path.write_bytes(b"3")
    for count in (3, 4):
        content.digest()
        assert len(reads) == count


def test_a_changed_or_missing_file_is_a_changed_param(tmp_path):
    """The snapshot looks at the file again."""
    path = write(tmp_path / "a", b"1")
    params = Plain(FileContent(path))
    taken = snapshot(params)
    assert taken.difference(params) is None
    path.write_bytes(b"2")
    assert taken.difference(params) == "params.n"
    path.unlink()
    assert taken.difference(params) == "params.n"


def test_a_file_that_is_none_is_an_error_with_its_path(tmp_path):
    """Missing files, directories and pipes raise what the file system says."""
    with pytest.raises(FileNotFoundError) as caught:
        snapshot(Plain(FileContent(tmp_path / "missing")))
    assert caught.value.filename == str(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        snapshot(Plain(FileContent(tmp_path)))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        snapshot(Plain(FileContent(tmp_path / "pipe")))


def test_a_secret_in_a_class_that_cannot_keep_it_is_refused():
    """A plain dataclass would show it in its pickle and repr, so it is said when the key is taken."""

    @dataclass
    class Login:
        user: str = "me"
        password: str = param(default="", secret=True)

    @dataclass
    class Holder(PersistableParams):
        login: Login

    with pytest.raises(UnkeyableParamError, match=r"params\.login.*password is secret.*PersistableParams"):
        snapshot(Holder(Login()))


@dataclass
class _Login:
    """A plain dataclass, which does not know how to keep its secret."""

    user: str = "me"
    password: str = param(default="", secret=True)


@dataclass
class _Middle(PersistableParams):
    held: object = param(default=None, tracked=False)


@dataclass(frozen=True)
class _Frozen:
    password: str = param(default="", secret=True)


@pytest.mark.parametrize(
    "held",
    [
        _Login(),
        [1, {"a": (_Login(),)}],
        _Middle([_Login()]),
        types.SimpleNamespace(a=_Login()),
        deque([_Login()]),
        {_Frozen(): 1},
        {_Frozen()},
    ],
    ids=lambda _: "",
)
def test_a_secret_in_an_untracked_param_is_refused_as_well(held):
    """Untracked params are pickled, and a plain dataclass in them would be with its secret; however deep."""
    with pytest.raises(UnkeyableParamError, match=r"params\.held.*password is secret.*PersistableParams"):
        snapshot(_Middle(held))

    @dataclass
    class Top(PersistableParams):
        n: int = 1
        parts: list = field(default_factory=list)
        old: object = None

        @property
        def _excluded_attributes(self):
            return ["old"]

    with pytest.raises(UnkeyableParamError, match=r"params\.parts\[0\]\.held.*password is secret"):
        snapshot(Top(parts=[_Middle(held)]))
    with pytest.raises(UnkeyableParamError, match=r"params\.old.*password is secret"):
        snapshot(Top(old=held))


def test_what_is_untracked_may_be_anything_without_such_secrets():
    """Circles, depth, and params that keep their secrets are no reason to refuse."""
    snapshot(_Middle(types.SimpleNamespace()))
    circle = [Inner(token="x")]
    circle.append(circle)
    for _ in range(5000):
        circle = [circle, [1.0] * 3]
    assert snapshot(_Middle(circle)).parts == ()


@pytest.mark.parametrize("options", [{"secret": True}, {"tracked": False}, {"absent_means": 1}, {}])
def test_param_in_a_class_that_is_no_dataclass_is_refused(options):
    """Its options would be lost: a secret would enter the key. Annotated or not, set or not, in a base or nested."""

    class Annotated(PersistableParams):
        x: int = param(default=1, **options)

    class Bare(PersistableParams):
        x = param(default=1, **options)

    @dataclass
    class Late(Annotated):
        y: int = 2

    @dataclass
    class Mended(Annotated):
        x: int = 3

    for cls in (Annotated, Bare, Late):
        for params in (unset := cls(), set_ := cls()):
            if params is set_:
                params.x = 1
            for held in (params, _Holder(params)):
                with pytest.raises(UnkeyableParamError, match=r"x is declared by param.*@dataclass"):
                    snapshot(held)
        assert unset is not set_
    assert snapshot(Mended()).parts == ('"x":3',)


@dataclass
class _Holder(PersistableParams):
    held: object


# -- what is too long


@dataclass
class _Pair:
    left: object
    right: object


@dataclass
class _Any(PersistableParams):
    value: object = None
    note: object = param(default=None, tracked=False)


@pytest.mark.parametrize(
    "hold", [lambda x: [x, x], lambda x: (x, x), lambda x: {"a": x, "b": x}, lambda x: _Pair(x, x)]
)
def test_what_is_shared_is_refused_before_it_fills_the_memory(hold, monkeypatch):
    """A few objects with more ways between them than a record can hold are refused, and not found out by waiting."""
    monkeypatch.setattr("persistable.canonical.LONGEST", 10_000)
    value = [1]
    for _ in range(100):
        value = hold(value)
    with pytest.raises(UnkeyableParamError, match=r"params\.value.*more than the 10,000 characters.*FileContent"):
        snapshot(_Any(value))


@pytest.mark.parametrize(
    "value", ["x" * 300, [*range(100)], [[1.5]] * 80, {str(n): n for n in range(100)}, {1: "x" * 300}]
)
def test_what_is_longer_than_a_record_may_be_is_refused(value, monkeypatch):
    """Its record could not be read: that is known before anything is generated, and its digest would do."""
    snapshot(_Any(value))
    monkeypatch.setattr("persistable.canonical.LONGEST", 250)
    with pytest.raises(UnkeyableParamError, match="more than the 250 characters"):
        snapshot(_Any(value))
    snapshot(_Any(b"x" * 100_000))


def test_what_is_long_and_untracked_is_shown_by_its_class(monkeypatch):
    """A description for people neither makes a record that is too long to be read nor fails the work."""
    monkeypatch.setattr("persistable.params._LEGIBLE", 100)
    assert untracked(_Any(1, [*range(10)])) == {"note": [*range(10)]}
    assert untracked(_Any(1, [*range(100)])) == {"note": {"class": "list"}}
    monkeypatch.setattr("persistable.canonical.LONGEST", 250)
    assert untracked(_Any(1, [*range(100)])) == {"note": {"class": "list"}}
