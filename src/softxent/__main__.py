"""`python -m softxent` is the command `softxent`."""

from softxent.app.cli import main

if __name__ == "__main__":
    main()
