"""Write files, and run commands as a terminal would, but Python's in this one process, which imports torch once.

The steps come as JSON on stdin; status and output of each go to stdout as JSON.
"""

import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


def main() -> None:
    warnings.simplefilter("ignore")
    report = sys.stdout
    played = []
    for step in json.load(sys.stdin):
        if "write" in step:
            path = Path(step["write"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step["text"], encoding="utf-8")
        played.append(play(step["run"]))
    json.dump(played, report)


def play(line: str) -> tuple[int, str]:
    """A command's status and all that it prints."""
    words = shlex.split(line, comments=True)
    if words[0] == "cd":
        os.chdir(words[1])
        return 0, ""
    if words[0] == "wudi":
        words[:1] = ["python", "-m", "wudi"]
    plain = re.fullmatch(r"[^|><&;]*", line.partition("#")[0]) is not None
    if plain and words[:2] == ["python", "-m"] and words[2].partition(".")[0] in ("wudi", "tasks"):
        return here(words[2:])
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=1200)
    return done.returncode, done.stdout + done.stderr


def here(words: list[str]) -> tuple[int, str]:
    """Run a module in this process."""
    buffer = io.BytesIO()
    output = io.TextIOWrapper(buffer, encoding="utf-8", write_through=True)
    sys.argv = words
    sys.path_importer_cache.clear()  # what a command has installed is there for the next
    status: int | str | None = 0
    with redirect_stdout(output), redirect_stderr(output):
        try:
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            status = ended.code
            if isinstance(status, str):
                print(status)
    return (1 if isinstance(status, str) else status or 0), buffer.getvalue().decode()


if __name__ == "__main__":
    main()
