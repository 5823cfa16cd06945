"""What a conversion has to tell: what it leaves out, and what is the same under another meaning."""

from dataclasses import dataclass, field


@dataclass
class Notes:
    """Lines for the user, each with the place in the file that it is about."""

    lost: list[str] = field(default_factory=list)
    """What the recipe does not have, so that the merged model is another."""
    known: list[str] = field(default_factory=list)
    """What is carried, but is done in another way, or needs a word."""

    def lose(self, place: str, what: str) -> None:
        """Tell of something that cannot be carried."""
        self.lost.append(f"{place}: {what}")

    def tell(self, place: str, what: str) -> None:
        """Tell of something to know."""
        self.known.append(f"{place}: {what}")
