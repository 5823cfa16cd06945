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
DRAWINGS = ("means", "heatmap", "cost", "similarity", "interference")
"""Pictures of the report that are shown alone."""
SECTIONS = ("samples", "history")
"""Sections of it, of which one window is shown."""
COMMANDS = {
    "terminal-compare": ("-m", "tasks.compare"),
    "terminal-doctor": ("-m", "tasks.doctor"),
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
    """The report: its top, and its parts."""
    for name, options in WINDOWS.items():
        with opened(browser, report, **options) as page:
            page.screenshot(path=PICTURES / f"{name}.png")
    with opened(browser, report) as page:
        for name in DRAWINGS:
            page.locator(f"svg:has(#picture-{name}-title)").screenshot(path=PICTURES / f"{name}.png")
        for name in SECTIONS:
            page.locator(f"section#{name}").evaluate("section => section.scrollIntoView()")
            page.screenshot(path=PICTURES / f"{name}.png")


def of_versions(browser: Any, project: Path) -> None:
    """The page of all nights."""
    page = project.with_name("versions.html")
    subprocess.run([sys.executable, "-m", "tasks.compare", "--report", str(page)], cwd=project, check=True)
    with opened(browser, page) as shown:
        shown.screenshot(path=PICTURES / "versions.png")


if __name__ == "__main__":
    main()
