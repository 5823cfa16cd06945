"""A wrong setting is one line with the value, what is allowed and the nearest name."""

from typing import Any

import pytest

from wudi import METHODS, Recipe
from wudi.settings import SettingError


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({}, "method", ["missing", "wudi"]),
        ({"method": "dare-ties"}, "method", ["'dare-ties'", "did you mean dare_ties?"]),
        ({"method": "ties", "densty": 0.2}, "densty", ["no such setting", "did you mean density?"]),
        ({"method": "ties", "density": 1.3}, "density", ["1.3", "above 0 and at most 1"]),
        ({"method": "ties", "density": "much"}, "density", ["'much'", "a number"]),
        ({"method": "ties", "trim": "column"}, "trim", ["'column'", "model, tensor or row"]),
        ({"method": "ties", "include": [3]}, "include", ["[3]", "a list of patterns"]),
        ({"method": "ties", "weights": {"a": -1}}, "weights.a", ["-1", "a number at least 0"]),
        ({"method": "ties", "weights": {"a": "much"}}, "weights.a", ["'much'", "a number"]),
        ({"method": "ties", "weights": 2}, "weights", ["2", "a number at least 0 for each expert"]),
        ({"method": "della", "density": 0.9, "epsilon": 0.2}, "epsilon", ["0.2", "0.7 to 1.1"]),
        ({"method": "breadcrumbs", "density": 0.1, "gamma": 0.1}, "gamma", ["0.1", "less than density"]),
        ({"method": "ties", "density": True}, "density", ["True"]),
        ({"method": "ties", "density": float("nan")}, "density", ["nan"]),
        ({"method": "wudi", "iterations": 2.5}, "iterations", ["2.5", "a whole number at least 0"]),
        ({"method": "wudi", "learning_rate": "fast"}, "learning_rate", ["'fast'", "a number above 0 or auto"]),
        ({"method": "wudi", "rest": "method"}, "rest", ["'method'", "average, base or sum"]),
        ({"method": "swudi", "ratio": 0}, "ratio", ["0"]),
    ],
)
def test_mistakes(values: dict[str, Any], key: str, says: list[str]) -> None:
    with pytest.raises(SettingError) as caught:
        Recipe.parse(values)
    assert caught.value.key == key
    assert "\n" not in str(caught.value)
    for words in says:
        assert words in str(caught.value)


def test_text_is_read_as_numbers() -> None:
    recipe = Recipe.parse({"method": "wudi", "iterations": "12", "learning_rate": "1e-5"})
    assert recipe.as_dict() == {
        "method": "wudi",
        "scale": 1.0,
        "rest": "average",
        "iterations": 12,
        "learning_rate": 1e-5,
    }


@pytest.mark.parametrize("method", METHODS)
def test_defaults_survive_a_round_trip(method: str) -> None:
    recipe = Recipe.parse({"method": method})
    assert Recipe.parse(recipe.as_dict()) == recipe
    assert recipe.method.summary.endswith(".")
    assert recipe.method.source
