"""`python -m wudi`, and the `wudi` command."""

import sys
from types import TracebackType


def main() -> None:
    """Run the command line; a Ctrl-C while torch is still being imported is as calm as a later one."""
    sys.excepthook = tell_calmly
    from wudi.cli import main as run

    run()


def tell_calmly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print one line for a Ctrl-C, and what Python prints for anything else."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted: run the same command again", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if __name__ == "__main__":
    main()
