"""The plugin declares its storage without importing what it needs."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import persistable_sftp
import pytest
from persistable_sftp import hooks

import persistable
from persistable.registry import Registry

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def test_declaring_the_storage_imports_no_client():
    script = (
        "import sys, persistable_sftp, persistable_sftp.hooks as hooks\n"
        "assert len(hooks.persistable_storages()) == 1\n"
        "assert not {'asyncssh', 'asyncio'} & set(sys.modules)\n"
        "persistable_sftp.SftpStorage, persistable_sftp.HostKeyError\n"
        "assert 'asyncssh' in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", script], env=environment, check=True)


def test_the_scheme_is_served():
    assert Registry().storage("sftp://hub/srv") is persistable_sftp.SftpStorage


def test_the_entry_point_names_the_hooks_module():
    assert PROJECT["entry-points"]["persistable"] == {"sftp": hooks.__name__}


def test_the_public_surface_is_all():
    assert all(getattr(persistable_sftp, name) for name in persistable_sftp.__all__)
    with pytest.raises(AttributeError, match="SftpStore"):
        persistable_sftp.SftpStore  # noqa: B018 - the access is what raises


def test_the_version_moves_in_lockstep_with_the_core():
    assert persistable_sftp.__version__ == persistable.__version__
    assert PROJECT["dynamic"] == ["version"]
