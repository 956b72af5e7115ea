"""Run campaigns from the root of the tree: ``python -m tests.campaigns``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # one name for every module, here, under pytest and in children: else the classes would have two
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from campaigns.runner import main

    sys.exit(main())
