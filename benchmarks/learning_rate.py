"""WUDI's learning rate: what fixed rates and `auto` leave of the interference, on checkpoints that are given.

`python -m benchmarks.learning_rate BASE EXPERT EXPERT...` prints a table of Σ L(result) / Σ L(sum of the task vectors)
over the linear layers, and of the same for the gradient flow, which has no learning rate.
"""

import argparse
from pathlib import Path

import torch

from wudi.checkpoint import Checkpoint
from wudi.experts import open_experts
from wudi.inputs import Inputs
from wudi.recipe import Recipe
from wudi.tensor_merge import TensorMerge

RATES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)


def left(merge: TensorMerge) -> float:
    """Σ L(result) / Σ L(sum) over the linear layers of a merge."""
    names = sorted(name for name, role in merge.inputs.roles.items() if role.kind == "linear")
    layers = [layer for name in names for layer in merge.inputs.layers(name, torch.device("cpu"))]
    measured = [merge.update(layer, by_method=True).measured for layer in layers]
    return sum(row["interference_result"] for row in measured) / sum(row["interference_sum"] for row in measured)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("experts", type=Path, nargs="+")
    options = parser.parse_args()
    base, experts = Checkpoint(options.base), open_experts(options.experts)
    recipes = {f"{rate:g}": {"method": "wudi", "learning_rate": rate} for rate in RATES}
    recipes |= {"auto": {"method": "wudi"}, "wudi_flow": {"method": "wudi_flow"}, "pinv": {"method": "pinv"}}
    for name, values in recipes.items():
        merge = TensorMerge(Inputs(base, experts), Recipe.parse(values), measures=True)
        print(f"{name:>10}  {left(merge):.4f}")


if __name__ == "__main__":
    main()
