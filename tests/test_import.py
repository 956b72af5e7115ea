"""What ``import persistable`` loads, and what it offers."""

import importlib
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import persistable

HEAVY = [
    "numpy",
    "pandas",
    "pyarrow",
    "polars",
    "fastavro",
    "asyncio",
    "pluggy",
    "importlib.metadata",
    "xxhash",
    "filelock",
]
LATER = [
    "logging",
    "pathlib",
    "urllib",
    "html",
    "difflib",
    "socket",
    "ssl",
    "pickle",
    "tempfile",
    "concurrent",
    "decimal",
]
OWN = [
    "address",
    "base",
    "canonical",
    "commit",
    "digest",
    "encodable",
    "encoding",
    "exceptions",
    "identity",
    "instances",
    "io",
    "journal",
    "literals",
    "lock",
    "naming",
    "params",
    "provenance",
    "reading",
    "record",
    "storage",
    "store",
    "trust",
    "upkeep",
    "version",
]


def run(code: str) -> Any:
    """Run code in a fresh interpreter, isolated from site packages' start-up files, and return its JSON."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


LOADED = """
    import json, sys
    before = set(sys.modules)
    import persistable
    print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_import_loads_no_library_and_nothing_that_can_wait() -> None:
    """Importing persistable loads no payload library, no dependency, and nothing that can wait until it is used."""
    loaded = set(run(LOADED))
    assert loaded & {*HEAVY, *LATER} == set()
    assert {name.partition(".")[0] for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names} == {
        "persistable"
    }


def test_import_loads_few_modules_of_its_own() -> None:
    """Registry, discovery, hooks, specs, log and plugins' interfaces are imported on first use."""
    own = {name.partition(".")[2] for name in run(LOADED) if name.startswith("persistable.")}
    assert own <= {*OWN, "arrays", "file_content"}


def test_a_hit_of_a_builtin_type_looks_for_no_plugin() -> None:
    """Generating and loading a list imports neither entry points nor payload libraries."""
    used = run(
        """
        import json, sys, tempfile
        from dataclasses import dataclass
        from persistable import Persistable, PersistableParams

        @dataclass
        class Params(PersistableParams):
            n: int = 1

        class ListP(Persistable[list[int], Params]):
            def _generate_payload(self, **untracked):
                return [self.params.n]

        with tempfile.TemporaryDirectory() as folder:
            ListP(folder, Params()).load_generate()
            assert ListP(folder, Params()).payload == [1]
        print(json.dumps(sorted(sys.modules)))
        """
    )
    assert set(used) & {"numpy", "pandas", "pyarrow", "polars", "fastavro", "asyncio", "importlib.metadata"} == set()


def test_import_has_no_side_effect() -> None:
    """Importing writes nothing and leaves root logger, handlers, signals, threads and warnings alone."""
    state = run(
        """
        import json, logging, signal, sys, threading, warnings
        opened = []
        def watch(event, args):
            if event == "open" and isinstance(args[2], int) and args[2] & 3:
                opened.append(str(args[0]))
            elif event in ("os.mkdir", "os.rename", "os.remove", "socket.connect", "subprocess.Popen"):
                opened.append(event)
        def look():
            return [len(logging.root.handlers), logging.root.level, len(warnings.filters), threading.active_count(),
                    [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]]
        sys.dont_write_bytecode = True
        before = look()
        sys.addaudithook(watch)
        import persistable
        from persistable import *
        print(json.dumps([before, look(), opened]))
        """
    )
    before, after, opened = state
    assert after == before
    assert opened == []


def test_all_is_sorted_and_the_whole_public_surface() -> None:
    """__all__ is sorted, every name of it is there, and no public name beside it but submodules."""
    names = persistable.__all__
    assert names == sorted(names)
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(persistable, name) is not None
    submodules = {name.partition(".")[2] for name in sys.modules if name.startswith("persistable.")}
    public = {name for name in vars(persistable) if not name.startswith("_")} - submodules
    assert public - {"TYPE_CHECKING", "Any"} == {name for name in names if not name.startswith("__")}


def test_names_served_on_first_use() -> None:
    """What is imported on first use is listed by dir(), can be starred, and is the very object of its module."""
    from persistable import hookspecs, registry, specs

    assert persistable.Registry is registry.Registry
    assert persistable.FormatSpec is specs.FormatSpec
    assert persistable.hookimpl is hookspecs.hookimpl
    assert set(persistable.__all__) <= set(dir(persistable))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        persistable.nonsense  # noqa: B018
    with pytest.raises(ImportError):
        from persistable import nonsense  # noqa: F401


@pytest.mark.parametrize("module", ["io", "base", "data"])
def test_type_variables_of_1_x(module: str) -> None:
    """The type variables of 1.x can be imported."""
    found = importlib.import_module(f"persistable.{module}")
    names = {"io": ["PayloadTypeT"], "base": ["PayloadTypeT", "PersistableParamsT"], "data": ["ParamTypeT"]}[module]
    for name in names:
        assert hasattr(found, name)


def test_every_module_imports_alone() -> None:
    """Each module can be the first that is imported: there is no circle."""
    from pathlib import Path

    package = Path(persistable.__file__).parent
    names = sorted(path.stem for path in package.glob("*.py") if path.stem not in ("__init__", "__main__"))
    code = "import importlib, json, subprocess, sys\n" + textwrap.dedent(
        f"""
        failed = []
        for name in {names!r}:
            for loaded in [module for module in sys.modules if module.partition(".")[0] == "persistable"]:
                del sys.modules[loaded]
            try:
                importlib.import_module("persistable." + name)
            except Exception as error:
                failed.append([name, repr(error)])
        print(json.dumps(failed))
        """
    )
    assert run(code) == []
