"""An environment of its own for a program that cannot share this project's."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import ROOT
from wudi.errors import WudiError


@dataclass(frozen=True)
class Environment:
    """A virtual environment in the cache, with what is installed into it one after the other."""

    name: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return ROOT / ".cache" / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def install(self) -> None:
        """Make it on first use, and whenever other versions are asked for.

        Raises:
            WudiError: pip could not install.
        """
        done, wanted = self.folder / "installed", "\n".join(self.requirements)
        if done.is_file() and done.read_text(encoding="utf-8") == wanted:
            return
        self.called([sys.executable, "-m", "venv", "--clear", self.folder])
        for requirement in self.requirements:
            self.called([self.python, "-m", "pip", "install", "--quiet", requirement])
        done.write_text(wanted, encoding="utf-8")

    def versions(self, packages: Sequence[str]) -> str:
        """The installed versions of some packages, in words."""
        tell = (
            f"from importlib.metadata import version; print(*(f'{{p}} {{version(p)}}' for p in {packages}), sep=', ')"
        )
        return self.called([self.python, "-c", tell]).strip()

    def called(self, command: Sequence[str | Path]) -> str:
        """What a command prints.

        Raises:
            WudiError: It failed.
        """
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            said = " ".join(ended.stderr.strip().splitlines()[-3:])
            raise WudiError(
                f"{self.folder}: {' '.join(map(str, command[1:4]))} failed ({said}); "
                "look to the connection and the disk, and run it again"
            )
        return ended.stdout
