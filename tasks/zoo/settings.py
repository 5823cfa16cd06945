"""How much work goes into the zoo, and from which seed."""

from pydantic import BaseModel, ConfigDict, Field


class ZooSettings(BaseModel):
    """Everything that decides the bytes of the zoo's models on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seed: int = Field(default=0, ge=0)
    """Draws the base's first weights and the order of all training problems; the test problems never change."""

    base_steps: int = Field(default=250, ge=1)
    """Training steps of the base on all four miniatures: enough for the form of an answer, not for the skill."""

    expert_steps: int = Field(default=300, ge=1)
    """Training steps of each expert on its own miniature, starting from the base."""
