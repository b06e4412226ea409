"""`python -m rlvr.cli`, for environments without the script `rlvr`."""

import sys

from rlvr.cli import main

sys.exit(main())
