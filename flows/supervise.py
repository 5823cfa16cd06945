"""Run a command that ends, with all that it started, no later than the process that asked for it.

    python -P flows/supervise.py COMMAND [ARGUMENT ...]

The asker holds the other end of standard input, which ends when the asker closes it to have the command stopped, and
when the asker dies, `kill -9` included. No stage lives on alone, with a GPU and half an output.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path


def main() -> int:
    """Run the command and return its status."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    sys.path.append(str(Path(__file__).resolve().parents[1]))  # while the command starts
    from tasks.processes import end_family

    stopped = threading.Event()

    def end_with_input() -> None:
        os.read(0, 1)  # which Python's own end does not wait for, as it would for sys.stdin
        stopped.set()
        end_family(process)

    ending = threading.Thread(target=end_with_input, daemon=True)
    ending.start()
    status = process.wait()
    if stopped.is_set():
        ending.join()  # it knows of descendants that nobody finds now that the command is gone
    end_family(process)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
