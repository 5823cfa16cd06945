"""`python -m wudi`, and the `wudi` command."""

import sys
from importlib.util import find_spec
from types import TracebackType

NOT_INSTALLED = (
    "error: {python} has no {package}, and is not where this project is installed; `. .venv/bin/activate` in the "
    "project's folder takes its environment for this terminal, and `make setup` makes it"
)


def main() -> None:
    """Run the command line; a Ctrl-C while torch is still being imported is as calm as a later one."""
    sys.excepthook = tell_calmly
    from wudi.cli import main as run

    run()


def tell_calmly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print one line for a Ctrl-C or a Python that lacks the project, and what Python prints for anything else."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted: run the same command again", file=sys.stderr)
    elif isinstance(error, ModuleNotFoundError) and find_spec("torch") is None:
        print(NOT_INSTALLED.format(python=sys.executable, package=error.name), file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if __name__ == "__main__":
    main()
