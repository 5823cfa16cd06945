"""Every method by its name: this package's own, and those that other packages add."""

from importlib.metadata import entry_points

from wudi.errors import WudiError
from wudi.methods import (
    covariance,
    dropping,
    filters,
    flow,
    masking,
    means,
    pcb,
    spherical,
    subspace,
    ties,
    wudi,
)
from wudi.methods.method import Method

GROUP = "wudi.methods"
FAMILIES = (means, spherical, ties, dropping, masking, pcb, subspace, covariance, wudi, flow, filters)


def registered() -> dict[str, Method]:
    """The methods of this package, then those of the entry points of other packages.

    Raises:
        WudiError: An entry point does not load, names no `Method`, or takes a name that is taken.
    """
    methods = {method.name: method for family in FAMILIES for method in family.METHODS}
    for entry in entry_points(group=GROUP):
        try:
            method = entry.load()
        except Exception as error:  # another package's code may raise anything
            raise WudiError(f"entry point {entry.name} = {entry.value} of {GROUP} does not load: {error}") from error
        if not isinstance(method, Method):
            raise WudiError(
                f"entry point {entry.name} = {entry.value} of {GROUP}: got {type(method).__name__}; takes a Method"
            )
        if method.name in methods:
            raise WudiError(f"entry point {entry.name} = {entry.value} of {GROUP}: the name {method.name} is taken")
        methods[method.name] = method
    return methods


METHODS: dict[str, Method] = registered()
