"""The zoo's tokenizer: 512 tokens learned from the training problems, with every digit a token of its own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.zoo.problems import MINIATURES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 512
_DOCUMENTS = 500
_BEGIN, _END, _PAD, _UNKNOWN = "<s>", "</s>", "<pad>", "<unk>"


def train_tokenizer() -> "PreTrainedTokenizerFast":
    """Train the tokenizer; it depends on no seed, so that models of all seeds can be merged.

    The alphabet is printable ASCII: the 256 bytes would take half of the vocabulary from the words.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\d"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    # The byte-level alphabet writes a space as Ġ and a line feed as Ċ.
    alphabet = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[_BEGIN, _END, _PAD, _UNKNOWN],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=_BEGIN,
        eos_token=_END,
        pad_token=_PAD,
        unk_token=_UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _texts() -> Iterator[str]:
    for miniature in MINIATURES.values():
        for document in miniature.documents("train", _DOCUMENTS):
            yield miniature.prompt(document) + miniature.answer(document)
