"""`python -m boxwood` is the `boxwood` command."""

import sys

from boxwood.cli import main

sys.exit(main())
