"""``python -m persistable``: see ``cli``."""

import sys

from persistable.cli import main

if __name__ == "__main__":
    sys.exit(main())
