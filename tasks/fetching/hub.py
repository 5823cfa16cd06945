"""A checkpoint on the Hub: listed, downloaded at one commit, and compared with the hashes that the Hub lists."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.utils.tqdm import disable_progress_bars

from tasks.fetching.attempts import Damaged, Result, persistently
from tasks.fetching.choice import Listing, choose
from tasks.fetching.growth import growth
from tasks.fetching.hub_answers import asked_to_wait, refused
from tasks.fetching.interrupt import Interruptible
from tasks.fetching.partial import Partial
from tasks.fetching.provenance import Fetched, Stored, stored_all
from tasks.params import Model
from wudi.errors import WudiError
from wudi.folder import INDEX
from wudi.preflight.disk import check_disk


@dataclass(frozen=True)
class Listed:
    """What the Hub says of a file; a hash only of those that it keeps apart from git, as it does with weights."""

    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit, whatever its branch does meanwhile."""

    repository: str
    commit: str
    files: dict[str, Listed]


def fetch_hub(model: Model, folder: Path) -> Fetched:
    """Download the model at the commit that its revision names now; files of an interrupted run are kept.

    Raises:
        WudiError: The Hub refuses or does not answer, the repository holds no safetensors, the disk has no room, or a
            file stays another than the one that the Hub lists.
    """
    disable_progress_bars()
    snapshot = resolve(model)
    partial = Partial(folder, {"source": model.source, "commit": snapshot.commit})
    remove_rests(folder)
    names = wanted(model, snapshot, folder)
    sizes = {name: snapshot.files[name].size or 0 for name in names}
    check_disk(folder, sum(size for name, size in sizes.items() if not (folder / name).is_file()))
    checked: dict[str, Stored] = {}

    def attempt() -> None:
        download(snapshot, names, folder)
        verify(snapshot, names, folder, checked)

    with growth(folder, f"downloading {model.source}", sum(sizes.values())):
        ask(model, attempt)
    partial.close(names)
    return Fetched({"revision": model.revision, "commit": snapshot.commit}, checked)


def ask(model: Model, action: Callable[[], Result]) -> Result:
    """Do something that asks the Hub, as often as it takes within reason.

    Raises:
        WudiError: The Hub refuses, or does not answer.
    """
    return persistently(model.source, action, lambda error: refused(model, error), asked_to_wait)


def resolve(model: Model) -> Snapshot:
    """Ask for the commit that a revision names now, and for its files.

    Raises:
        WudiError: There is none, or the Hub refuses or does not answer.
    """
    seconds = constants.HF_HUB_ETAG_TIMEOUT
    info = ask(
        model,
        lambda: HfApi().model_info(model.source, revision=model.revision, files_metadata=True, timeout=seconds),
    )
    files = {
        sibling.rfilename: Listed(sibling.size, None if sibling.lfs is None else sibling.lfs.sha256)
        for sibling in info.siblings or []
    }
    if info.sha is None:
        raise WudiError(f"{model.source}: the Hub names no commit; check HF_ENDPOINT")
    return Snapshot(model.source, info.sha, files)


def wanted(model: Model, snapshot: Snapshot, folder: Path) -> list[str]:
    """The names of the files to download; the index comes first, where it takes one to know them."""

    def text(name: str) -> str:
        ask(model, lambda: hf_hub_download(model.source, name, revision=snapshot.commit, local_dir=folder))
        return (folder / name).read_text(encoding="utf-8")

    mend = (
        f"download it with `hf download {shlex.quote(model.source)} --revision {snapshot.commit}`, convert the folder "
        "that this prints with `wudi convert FOLDER --out NEW`, and name NEW as the source"
    )
    try:
        sizes = {name: listed.size or 0 for name, listed in snapshot.files.items()}
        return choose(Listing(model.source, sizes, text), mend)
    except WudiError:
        (folder / INDEX).unlink(missing_ok=True)  # a damaged one is not to stay
        raise


def download(snapshot: Snapshot, names: list[str], folder: Path) -> None:
    """Download what is missing, several files at a time."""
    with Interruptible() as progress:
        snapshot_download(
            snapshot.repository,
            revision=snapshot.commit,
            local_dir=folder,
            allow_patterns=[escape(name) for name in names],
            tqdm_class=progress,
        )


def verify(snapshot: Snapshot, names: list[str], folder: Path, checked: dict[str, Stored]) -> None:
    """Compare every file that was not yet `checked` with what the Hub lists, and add those that are right.

    Raises:
        Damaged: Files are others than listed; they are removed, so that the next attempt downloads them.
        OSError: Files did not come: where the Hub fails in the middle, huggingface_hub may return a folder as it is.
    """
    found = stored_all(folder / name for name in names if name not in checked and (folder / name).is_file())
    problems = {name: damage(content, snapshot.files[name]) for name, content in found.items()}
    checked |= {name: content for name, content in found.items() if not problems[name]}
    for name in [name for name, problem in problems.items() if problem]:
        (folder / name).unlink()
    if any(problems.values()):
        raise Damaged("; ".join(f"{name} {problem}" for name, problem in problems.items() if problem))
    missing = [name for name in names if name not in checked]
    if missing:
        raise OSError(f"without {', '.join(missing)}")


def damage(found: Stored, listed: Listed) -> str:
    """How a file differs from what the Hub lists; empty where it does not."""
    if listed.sha256 is not None and found.sha256 != listed.sha256:
        return f"came with the SHA-256 {found.sha256}, but the Hub lists {listed.sha256}"
    if listed.size is not None and found.size != listed.size:
        return f"came with {found.size} bytes, but the Hub lists {listed.size}"
    return ""


def remove_rests(folder: Path) -> None:
    """Remove the half files of a run that was killed: huggingface_hub never takes them up again."""
    for rest in (folder / ".cache").rglob("*.incomplete"):
        rest.unlink(missing_ok=True)
