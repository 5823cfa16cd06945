"""What the harness's own minerva_math says of answers: a program for an environment that has nothing of this project.

Each line of stdin is a document and an answer in JSON, and gets a line with the verdict.
"""

import json
import sys
from importlib.metadata import version

from lm_eval.tasks.minerva_math.utils import process_results


def main() -> None:
    """Judge each line of stdin."""
    assert version("antlr4-python3-runtime").startswith("4.11")
    for line in sys.stdin:
        document, answer = json.loads(line)
        print(json.dumps(process_results(document, [answer])), flush=True)


if __name__ == "__main__":
    main()
