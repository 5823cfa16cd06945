"""The `wudi` command: its words, its help, and how it ends."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from wudi.commands import convert, inspect, merge, methods, verify
from wudi.errors import WudiError

DISK = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk's quota is used up; free some space",
    errno.EFBIG: "a file would be larger than the disk or `ulimit -f` allows; raise the limit or write elsewhere",
    errno.EIO: "the disk reads or writes no more (an input/output error); see to it",
}
"""What goes wrong with disks and what mends it; any other error of the system is one of this program."""

EXAMPLES = """examples:
  wudi methods ties wudi
  wudi merge ./llama-2-13b ./wizardmath ./codealpaca --method wudi --out ./merged
  wudi merge base.safetensors a.safetensors b.safetensors --method ties --set density=0.1 --out ./merged --device cpu
  wudi inspect meta-llama/Llama-2-13b-hf ./wizardmath ./codealpaca   from headers alone: can these be merged?
  wudi convert ./codealpaca --out ./codealpaca-safetensors        pytorch_model.bin, of which nothing is run
  wudi verify ./merged --base ./llama-2-13b                       is every byte still what was merged?

settings of a method, each with a --set of its own:
  --set density=0.1
  --set weights.wizardmath=0.5                     an expert's name is that of its folder or file
  --set 'include=*.self_attn.*,lm_head.weight'     patterns of whole tensor names, with commas between
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a mistake of the user's is one paragraph on stderr and status 1."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except WudiError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # Whoever read the output, `head` perhaps, has enough. What is still buffered must not fail again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in DISK:
            raise
        sys.exit(f"error: {DISK[error.errno]} and run the same command again: it goes on where it stopped")
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on where it stopped", file=sys.stderr)
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="wudi",
        description="Merge fine-tuned models into one, without training.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in (merge, methods, inspect, convert, verify):
        command.add(commands)
    return top
