"""`python -m lora_sweep.status`: only calls the command."""

import sys

from lora_sweep.commands.status import main

if __name__ == "__main__":
    sys.exit(main())
