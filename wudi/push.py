"""Publish a merged model on the Hub: proved against its merge.json, and all of it in one commit."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wudi.card import CARD
from wudi.errors import WudiError
from wudi.folder import CONFIG
from wudi.hub_license import licensed
from wudi.hub_refusals import TOKENS, refusals
from wudi.progress import Track, silent
from wudi.verification import RECORD, read_record, verify

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

HARMLESS = {".gitattributes", CARD, "LICENSE"}
"""What may lie in a repository that holds no model yet."""
LISTED = 5


@dataclass(frozen=True)
class Package:
    """What is pushed: files as they lie in the folder, and texts in the place of some."""

    folder: Path
    record: Mapping[str, Any]
    texts: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The files of the repository: those that merge.json names, itself, and no others."""
        return sorted({*self.record["outputs"], *self.record["files"], RECORD})

    @property
    def card(self) -> str:
        """The model card."""
        return self.texts.get(CARD) or (self.folder / CARD).read_text(encoding="utf-8")

    def content(self, name: str) -> Path | bytes:
        """A file's place, or the text in its stead."""
        return self.texts[name].encode() if name in self.texts else self.folder / name

    def size(self, name: str) -> int:
        """A file's bytes."""
        return len(self.texts[name].encode()) if name in self.texts else (self.folder / name).stat().st_size

    def with_card(self, card: str) -> "Package":
        """The same with another card, of which merge.json has the hash, so that a download still verifies."""
        if card == self.card:
            return self
        files = self.record["files"] | {CARD: hashlib.sha256(card.encode()).hexdigest()}
        record = json.dumps({**self.record, "files": files}, indent=1, sort_keys=True) + "\n"
        return Package(self.folder, self.record, {CARD: card, RECORD: record})

    def message(self) -> str:
        """What the commit says unless someone says better."""
        return f"Merge of {', '.join(self.record['experts'])} by {self.record['recipe']['method']}"


@dataclass(frozen=True)
class Pushed:
    """Where the model now is."""

    url: str
    commit: str


def package(folder: Path, track: Track = silent) -> Package:
    """Prove that a folder is a merge as it was finished.

    Raises:
        WudiError: It is no merge, half of one, bare weights, or a file is not as merge.json says.
    """
    record = check_merged(folder)
    differences = verify(folder, track=track).differences
    if differences:
        more = f" and {len(differences) - LISTED} more" if len(differences) > LISTED else ""
        raise WudiError(
            f"{folder}: is not as it was merged: {'; '.join(differences[:LISTED])}{more}. Merge again, and write text "
            "of your own into the card on the Hub, after the push"
        )
    return Package(folder, record, {})


def check_merged(folder: Path) -> dict[str, Any]:
    """The record of a merge's folder, of whose files none is read yet.

    Raises:
        WudiError: It is no merge, half of one, or bare weights.
    """
    whole = folder.resolve()
    if whole.suffix == ".partial" or (not folder.exists() and (whole.parent / f"{whole.name}.partial").exists()):
        raise WudiError(f"{folder}: is not finished; run the same merge again, which goes on where it stopped")
    if not folder.is_dir():
        raise WudiError(f"{folder}: no such folder; takes the one that a merge has written")
    record = read_record(folder)
    if not {CARD, CONFIG} <= record["files"].keys():
        raise WudiError(f"{folder}: holds weights alone, without config and card; merge into a base that is a folder")
    return record


def check_repository(repository: str) -> None:
    """See that this can be the name of a repository.

    Raises:
        WudiError: It cannot.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repository)
        named = repository.count("/") == 1
    except HFValidationError:
        named = False
    if not named:
        raise WudiError(f"{repository}: is no repository; takes OWNER/NAME of letters, digits, -, _ and . (96 at most)")


def push(
    package: Package, repository: str, *, private: bool = False, branch: str | None = None, message: str | None = None
) -> Pushed:
    """Upload a package in one commit, so that nobody ever sees half of it.

    An upload that broke off leaves its files with the Hub, and the next one sends the others.

    Raises:
        WudiError: There is no token or one that may not write there, the repository holds something else, or the Hub
            refuses or does not answer.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    check_repository(repository)
    token = hub_token()
    with refusals(repository, token):
        api = HfApi(token=token)
        check_rights(api, repository.partition("/")[0])
        found = prepared(api, repository, private=private, branch=branch)
        stale = leftovers(api, repository, found, package.names)
        package = package.with_card(licensed(api, package.card, package.record))
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationDelete(path_in_repo=name) for name in stale),
                *(
                    CommitOperationAdd(path_in_repo=name, path_or_fileobj=package.content(name))
                    for name in package.names
                ),
            ],
            commit_message=message or package.message(),
            revision=branch,
            parent_commit=found.sha,
        )
    tree = f"/tree/{branch}" if branch else ""
    return Pushed(f"{api.endpoint}/{repository}{tree}", commit.oid)


