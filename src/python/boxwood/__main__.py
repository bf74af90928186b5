import sys

from boxwood.cli.command import main

sys.exit(main())
