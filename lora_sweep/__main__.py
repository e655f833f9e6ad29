"""`python -m lora_sweep`: only calls the entry point."""

from lora_sweep.cli import main

if __name__ == "__main__":
    main()
