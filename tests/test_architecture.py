"""Who may import whom, drawn; and what every module of the package has or must not have."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import persistable

PACKAGE = Path(persistable.__file__).parent
ROOT = PACKAGE.parent

# A module may import those named in its row, and nobody else of the package. From the ground up; a row may only name
# rows above it, so that there is no circle. Imports for type checkers alone are free.
ARROWS = {
    # words and pure functions
    "version": "",
    "display": "",
    "named_tuple": "",
    "quoting": "",
    "exceptions": "display",
    "specs": "",
    "digest": "",
    "process": "",
    "naming": "process",
    "trust": "",
    "signing": "exceptions",
    "logging": "",
    "hookspecs": "specs",
    "encodable": "display logging",
    "address": "named_tuple naming",
    "redaction": "",
    "record": "digest display named_tuple quoting",
    "provenance": "address exceptions record version",
    "journal": "display naming provenance",
    # params and identity: values become text, text becomes a key
    "canonical": "quoting",
    "literals": "canonical",
    "instances": "canonical literals",
    "secrecy": "canonical instances",
    "arrays": "canonical literals",
    "encoding": "canonical literals instances secrecy arrays exceptions",
    "file_content": "",
    "params": "canonical encodable encoding instances secrecy file_content",
    "identity": "canonical named_tuple",
    "roles": "",
    "notice": "",
    "payload_type": "",
    # interfaces, and what is behind them
    "io": "encodable exceptions",
    "expansion": "exceptions",
    "plain": "io exceptions",
    "lock": "display logging naming",
    "storage": "exceptions named_tuple naming",
    "local": "display exceptions lock logging naming storage",
    "spool": "local",
    "conditions": "exceptions naming notice storage",
    "lease": "conditions display lock logging naming process storage",
    # which format
    "builtin": "hookspecs specs",
    "declarations": "hookspecs specs",
    "discovery": "declarations specs",
    "table": "discovery specs",
    "diagnosis": "discovery exceptions table",
    "choice": "diagnosis discovery io specs table",
    "schemes": "diagnosis discovery exceptions redaction storage table",
    "encoders": "canonical choice discovery encoding specs table",
    "registry": (
        "builtin choice diagnosis discovery display encoders exceptions io logging notice schemes specs storage table "
        "version"
    ),
    # artifacts: read, committed, kept tidy
    "cache": "display local logging naming process record trust",
    "settings": "cache redaction",
    "remote": "cache digest exceptions local record storage trust",
    "outcome": "address display exceptions io named_tuple notice record",
    "glance": "address digest io local outcome provenance record",
    "reading": "address cache digest display exceptions glance io local naming outcome provenance record remote trust",
    "publication": "address conditions digest exceptions local naming provenance reading record storage",
    "commit": "address cache digest exceptions io local publication reading record spool",
    "quarantine": "address digest local naming notice outcome",
    "litter": "naming",
    "upkeep": "address exceptions lease litter local naming process record storage",
    "verification": "address digest identity naming outcome reading record upkeep",
    "generation": "",
    "store": (
        "address cache commit digest display exceptions generation io journal lease local lock logging notice "
        "outcome provenance publication quarantine reading record redaction registry remote settings signing storage "
        "trust upkeep verification"
    ),
    # the life cycle
    "base": (
        "address commit display exceptions generation identity io logging naming notice outcome params "
        "payload_type provenance record roles store"
    ),
    "data": "encodable params",
    "__init__": "base io params store version",
    # the command line
    "cli": "discovery display exceptions registry signing store version",
    "__main__": "cli",
}
# sketched in the design, not all of them there yet
NOT_YET = {"catalog", "pipeline", "migrate"}
# folders of the package that others import and that it does not import itself
BESIDE = {"testing"}

NEWER = {"annotationlib"}  # of the standard library, since 3.14
DEPENDENCIES = {"pluggy", "xxhash", "filelock", "typing_extensions"}
OPTIONAL = {"platformdirs"}  # done without where it is not installed; every storage plugin brings it
FIRST_USE = {
    "pluggy": {"hookspecs", "declarations"},
    "xxhash": {"digest"},
    "filelock": {"lock"},
    "platformdirs": {"cache"},
}


def modules() -> dict[str, ast.Module]:
    return {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.glob("*.py"))}


def imported(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the full names of all modules that are imported at run time, those within functions included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from imported(other)
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, child) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: relative import"
            module = child.module or ""
            if module == "persistable":
                yield from ((f"persistable.{alias.name}", child) for alias in child.names)
            else:
                yield module, child
        yield from imported(child)


def arrows(tree: ast.Module) -> set[str]:
    names = {name.split(".")[1] for name, _ in imported(tree) if name.startswith("persistable.")}
    return names - {"__version__"}


MODULES = modules()


@pytest.mark.parametrize("name", MODULES)
def test_no_new_arrow(name: str) -> None:
    """A module imports only what the drawing allows; draw a new arrow here only if the design wants it."""
    assert name in ARROWS, f"draw {name} in the table"
    assert arrows(MODULES[name]) <= set(ARROWS[name].split())


def test_the_drawing_has_no_circle_and_nothing_superfluous() -> None:
    """Rows name only rows above them, and no arrow is drawn that no import takes."""
    above: set[str] = set()
    for name, row in ARROWS.items():
        assert set(row.split()) <= above, name
        above.add(name)
        if name in MODULES:
            unused = set(row.split()) - arrows(MODULES[name])
            assert not unused, f"{name} does not import {unused}"
    assert above - MODULES.keys() <= NOT_YET


def test_the_map_of_the_design_names_every_module() -> None:
    """docs/design.md says where each idea lives, and names no module that is not there."""
    design = ROOT / "docs" / "design.md"
    if not design.exists():
        pytest.skip("the package is not tested from its source tree")
    rows = re.findall(
        r"^\| [^|]+ \| (.*) \|$", design.read_text(encoding="utf-8").partition("## The key")[0], re.MULTILINE
    )
    named = [name for row in rows for name in re.findall(r"(?:^|· )`(\w+)`", row)]
    assert sorted(named) == sorted([*MODULES.keys() - {"__init__", "__main__"}, *BESIDE])


def test_nobody_imports_a_plugin_or_a_payload_library() -> None:
    """The package imports the standard library, itself and three dependencies, those only where they are wrapped."""
    for name, tree in MODULES.items():
        for module, node in imported(tree):
            top = module.partition(".")[0]
            if top in ("persistable", "__future__") or top in sys.stdlib_module_names | NEWER:
                continue
            assert top in DEPENDENCIES | OPTIONAL, f"{name} imports {module} at line {getattr(node, 'lineno', '?')}"
            assert name in FIRST_USE[top], f"{name} imports {module}: leave that to {FIRST_USE[top]}"


def test_tests_of_plugins_apart_nobody_imports_what_is_beside() -> None:
    """The package does not import its own conformance suites."""
    assert not {name for tree in MODULES.values() for name in arrows(tree)} & BESIDE


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_described_and_declares_its_names(name: str) -> None:
    """A module has a docstring and a sorted __all__ of names that it has, unless it has nothing to declare."""
    tree = MODULES[name]
    assert ast.get_docstring(tree), "no docstring"
    if name in ("version", "__main__"):
        return
    listed = next(
        (
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ),
        None,
    )
    assert listed is not None, "no __all__"
    assert listed == sorted(listed, key=_constants_classes_functions)
    module = persistable if name == "__init__" else __import__(f"persistable.{name}", fromlist=["x"])
    assert [entry for entry in listed if not hasattr(module, entry)] == []


def _constants_classes_functions(name: str) -> tuple[int, str]:
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_prints(path: Path) -> None:
    """No call of print, and no mention of stdout, in the package; the command line writes its answers itself."""
    if path.name in ("cli.py", "__main__.py") or "testing" in path.parts:  # which read what other processes print
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) != "print", f"line {node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("stdout", "__stdout__"), f"line {node.lineno}"


def test_keys_are_made_without_repr_hash_or_pickle() -> None:
    """The modules that make keys call none of repr, hash, id and pickle, and pass no default=str."""
    for name in ("canonical", "literals", "instances", "arrays", "encoding", "identity"):
        for node in ast.walk(MODULES[name]):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("hash", "id", "pickle.dumps", "vars(value)"):
                function = _function_around(MODULES[name], node)
                assert function in ("__hash__", "__eq__", "__reduce__"), f"{name} line {node.lineno}"
            if isinstance(node, ast.keyword):
                assert node.arg != "default" or ast.unparse(node.value) != "str", f"{name} line {node.value.lineno}"
        assert "pickle" not in {module for module, _ in imported(MODULES[name])}


def _function_around(tree: ast.Module, wanted: ast.AST) -> str | None:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(node is wanted for node in ast.walk(function)):
            return function.name
    return None


def test_every_plugin_folder_is_installed_for_development() -> None:
    """requirements-dev.txt lists each folder of plugins/ as an editable install."""
    requirements = ROOT / "requirements-dev.txt"
    if not requirements.exists():
        pytest.skip("the package is not tested from its source tree")
    listed = {
        match[1]
        for line in requirements.read_text().splitlines()
        if (match := re.fullmatch(r"-e\s+(?:\./)?(\S+?)/?(\[.*\])?\s*(#.*)?", line))
    }
    folders = {f"plugins/{path.parent.name}" for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    assert "." in listed or "" in listed
    assert folders <= listed
    assert {name for name in listed if name.startswith("plugins/")} <= folders
