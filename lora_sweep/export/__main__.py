"""`python -m lora_sweep.export`: only calls the command."""

import sys

from lora_sweep.commands.export import main

if __name__ == "__main__":
    sys.exit(main())
