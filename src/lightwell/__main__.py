"""Lets `python -m lightwell` be the `lightwell` command."""

from lightwell.apps.cli import main

if __name__ == "__main__":
    main()
