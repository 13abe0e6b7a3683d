"""`python -m hooke` is the `hooke` command."""

from hooke.cli import main

if __name__ == "__main__":
    main()
