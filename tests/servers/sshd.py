"""OpenSSH's own server, for this user alone, with keys and configuration of its own."""

import contextlib
import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from servers import free_port, running

INSTALL = "apt-get install -y openssh-server openssh-client"
_PRIVILEGES = "/run/sshd"  # an empty folder that sshd insists on when root starts it


def missing() -> str | None:
    """Return why there can be no server here, or None."""
    if _sshd() is None or shutil.which("ssh-keygen") is None:
        return f"OpenSSH's server is not installed: {INSTALL}"
    if not os.path.isdir(_PRIVILEGES) and os.geteuid() == 0 and not os.access("/run", os.W_OK):
        return f"sshd needs the folder {_PRIVILEGES}"
    return None


def _sshd() -> str | None:
    folders = (os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin")  # not all on a user's path
    return shutil.which("sshd", path=os.pathsep.join(folders))


class Server(NamedTuple):
    """A running server.

    Attributes:
        port: where it listens, on 127.0.0.1.
        user: who can log in.
        folder: of its keys and its configuration.
        key: file of the private key with which the user logs in.
        known_hosts: file with the server's host key.
        log: what it says.
    """

    port: int
    user: str
    folder: Path
    key: Path
    known_hosts: Path
    log: Path

    def url(self, path: str | Path) -> str:
        return f"sftp://{self.user}@127.0.0.1:{self.port}{path}"

    @property
    def options(self) -> dict[str, object]:
        """Storage options that log in, and read nothing of the user's own configuration."""
        return {
            "client_keys": [str(self.key)],
            "known_hosts": str(self.known_hosts),
            "config": None,
            "agent_path": None,
        }

    def configure(self, home: Path, *, alias: str = "hub.example.org", more: str = "") -> None:
        """Write ``~/.ssh`` for a home folder, with an alias for this server."""
        ssh = home / ".ssh"
        ssh.mkdir(mode=0o700, parents=True, exist_ok=True)
        (ssh / "config").write_text(
            f"Host {alias}\n  HostName 127.0.0.1\n  Port {self.port}\n  User {self.user}\n"
            f"  IdentityFile {self.key}\n{more}"
        )
        (ssh / "known_hosts").write_bytes(self.known_hosts.read_bytes())


@contextlib.contextmanager
def serving(
    folder: Path, *, sftp: str = "internal-sftp", lines: Sequence[str] = (), before: str | None = None
) -> Iterator[Server]:
    """Run a server: ``sftp`` is its SFTP command, ``lines`` more configuration.

    ``before`` is a shell command that runs first, in a name space of file systems of the server's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (folder / "authorized_keys").write_bytes((folder / "user_key.pub").read_bytes())
    port = free_port()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
    (folder / "sshd_config").write_text(
        "\n".join(
            (
                f"Port {port}",
                "ListenAddress 127.0.0.1",
                f"HostKey {folder}/host_key",
                f"AuthorizedKeysFile {folder}/authorized_keys",
                "PidFile none",
                "StrictModes no",  # folders of tests are in /tmp
                "UsePAM no",
                "PermitRootLogin yes",
                "KbdInteractiveAuthentication no",
                f"Subsystem sftp {sftp}",
                *lines,
                "",
            )
        )
    )
    sshd = _sshd()
    if sshd is None:
        raise RuntimeError(missing())
    if os.geteuid() == 0:
        os.makedirs(_PRIVILEGES, 0o755, exist_ok=True)
    command = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
    if before is not None:
        command = ["unshare", "--mount", "sh", "-c", f"{before} && exec {' '.join(command)}"]
    log = folder / "log"
    with running(command, port, log):
        yield Server(port, getpass.getuser(), folder, folder / "user_key", folder / "known_hosts", log)
