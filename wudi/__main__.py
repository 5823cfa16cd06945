"""`python -m wudi`."""

from wudi.cli import main

if __name__ == "__main__":
    main()
