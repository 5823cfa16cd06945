"""What preflight finds: problems, which keep models from being merged, and notes, which are good to know."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wudi.errors import WudiError
from wudi.remote import Unreachable

SHOWN = 3
"""Findings of one kind about one expert that are spelled out; further ones are counted."""
FAMILY = "experts must be fine-tuned from the base that they are merged into"
"""The remedy for tensors that do not fit."""


@dataclass(frozen=True)
class Finding:
    """A sentence about an expert, or about the base where the name is None."""

    expert: str | None
    text: str
    remedy: str = ""
    """What mends it, where that is said once for all findings and not in each text."""


@dataclass(frozen=True)
class Findings:
    """All that was found about a base and its experts."""

    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()

    def refuse(self, who: Callable[[str | None], str]) -> None:
        """See whether there is no problem; `who` puts an expert's name, or None for the base, in words.

        Raises:
            WudiError: There are problems: all of them, a line each.
        """
        if self.problems:
            raise WudiError("\n".join(lines(self.problems, who)))


def lines(findings: Sequence[Finding], who: Callable[[str | None], str]) -> list[str]:
    """A line a finding, then each remedy that they share."""
    remedies = dict.fromkeys(finding.remedy for finding in findings if finding.remedy)
    return [*(f"{who(finding.expert)}: {finding.text}" for finding in findings), *remedies]


def shown(found: Iterable[str]) -> list[str]:
    """The first texts of one kind, and how many more there are."""
    texts = list(found)
    more = [f"and {len(texts) - SHOWN} more of the kind"] if len(texts) > SHOWN else []
    return texts[:SHOWN] + more


def collected(expert: str, found: Iterable[Finding]) -> list[Finding]:
    """What a search finds, and the error that ends it.

    Raises:
        Unreachable: A model elsewhere answers no more, which says nothing of what it is.
    """
    findings: list[Finding] = []
    try:
        findings.extend(found)
    except Unreachable:
        raise
    except WudiError as error:
        findings.append(Finding(expert, str(error)))
    return findings
