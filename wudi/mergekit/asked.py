"""A config's parameters as a method asks for them; what no method asks for is told of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wudi.errors import WudiError
from wudi.mergekit.notes import Notes
from wudi.mergekit.reading import Config, Input
from wudi.mergekit.values import flag, one_number


@dataclass
class Asked:
    """The parameters of one config, for the models that a recipe takes as experts."""

    config: Config
    inputs: Mapping[str, Input]
    """The models with a say, by the experts' names; the base is `base`, where it has one."""
    notes: Notes
    read: set[str] = field(default_factory=set)

    @property
    def experts(self) -> list[str]:
        """The names of the experts."""
        return [name for name in self.inputs if name != "base"]

    def number(self, name: str, default: float | None = None) -> float:
        """A parameter of the whole merge, which mergekit reads nowhere else.

        Raises:
            WudiError: There is none, and no default.
        """
        self.read.add(name)
        if name not in self.config.parameters:
            if default is None:
                raise WudiError(f"parameters: has no {name}, which {self.config.method} needs; write {name} into it")
            return default
        return one_number(f"parameters.{name}", self.config.parameters[name], self.notes)

    def flag(self, name: str, default: bool) -> bool:
        """Likewise one that is true or false; lists and filters have no meaning here."""
        self.read.add(name)
        return flag(f"parameters.{name}", self.config.parameters.get(name, default))

    def each(self, name: str, default: float | None = None) -> dict[str, float]:
        """A parameter of each model: its own, that of all, or the default.

        Raises:
            WudiError: A model has none, and there is no default.
        """
        self.read.add(name)
        return {expert: self.own(name, entry, default) for expert, entry in self.inputs.items()}

    def own(self, name: str, entry: Input, default: float | None) -> float:
        """One model's parameter."""
        for place, values in ((f"{entry.place}.parameters", entry.parameters), ("parameters", self.config.parameters)):
            if name in values:
                return one_number(f"{place}.{name}", values[name], self.notes)
        if default is None:
            raise WudiError(
                f"{entry.place}: has no {name}, which {self.config.method} needs of each model; write it into its "
                f"parameters (parameters: {{{name}: 1.0}}) or into those of the whole config"
            )
        return default

    def one(self, name: str, default: float) -> float:
        """A parameter of each expert as one number for all: where they differ, their mean."""
        found = {expert: value for expert, value in self.each(name, default).items() if expert != "base"}
        value = round(sum(found.values()) / len(found), 12)
        if len(set(found.values())) > 1:
            shown = ", ".join(f"{expert} {own:g}" for expert, own in found.items())
            self.notes.lose(name, f"differs by model ({shown}); one value for all here, their mean {value:g}")
            return value
        return next(iter(found.values()))

    def weights(self) -> dict[str, float]:
        """The experts' weights."""
        return {name: weight for name, weight in self.each("weight").items() if name != "base"}

    def tell_unread(self) -> None:
        """Tell of parameters that the method has no use for, which mergekit passes over in silence."""
        places: Sequence[tuple[str, Mapping[str, Any]]] = [
            ("parameters", self.config.parameters),
            *((f"{entry.place}.parameters", entry.parameters) for entry in self.config.inputs),
        ]
        for place, values in places:
            for name in sorted(values.keys() - self.read, key=str):
                self.notes.tell(f"{place}.{name}", f"mergekit's {self.config.method} does not read it; left out")


def given(weights: Mapping[str, float]) -> dict[str, Any]:
    """The setting `weights`, which is left out where all are 1."""
    return {} if set(weights.values()) == {1.0} else {"weights": dict(weights)}
