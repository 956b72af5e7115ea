"""The plugin declares its formats without importing what they need."""

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import persistable_numpy
import pytest
from persistable_numpy import hooks

import persistable
from persistable.io import FileIO, format_name

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def specs():
    return hooks.persistable_formats()


def test_the_hooks_module_holds_functions_and_imports_only_persistable():
    tree = ast.parse(Path(hooks.__file__).read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imports] == ["__future__", "persistable"]
    rest = [node for node in tree.body[1:] if node not in imports]
    assert all(isinstance(node, ast.FunctionDef) for node in rest)


def test_declaring_the_formats_imports_no_numpy():
    script = (
        "import sys, persistable_numpy, persistable_numpy.hooks as hooks\n"
        "assert len(hooks.persistable_formats()) == 2\n"
        "assert 'numpy' not in sys.modules\n"
        "persistable_numpy.NpyFileIO, persistable_numpy.NpzFileIO\n"
        "assert 'numpy' in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", script], env=environment, check=True)


def test_arrays_go_to_npy_by_type_and_nothing_goes_to_npz():
    assert [(spec.name, spec.types, spec.default, spec.executes_code) for spec in specs()] == [
        ("npy", ("numpy.ndarray",), True, False),
        ("npz", (), False, False),
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_every_declared_class_is_the_format_it_is_declared_as(number):
    spec = specs()[number]
    module, _, name = spec.io.partition(":")
    cls = getattr(importlib.import_module(module), name)
    assert issubclass(cls, FileIO)
    assert (format_name(cls), cls.suffix, spec.install) == (spec.name, spec.suffix, PROJECT["name"])


def test_the_entry_point_names_the_hooks_module():
    assert PROJECT["entry-points"]["persistable"] == {"numpy": hooks.__name__}


def test_the_public_surface_is_all():
    assert persistable_numpy.__all__ == sorted(persistable_numpy.__all__, key=str)
    assert all(getattr(persistable_numpy, name) for name in persistable_numpy.__all__)
    with pytest.raises(AttributeError, match="NpxFileIO"):
        persistable_numpy.NpxFileIO  # noqa: B018 - the access is what raises


def test_the_version_moves_in_lockstep_with_the_core():
    assert persistable_numpy.__version__ == persistable.__version__
    assert PROJECT["dynamic"] == ["version"]
