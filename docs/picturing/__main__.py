"""Make docs/pictures/ anew: `python -m docs.picturing [FOLDER]`.

The nights take about a quarter of an hour on two cores. With a FOLDER they are kept there, and a second call goes on
where the first one stopped.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docs.picturing.browser import chromium, opened, picture_of_svg
from docs.picturing.nights import ROOT, make_nights
from docs.picturing.prefect_run import prefect_run
from docs.picturing.terminal import terminal

PICTURES = ROOT / "docs" / "pictures"
WINDOWS: dict[str, dict[str, Any]] = {
    "report-top": {},
    "report-dark": {"color_scheme": "dark"},
    "report-phone": {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2},
}
"""What of the report one sees first."""
SECTIONS = {
    "means": "figure#means",
    "heatmap": "figure#heatmap",
    "cost": "figure#cost",
    "similarity": "figure#similarity",
    "interference": "figure#interference",
    "samples": "section#samples",
    "history": "section#history",
}
"""Parts of the report that have a picture of their own, by their place on the page."""
COMMANDS = {
    "terminal-leaderboard": ("-m", "tasks.leaderboard"),
    "terminal-compare": ("-m", "tasks.compare"),
    "terminal-doctor": ("-m", "tasks.doctor"),
    "terminal-samples": ("-m", "tasks.samples", "wudi", "gsm8k", "--against", "ties", "--gained", "--limit", "1"),
    "terminal-inspect": ("-m", "wudi", "inspect", "models/base", "models/experts/gsm8k", "models/experts/math"),
    "terminal-pipeline": ("-m", "flows.pipeline"),
}


def main() -> None:
    """Make the nights and take every picture."""
    if len(sys.argv) > 1:
        take(make_nights(Path(sys.argv[1]).resolve()))
        return
    with tempfile.TemporaryDirectory() as folder:
        take(make_nights(Path(folder).resolve()))


def take(project: Path) -> None:
    """Every picture of a project with results and nights."""
    PICTURES.mkdir(exist_ok=True)
    with chromium() as browser:
        of_report(browser, project / "results" / "report.html")
        of_versions(browser, project)
        prefect_run(browser, project, PICTURES / "prefect-run.png")
        for name, arguments in COMMANDS.items():
            shown = " ".join(["python", *arguments])
            picture_of_svg(browser, terminal(project, *arguments, shown=shown), PICTURES / f"{name}.png")


def of_report(browser: Any, report: Path) -> None:
    """The report's top, and its parts."""
    for name, options in WINDOWS.items():
        with opened(browser, report, **options) as page:
            page.screenshot(path=PICTURES / f"{name}.png")
    with opened(browser, report) as page:
        for name, place in SECTIONS.items():
            page.locator(place).first.screenshot(path=PICTURES / f"{name}.png")


def of_versions(browser: Any, project: Path) -> None:
    """The page of all nights."""
    page = project.with_name("versions.html")
    subprocess.run([sys.executable, "-m", "tasks.compare", "--report", str(page)], cwd=project, check=True)
    with opened(browser, page) as shown:
        shown.screenshot(path=PICTURES / "versions.png")


if __name__ == "__main__":
    main()
