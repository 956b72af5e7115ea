"""What the plugin declares and exports; that it does so cheaply and rightly is in the conformance suite."""

import subprocess
import sys

from persistable_numpy import hooks


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
