"""A night's artifacts in Prefect: under the same keys each night, so that Prefect keeps their history."""

import re
from pathlib import Path

import pandas as pd
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.nightly.news import Night
from tasks import paths


def publish(root: Path, night: Night) -> None:
    """Publish the leaderboard, and what differs from the last night.

    The keys begin with the clone's name, as several projects may have one server.
    """
    clone = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")
    create_markdown_artifact(night.markdown(), key=f"{clone}-differences", description=night.subject())
    file = root / paths.LEADERBOARD
    if file.is_file():
        rows = pd.read_csv(file).round(4).astype(object).replace({float("nan"): None})
        table = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
        create_table_artifact(table, key=f"{clone}-leaderboard", description=f"Leaderboard of {night.tag}")
