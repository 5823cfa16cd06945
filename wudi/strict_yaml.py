"""YAML in which nothing is said twice, and what is wrong with a file that is no YAML, in one line."""

from typing import Any


def parse(text: str) -> Any:
    """What YAML says, if no key stands twice in one place: of two recipes of one name the first would vanish.

    Raises:
        yaml.YAMLError: It is no YAML, or a key stands twice.
    """
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    problem = f"the key {key.value} stands here twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    return yaml.load(text, UniqueKeys)


def mistake(error: Exception) -> str:
    """PyYAML's words without the pictures that it draws over several lines: what is wrong, in what, and where."""
    problem, where = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem is None or where is None:
        return " ".join(str(error).split())
    context, began = getattr(error, "context", None), getattr(error, "context_mark", None)
    since = f" that begins in line {began.line + 1}" if began is not None and began.line != where.line else ""
    inside = f" {context}{since}" if context else ""
    return f"{problem}{inside}, at line {where.line + 1}, column {where.column + 1}"
