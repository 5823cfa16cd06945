"""A command line whose help teaches by example, and which names what is nearest to a word that it does not know."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from wudi.setting_values import nearest

VERBOSE = "WUDI_VERBOSE"
"""The environment variable that lets third-party output through, also in the processes that a command starts."""


def is_verbose() -> bool:
    """Whether everything is to be shown."""
    return bool(os.environ.get(VERBOSE))


class Arguments(argparse.ArgumentParser):
    """A parser with examples, what the command reads and writes, and `--verbose`.

    Args:
        examples: Command lines that work, each with what it does in a few words.
        reads: The files and services that the command takes from.
        writes: What it leaves behind.
        notes: What else is good to know, below the examples.
        options: What `argparse.ArgumentParser` takes.
    """

    def __init__(
        self,
        *,
        examples: Sequence[tuple[str, str]] = (),
        reads: str = "",
        writes: str = "",
        notes: str = "",
        **options: Any,
    ) -> None:
        told = [f"{word:<6}  {text}" for word, text in (("reads", reads), ("writes", writes)) if text]
        about = [str(options.pop("description", None) or "").strip(), "\n".join(told)]
        after = [listed(examples), notes.strip()]
        super().__init__(
            description="\n\n".join(filter(None, about)),
            epilog="\n\n".join(filter(None, after)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )
        verbose_help = f"show everything, also what libraries print (or set {VERBOSE}=1)"
        self.add_argument("--verbose", action=Verbose, nargs=0, dest=argparse.SUPPRESS, help=verbose_help)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and tell of what is not known here, where its neighbours are."""
        found, unknown = super().parse_known_args(args, namespace)
        for word in unknown[:1]:
            option = word.partition("=")[0]
            if option.startswith("-"):
                self.error(f"{option}: no such option; {nearest(option, list(self._option_string_actions))}")
            self.error(f"{word}: one word more than it takes")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """End with one line: what is wrong, and where the examples are."""
        self.exit(2, f"error: {message.removeprefix('argument ')}; `{self.prog} --help` has examples\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Accept one of the choices; of another word, name the nearest (argparse does so itself from Python 3.14)."""
        choices = list(map(str, action.choices or ()))
        if choices and str(value) not in choices:
            raise argparse.ArgumentError(action, f"got {value!r}; {nearest(str(value), choices)}")


class Verbose(argparse.Action):
    """`--verbose`: kept in the environment, so that it reaches the processes that the command starts."""

    def __call__(self, *_: object, **__: object) -> None:
        """Let everything through."""
        os.environ[VERBOSE] = "1"


def listed(examples: Sequence[tuple[str, str]]) -> str:
    """The examples in two columns."""
    width = max((len(example) for example, _ in examples), default=0)
    lines = [f"  {example:<{width}}  {words}".rstrip() for example, words in examples]
    return "\n".join(["examples:", *lines]) if lines else ""
