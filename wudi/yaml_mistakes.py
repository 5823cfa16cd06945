"""What is wrong with a file that is no YAML, in one line."""


def mistake(error: Exception) -> str:
    """PyYAML's words without the pictures that it draws over several lines: what is wrong, in what, and where."""
    problem, where = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem is None or where is None:
        return " ".join(str(error).split())
    context, began = getattr(error, "context", None), getattr(error, "context_mark", None)
    since = f" that begins in line {began.line + 1}" if began is not None and began.line != where.line else ""
    inside = f" {context}{since}" if context else ""
    return f"{problem}{inside}, at line {where.line + 1}, column {where.column + 1}"
