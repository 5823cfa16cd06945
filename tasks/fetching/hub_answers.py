"""What the Hub's refusals mean, and which of its failures pass with time."""

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]  # exported lazily

from tasks.fetching.attempts import first_line
from tasks.params import Model
from wudi.errors import WudiError

PASSING = (408, 429)
"""Statuses between 400 and 499 after which the same request may succeed."""


def refused(model: Model, error: Exception) -> WudiError | None:
    """The error for what no waiting mends; None for what may pass."""
    cause = answer(error)
    words = named_refusal(model, cause)
    if words is None and isinstance(cause, HfHubHTTPError):
        status = cause.response.status_code
        if 400 <= status < 500 and status not in PASSING:
            words = f"the Hub refuses with status {status} ({cause.server_message or first_line(cause)})"
            words += "; set HF_TOKEN to a token that may read it" if status in (401, 403) else ""
    return None if words is None else WudiError(f"{model.source}: {words}")


def named_refusal(model: Model, error: BaseException) -> str | None:
    """The refusals that the client tells apart, in words, the special ones first."""
    match error:
        case OfflineModeIsEnabled():
            return "offline mode is on (HF_HUB_OFFLINE); unset it, or name a folder as the source"
        case GatedRepoError():
            return gated(model, error.response.status_code)
        case RevisionNotFoundError():
            return f"has no revision {model.revision!r}; name a branch, tag or commit"
        case RepositoryNotFoundError():
            return not_found()
        case DisabledRepoError():
            return "the Hub has disabled it; name another source"
        case HFValidationError():
            return f"is no valid Hub id ({first_line(error)})"
    return None


def gated(model: Model, status: int) -> str:
    """What to do about a repository whose terms must be accepted."""
    page = f"{constants.ENDPOINT}/{model.source}"
    if status == 401 or get_token() is None:
        return f"access is restricted; accept its terms on the Hub ({page}) and set HF_TOKEN"
    return (
        f"access is restricted, and the account of your token has none; accept its terms on the Hub ({page}), "
        "wait where its owner must agree, or set HF_TOKEN to another account's token"
    )


def not_found() -> str:
    """What to do about a repository that is missing or private: the Hub does not say which."""
    if get_token() is None:
        return "not found on the Hub; check `source` in params.yaml, or set HF_TOKEN if it is private"
    return (
        "not found on the Hub, or private and not for the account of your token; check `source` in params.yaml, or "
        "set HF_TOKEN to a token that may read it"
    )


def answer(error: BaseException) -> BaseException:
    """The Hub's own answer, which the client may wrap into the news that a file is not on the disk either."""
    while not isinstance(error, HfHubHTTPError | OfflineModeIsEnabled) and error.__cause__ is not None:
        error = error.__cause__
    return error


def asked_to_wait(error: Exception) -> float | None:
    """The seconds after which the Hub wants to be asked again, if it says so."""
    cause = answer(error)
    if not isinstance(cause, HfHubHTTPError):
        return None
    limit = parse_ratelimit_headers(cause.response.headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    seconds = cause.response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdigit() else None
