"""What every embedder is: texts in, vectors of length one out, on a scale of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

TEXTS_A_CALL = 10
"""Most texts that go to an embedder together: the specification's figure."""

Vector = NDArray[np.float32]
"""One embedding, of length one: the dot product of two is their cosine."""


class EmbedderError(Exception):
    """The embedder is missing, broken or too slow; the cache goes on with its exact layer."""


class EmbedderRefusedError(EmbedderError):
    """This text or this payer was refused. It says nothing of the embedder's health: others may go on using it."""


@dataclass(frozen=True)
class Scale:
    """Cosines of one embedder that mean something; those of two embedders are not comparable.

    `edge` is the default threshold of an organization, `clear` serves unless a guard objects, below `near` a candidate
    is not worth a look.
    """

    edge: float
    clear: float
    near: float


@dataclass(frozen=True)
class Payer:
    """On whose account texts are embedded, where that costs money."""

    organization_id: int
    api_key_id: int | None = None
    user_ref: str = ""


class Embedder(Protocol):
    """One way to turn texts into vectors. Safe between threads."""

    dimensions: int
    scale: Scale

    @property
    def id(self) -> str:
        """Name and version: a part of each partition, so a changed model finds nothing of before. Raises nothing."""
        ...

    def prepare(self) -> None:
        """Load what it takes, if that has not been done: embedding is quick from then on. Raises EmbedderError."""
        ...

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:
        """The vectors in order. The same text gives the same vector whatever it comes with. Raises EmbedderError.

        Raises its subclass EmbedderRefusedError where only this text or this payer is refused.
        """
        ...
