"""The table of the README says what the code declares."""

from __future__ import annotations

from pathlib import Path

import pytest
from persistable_fsspec import FsspecStorage
from persistable_fsspec.promises import promise_of

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize(
    ("row", "implementation"),
    [
        ("`memory`", "fsspec.implementations.memory.MemoryFileSystem"),
        ("gcsfs", "gcsfs.GCSFileSystem"),
        ("s3fs", "s3fs.S3FileSystem"),
        ("adlfs", "adlfs:AzureBlobFileSystem"),
        ("ossfs, ocifs, tosfs", "ossfs.OSSFileSystem"),
        ("fsspec's sftp (paramiko)", "fsspec.implementations.sftp.SFTPFileSystem"),
        ("sshfs", "sshfs.spec:SSHFileSystem"),
        ("webdav4", "webdav4.fsspec.WebdavFileSystem"),
        ("fsspec's ftp", "fsspec.implementations.ftp.FTPFileSystem"),
        ("fsspec's smb", "fsspec.implementations.smb.SMBFileSystem"),
        ("pyarrow's hdfs, webhdfs", "fsspec.implementations.arrow.HadoopFileSystem"),
        ("any other", "somebody.Else"),
    ],
)
def test_table_says_what_is_declared(row, implementation):
    [cells] = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in README.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| {row} |")
    ]
    promise = promise_of(implementation)
    assert cells[2] == ("yes" if promise.capabilities.atomic_replace else "no")
    assert cells[3].startswith("yes" if promise.capabilities.create_exclusive else "no")
    assert cells[4] == ("any" if promise.exact else "escaped")


def test_capabilities_are_those_of_the_scheme():
    assert FsspecStorage("gs://bucket").capabilities.create_exclusive
    assert not FsspecStorage("ftp://host/x").capabilities.atomic_replace
