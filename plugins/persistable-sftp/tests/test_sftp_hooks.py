"""What the plugin exports; what it declares is in the conformance suite."""

import subprocess
import sys
import tomllib
from pathlib import Path

import persistable_sftp
import pytest

import persistable

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def test_the_package_imports_the_client_on_first_use():
    script = (
        "import sys, persistable_sftp\n"
        "assert not {'asyncssh', 'asyncio'} & set(sys.modules)\n"
        "persistable_sftp.SftpStorage, persistable_sftp.HostKeyError\n"
        "assert 'asyncssh' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", script], check=True)


def test_the_public_surface_is_all():
    assert all(getattr(persistable_sftp, name) for name in persistable_sftp.__all__)
    with pytest.raises(AttributeError, match="SftpStore"):
        persistable_sftp.SftpStore  # noqa: B018 - the access is what raises


def test_the_version_moves_in_lockstep_with_the_core():
    assert persistable_sftp.__version__ == persistable.__version__
    assert PROJECT["dynamic"] == ["version"]
