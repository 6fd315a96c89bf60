"""`python -m neuronarrator` is the `neuronarrator` command."""

import sys

from neuronarrator.cli import main

sys.exit(main())
