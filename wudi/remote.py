"""A checkpoint that lies elsewhere, of which no weight is brought here: its listing, its small texts, its headers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.folder import weights_files
from wudi.outline import Outline
from wudi.safetensors_file import LENGTH, DamagedFile, Header, header_size, parse

HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>.+))?")
HUB = "hf://"
THREADS = 8


class Unreachable(WudiError):
    """A place that does not answer: it says nothing of what is there."""


class RemoteFolder:
    """A folder at a URL that fsspec can list: `hf://OWNER/NAME@REVISION`, `s3://bucket/path`, ...

    Raises:
        WudiError: The package for the protocol is missing, there is nothing, or access is refused.
    """

    def __init__(self, url: str) -> None:
        self.where = url.removeprefix(HUB)
        self._url = url
        with explained(self.where, url):
            import fsspec

            self._files, path = fsspec.url_to_fs(url, skip_instance_cache=True)
        self._path = path.rstrip("/")
        self._texts: dict[str, str] = {}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The files that lie in it, not deeper, with their sizes in bytes."""
        with explained(self.where, self._url):
            entries = self._files.ls(self._path, detail=True)
        if any(entry["name"].rstrip("/") == self._path and entry["type"] == "file" for entry in entries):
            raise WudiError(f"{self.where}: is a file; name the folder that it is in")
        files = {entry["name"].rpartition("/")[2]: entry["size"] for entry in entries if entry["type"] == "file"}
        return {name: int(size or 0) for name, size in sorted(files.items()) if name}

    def text(self, name: str) -> str:
        """The content of a small file."""
        if name not in self._texts:
            with explained(self.where, self._url):
                self._texts[name] = self._files.cat_file(f"{self._path}/{name}").decode("utf-8")
        return self._texts[name]

    def header(self, name: str) -> Header:
        """The header of a weights file; all are read at once where the first one is asked for."""
        return self._headers[name] if name in self._headers else self._read_header(name)

    @cached_property
    def _headers(self) -> dict[str, Header]:
        """The headers of the files that hold the model or the adapter."""
        names = weights_files(self)
        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip(names, pool.map(self._read_header, names), strict=True))

    def _read_header(self, name: str) -> Header:
        """Eight bytes with the header's length, then as many as they say, and none of the weights behind."""
        size, where = self.sizes[name], f"{self.where}/{name}"
        try:
            # A cache would read ahead, into the weights.
            path = f"{self._path}/{name}"
            with explained(self.where, self._url), self._files.open(path, cache_type="none") as stream:
                return parse(stream.read(header_size(stream.read(LENGTH), size)), size)
        except DamagedFile as error:
            raise WudiError(f"{where}: not a sound safetensors file ({error}); it is damaged where it lies") from None


def outline(model: str | Path) -> Outline:
    """What can be known of a model without its weights.

    `model` is a local folder or `.safetensors` file, a URL, or the Hub's OWNER/NAME or OWNER/NAME@REVISION where there
    is no such folder.

    Raises:
        WudiError: There is no such model, it cannot be read, or its headers are damaged.
    """
    path = Path(model)
    if "://" in str(model) and not str(model).startswith("file://"):
        return remote_outline(str(model))
    match = HUB_ID.fullmatch(str(model))
    if isinstance(model, Path) or path.exists() or match is None or str(model).startswith("."):
        return Checkpoint(Path(str(model).removeprefix("file://")))
    return remote_outline(hub_url(match["repository"], match["revision"]))


def outlines(models: Sequence[str | Path]) -> list[Outline | WudiError]:
    """The outlines of several models, read side by side; an error in the place of one that cannot be read."""

    def look(model: str | Path) -> Outline | WudiError:
        try:
            return outline(model)
        except WudiError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(look, models))


def remote_outline(url: str) -> Outline:
    """The outline of a model at a URL.

    Raises:
        WudiError: As `outline` does.
    """
    folder = RemoteFolder(url)
    pickle = next((name for name in folder.sizes if name.endswith((".bin", ".pt", ".pth"))), None)
    if pickle and not any(name.endswith(".safetensors") for name in folder.sizes):
        raise WudiError(
            f"{folder.where}: holds pickle files alone ({pickle}), which can run code when they are read; bring it "
            "into a folder, convert that with `wudi convert FOLDER --out NEW` and name NEW"
        )
    return Outline(folder)


def hub_url(repository: str, revision: str | None) -> str:
    """The URL of a repository on the Hub at a branch, tag or commit."""
    return f"{HUB}{repository}" + (f"@{quote(revision, safe='')}" if revision else "")


@contextmanager
def explained(where: str, url: str) -> Iterator[None]:
    """Say in one paragraph why something elsewhere cannot be read."""
    try:
        yield
    except (WudiError, DamagedFile):
        raise
    except ImportError as error:
        raise WudiError(f"{where}: {missing_package(url, error)}") from None
    except Exception as error:  # each protocol has errors of its own
        raise refusal(where, chain(error)) from None


def missing_package(url: str, error: ImportError) -> str:
    """How to get what a protocol needs."""
    protocol = url.partition("://")[0]
    if protocol in ("s3", "s3a"):
        return "a package is missing to read S3; install it with `pip install 'wudi[s3]'`"
    return f"a package is missing to read {protocol}:// ({first_line(error)}); install it with pip"


def refusal(where: str, errors: list[BaseException]) -> WudiError:
    """The error for what a place answers, or for no answer."""
    kinds = {base.__name__ for error in errors for base in type(error).__mro__}
    reason = first_line(errors[-1])
    if "OfflineModeIsEnabled" in kinds:
        return Unreachable(f"{where}: offline mode is on (HF_HUB_OFFLINE); unset it, or name a folder")
    if "GatedRepoError" in kinds:
        return WudiError(f"{where}: access is restricted; accept its terms on the Hub and set HF_TOKEN")
    if "RevisionNotFoundError" in kinds:
        return WudiError(f"{where}: has no such revision; name a branch, tag or commit")
    if kinds & {"RepositoryNotFoundError", "HFValidationError", "HfUriError"}:
        here = "no such folder here, and not found on the Hub"
        return WudiError(f"{where}: {here}; check its name, or set HF_TOKEN if it is private")
    if kinds & {"FileNotFoundError", "NotADirectoryError", "EntryNotFoundError"}:
        return WudiError(f"{where}: nothing is there; check its name")
    if kinds & {"PermissionError", "NoCredentialsError"}:
        return WudiError(f"{where}: access is refused ({reason}); check the credentials for it")
    if isinstance(errors[0], ValueError | UnicodeDecodeError) and "OSError" not in kinds:
        return WudiError(f"{where}: cannot be read ({reason}); check its name")
    return Unreachable(f"{where}: did not answer ({reason}); check the network, and try again")


def chain(error: BaseException) -> list[BaseException]:
    """An error and what it came of."""
    errors = [error]
    while errors[-1].__cause__ is not None:
        errors.append(errors[-1].__cause__)
    return errors


def first_line(error: BaseException) -> str:
    """What an error says, without the advice that libraries add below; its name where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
