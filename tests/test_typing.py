"""mypy and pyright agree with the declared types of the public face."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

API = Path(__file__).parent / "typing" / "api.py"
ROOT = Path(__file__).parent.parent


def test_mypy_knows_the_types_of_payload_and_params(tmp_path: Path) -> None:
    """`p.payload` and `p.params` have their types under mypy --strict, and wrong uses are reported."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("the package is not tested from its source tree")
    command = [sys.executable, "-m", "mypy", "--config-file", os.devnull, "--strict", "--follow-imports=silent"]
    run = subprocess.run(
        [*command, "--cache-dir", str(tmp_path), str(API)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert run.stdout.startswith("Success"), run.stdout + run.stderr


def test_pyright_knows_the_types_of_payload_and_params(tmp_path: Path) -> None:
    """pyright reports no error in what mypy finds right."""
    pyright = shutil.which("basedpyright", path=os.path.dirname(sys.executable)) or shutil.which("basedpyright")
    if pyright is None:
        pytest.skip("basedpyright, which needs no download, is not installed")
    config = tmp_path / "pyrightconfig.json"
    config.write_text(
        f'{{"include": ["{API}"], "typeCheckingMode": "standard", "extraPaths": ["{ROOT}"], "pythonVersion": "3.11"}}'
    )
    run = subprocess.run([pyright, "-p", str(config)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "0 errors" in run.stdout, run.stdout + run.stderr
