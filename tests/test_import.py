"""What ``import persistable`` loads, and what it offers."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

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
    "dataclasses",
    "inspect",
    "hashlib",
    "struct",
    "json",
    "weakref",
]
OWN = [
    "address",
    "base",
    "canonical",
    "digest",
    "display",
    "encodable",
    "encoding",
    "exceptions",
    "glance",
    "identity",
    "instances",
    "io",
    "literals",
    "local",
    "named_tuple",
    "naming",
    "notice",
    "outcome",
    "params",
    "payload_type",
    "process",
    "provenance",
    "quoting",
    "reading",
    "record",
    "roles",
    "settings",
    "secrecy",
    "storage",
    "store",
    "trust",
    "version",
]


def run(code: str, *arguments: str) -> Any:
    """Run code in a fresh interpreter, isolated from site packages' start-up files, and return its JSON."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
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
    """Registry, hooks, specs, log, plugins' interfaces and what only a commit needs are imported on first use."""
    own = {name.partition(".")[2] for name in run(LOADED) if name.startswith("persistable.")}
    assert own <= {*OWN, "file_content"}


LISTED = """
import json, sys
from dataclasses import dataclass
from persistable import Persistable, PersistableParams

@dataclass
class Params(PersistableParams):
    n: int = 1

class ListP(Persistable[list[int], Params]):
    def _generate_payload(self, **untracked):
        return [self.params.n]

assert ListP(sys.argv[1], Params()).payload == [1]
print(json.dumps(sorted(sys.modules)))
"""


def test_a_builtin_type_imports_no_payload_library(tmp_path: Path) -> None:
    """Generating a list imports no payload library; loading it does not even look for plugins."""
    heavy = {"numpy", "pandas", "pyarrow", "polars", "fastavro", "asyncio"}
    assert not heavy & set(run(LISTED, str(tmp_path)))
    assert not (heavy | {"importlib.metadata"}) & set(run(LISTED, str(tmp_path)))