def hub_token() -> str:
    """The token of `hf auth login` or HF_TOKEN.

    Raises:
        WudiError: There is none, or it cannot be one.
    """
    from huggingface_hub import get_token

    token = get_token()
    if token is None:
        raise WudiError(f"no token for the Hub is here; make one that may write at {TOKENS}, and run `hf auth login`")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise WudiError("the token for the Hub holds what no token has; set HF_TOKEN anew, or run `hf auth login`")
    return token


def check_rights(api: "HfApi", owner: str) -> None:
    """See that the token may write to an owner's repositories, as far as the Hub tells before one tries.

    Raises:
        WudiError: It may only read, or the owner is someone else.
    """
    found = api.whoami()
    token = (found.get("auth") or {}).get("accessToken") or {}
    orgs = {org["name"]: org.get("roleInOrg") for org in found.get("orgs") or []}
    own = [found["name"], *(name for name, role in orgs.items() if role != "read")]
    role = token.get("role")
    if role == "read":
        raise WudiError(
            f"the token of {found['name']} may only read; make one that may write at {TOKENS}, and run `hf auth login`"
        )
    # Of a fine-grained token not all organizations are listed: there the Hub's own answer decides.
    if role == "write" and owner.casefold() not in map(str.casefold, own):
        raise WudiError(f"{owner}: is not yours to write to; the token is for {', '.join(own)}: name one of those")


def prepared(api: "HfApi", repository: str, *, private: bool, branch: str | None) -> "ModelInfo":
    """The repository at its branch, made where there was none.

    Raises:
        WudiError: It is public and was to be private, or holds something else than a merge.
    """
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        found = api.model_info(repository)
    except RepositoryNotFoundError:
        api.create_repo(repository, private=private or None, exist_ok=True)
        found = api.model_info(repository)
    if private and found.private is False:
        raise WudiError(
            f"{repository}: is there already, and public; make it private on the Hub, or leave out --private"
        )
    if branch is not None:
        try:
            found = api.model_info(repository, revision=branch)
        except RevisionNotFoundError:
            check_content(repository, found)  # which the new branch would begin with
            api.create_branch(repository, branch=branch, exist_ok=True)
            found = api.model_info(repository, revision=branch)
    check_content(repository, found)
    return found


def check_content(repository: str, found: "ModelInfo") -> None:
    """See that a repository holds a merge or nothing.

    Raises:
        WudiError: It holds something else.
    """
    foreign = sorted(files(found) - HARMLESS)
    if foreign and RECORD not in foreign:
        raise something_else(repository, ", ".join(foreign[:LISTED]))


def something_else(repository: str, shown: str) -> WudiError:
    """The refusal of a repository with other content."""
    return WudiError(
        f"{repository}: holds something else than a merge ({shown}), with which this one would be mixed; name another "
        "repository, or a branch that has nothing of it"
    )


def files(found: "ModelInfo") -> set[str]:
    """The names of a repository's files."""
    return {sibling.rfilename for sibling in found.siblings or []}


def leftovers(api: "HfApi", repository: str, found: "ModelInfo", names: Collection[str]) -> Iterator[str]:
    """What an earlier push wrote and this one does not: shards of another number would be taken for the model's.

    Raises:
        WudiError: The merge.json there is none of a merge.
    """
    there = files(found) - set(names)
    if not there or RECORD not in files(found):
        return
    place = Path(api.hf_hub_download(repository, RECORD, revision=found.sha))
    try:
        earlier = read_record(place.parent)
    except WudiError:
        raise something_else(repository, f"a {RECORD} of another kind") from None
    yield from sorted(there & {*earlier["outputs"], *earlier["files"]})
