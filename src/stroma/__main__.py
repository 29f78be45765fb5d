"""`python -m stroma`: the command line where no `stroma` script is on the path."""

from __future__ import annotations

import sys

from stroma.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
