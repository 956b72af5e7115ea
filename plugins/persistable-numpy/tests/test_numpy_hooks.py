"""What the plugin declares and exports; that it does so cheaply and rightly is in the conformance suite."""

import subprocess
import sys
import tomllib
from pathlib import Path

import persistable_numpy
import pytest
from persistable_numpy import hooks

import persistable

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def test_arrays_go_to_npy_by_type_and_nothing_goes_to_npz():
    assert [(spec.name, spec.types, spec.default, spec.executes_code) for spec in hooks.persistable_formats()] == [
        ("npy", ("numpy.ndarray",), True, False),
        ("npz", (), False, False),
    ]


def test_the_package_imports_numpy_on_first_use():
    script = (
        "import sys, persistable_numpy\n"
        "assert 'numpy' not in sys.modules\n"
        "persistable_numpy.NpyFileIO, persistable_numpy.NpzFileIO\n"
        "assert 'numpy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", script], check=True)


def test_the_public_surface_is_all():
    assert persistable_numpy.__all__ == sorted(persistable_numpy.__all__, key=str)
    assert all(getattr(persistable_numpy, name) for name in persistable_numpy.__all__)
    with pytest.raises(AttributeError, match="NpxFileIO"):
        persistable_numpy.NpxFileIO  # noqa: B018 - the access is what raises


def test_the_version_moves_in_lockstep_with_the_core():
    assert persistable_numpy.__version__ == persistable.__version__
    assert PROJECT["dynamic"] == ["version"]
