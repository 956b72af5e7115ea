"""What the plugin exports; what it declares is in the conformance suite."""

import subprocess
import sys


def test_the_package_imports_the_client_on_first_use():
    script = (
        "import sys, persistable_sftp\n"
        "assert not {'asyncssh', 'asyncio'} & set(sys.modules)\n"
        "persistable_sftp.SftpStorage, persistable_sftp.HostKeyError\n"
        "assert 'asyncssh' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", script], check=True)
