"""What the sections of params.yaml have in common: unknown keys are mistakes, and names are safe."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from wudi.errors import WudiError


class ParamsError(WudiError):
    """params.yaml cannot be used; one line for each mistake."""


class Strict(BaseModel):
    """Unknown keys are mistakes, and nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def fail(message: str) -> PydanticCustomError:
    """A mistake in the project's own words."""
    return PydanticCustomError("params", "{message}", {"message": message})


def valid_name(name: str) -> str:
    """Names become folders, DVC stages and parts of dotted parameter paths."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise fail("takes letters, digits, _ and -, and starts with a letter or a digit")
    return name


Name = Annotated[str, AfterValidator(valid_name)]
