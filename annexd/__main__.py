"""`python -m annexd` is the same program as the `annexd` script."""

import sys

from annexd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
