"""Cards of larger structures, for `experiments.finetune`."""

import pathlib
import re


def with_card(argv: list[str]) -> list[str]:
    """The arguments with the card of the data's kind, where they name none."""
    words = "\0".join(argv)
    data = re.search(r"\0--?data[=\0](\w+)", words)
    if re.search(r"\0--?config[=\0]", words) or data is None:
        return argv
    card = pathlib.Path(__file__).parent / f"{data[1]}.py"
    return [argv[0], f"--config={card}", *argv[1:]] if card.exists() else argv
