"""What a tensor's name says about its place: the module that it belongs to, and the number of its block."""


def module_name(tensor: str) -> str:
    """The module's own name: `q_proj` for `model.layers.3.self_attn.q_proj.weight`; numbers are passed over."""
    words = [part for part in parts(tensor) if not part.isdecimal()]
    return words[-1] if words else tensor


def block_number(tensor: str) -> int | None:
    """The first number in the name: 3 for `model.layers.3.self_attn.q_proj.weight`; None for a name without one."""
    return next((int(part) for part in parts(tensor) if part.isdecimal()), None)


def parts(tensor: str) -> list[str]:
    """The name between its dots, without the parameter's own."""
    return tensor.removesuffix(".weight").removesuffix(".bias").split(".")
