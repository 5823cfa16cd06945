"""The screenshots and plots of the docs, taken of a real run: `python -m docs.picturing`, or `make pictures`."""
