"""`python -m tests.flows.serving.serve_toy`: the command `serve` with the toy night."""

from argparse import ArgumentParser

from flows.nightly.options import add_options, parameters
from flows.serving import serve
from tasks.console import command


def main() -> None:
    parser = ArgumentParser()
    add_options(parser)
    serve.add_arguments(parser)
    arguments = parser.parse_args()
    command(lambda: serve.serve(arguments, "tests.flows.serving.toy_night:toy", parameters(arguments)))


if __name__ == "__main__":
    main()
