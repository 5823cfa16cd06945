"""The backend `vllm`: vLLM in this process, by lm-eval's own class."""

import os
from importlib.util import find_spec
from pathlib import Path

from tasks.evaluation.backends.backend import Backend
from tasks.evaluation.backends.server import BATCHED, refuse_adapter
from tasks.evaluation.settings import Evaluation
from tasks.strict import ParamsError
from wudi.errors import WudiError


def check_vllm(evaluation: Evaluation) -> None:
    """Raise a `WudiError` where vLLM is not installed or is asked for a device that it does not choose itself."""
    if find_spec("vllm") is None:
        raise WudiError(
            "evaluation.backend vllm takes vLLM, which is not installed: pip install 'wudi[vllm]'. A vLLM that is "
            "installed elsewhere can be used as a server: backend: server, with server: {command: ...} in params.yaml"
        )
    if evaluation.device not in ("auto", "cuda"):
        raise ParamsError(
            f"params.yaml: evaluation.device: got {evaluation.device!r}; vLLM takes the first GPU that it sees: write "
            "device: auto, and choose by CUDA_VISIBLE_DEVICES"
        )


def load_vllm(folder: Path, evaluation: Evaluation) -> Backend:
    """The model of a folder in vLLM, in the dtype of params.yaml.

    Raises:
        WudiError: vLLM is not installed, or cannot load the model.
    """
    check_vllm(evaluation)
    refuse_adapter(folder, "vllm")
    if not os.environ.get("WUDI_VERBOSE"):
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from lm_eval.models.vllm_causallms import VLLM

    try:
        # The batch size bounds what is computed together; requests are handed over all at once, as vLLM is made for.
        limit = None if evaluation.batch_size == "auto" else evaluation.batch_size
        lm = VLLM(pretrained=str(folder), dtype=evaluation.dtype, batch_size="auto", max_batch_size=limit)
    except (RuntimeError, ValueError) as error:
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WudiError(f"{folder}: vLLM cannot load it ({problem}); WUDI_VERBOSE=1 shows what it prints") from None
    model = lm.model.llm_engine.model_config
    return Backend(
        lm=lm,
        tokenizer=lm.tokenizer,
        device="cuda",
        dtype=str(model.dtype).removeprefix("torch."),
        warnings=(BATCHED,),
        together=1024,
    )
