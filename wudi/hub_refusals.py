"""What the Hub answers to someone who writes to it, as one paragraph that says what to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wudi.errors import WudiError
from wudi.remote import chain, first_line

TOKENS = "https://huggingface.co/settings/tokens"
AGAIN = "run the same command again: what was uploaded is not sent again"


@contextmanager
def refusals(repository: str, token: str) -> Iterator[None]:
    """Turn whatever goes wrong with the Hub into a `WudiError` that never has the token in it."""
    try:
        yield
    except WudiError:
        raise
    except Exception as error:  # the client's and those of the network have no class in common
        if isinstance(error, OSError) and error.errno is not None and not from_hub(error):
            raise  # this machine's disk
        raise refusal(repository, error, token) from None


def from_hub(error: BaseException) -> bool:
    """Whether an error is an answer of the Hub's, or of the network, and not of this machine's disk."""
    kinds = {base.__name__ for each in chain(error) for base in type(each).__mro__}
    return bool(kinds & {"HfHubHTTPError", "OfflineModeIsEnabled", "HTTPError", "ConnectionError", "TimeoutError"})


def refusal(repository: str, error: BaseException, token: str) -> WudiError:
    """The paragraph for an error."""
    errors = chain(error)
    response = first(errors, "response")
    said = first(errors, "server_message")
    reason = " ".join((said or first_line(errors[-1])).split()).replace(token, "(the token)")
    kinds = {base.__name__ for each in errors for base in type(each).__mro__}
    status = None if response is None else response.status_code
    return WudiError(f"{repository}: {paragraph(status, kinds, reason)}")


def first(errors: Sequence[BaseException], attribute: str) -> Any:
    """What the first of some errors has under a name, if one has anything."""
    found = (getattr(error, attribute, None) for error in errors)
    return next((value for value in found if value is not None), None)


def paragraph(status: int | None, kinds: set[str], reason: str) -> str:
    """What happened, and what mends it."""
    if "OfflineModeIsEnabled" in kinds:
        return "offline mode is on (HF_HUB_OFFLINE); unset it, or see with --dry what would be pushed"
    if status == 401 and "RepositoryNotFoundError" not in kinds:
        return "the Hub does not accept the token; log in anew with `hf auth login`, or set HF_TOKEN to a valid one"
    if status in (401, 403, 404):
        return (
            f"the Hub refuses to write there ({reason}); takes a token with write permission for that owner "
            f"({TOKENS}), by `hf auth login` or HF_TOKEN, or a repository of your own"
        )
    if status in (409, 412):
        return f"something else was written there meanwhile ({reason}); look at it, and run the same command again"
    if status == 429:
        return f"the Hub asks to wait ({reason}); wait some minutes, then {AGAIN}"
    if status is not None and status < 500:
        return f"the Hub refuses what is sent ({reason}); mend that, then {AGAIN}"
    if status is None and "ValueError" in kinds:
        return f"the Hub refuses what is sent ({reason})"
    return f"the Hub did not answer as it should ({reason}); check the network, then {AGAIN}"
