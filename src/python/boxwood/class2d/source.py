"""Where the images of a classification come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from boxwood.typing import AnyArray


class ImageSource(Protocol):
    """An array, or stacks on disc."""

    def __len__(self) -> int: ...

    def read(self, indices: AnyArray) -> AnyArray:
        """(len(indices), box, box) float32, of particles of one box size; unreadable images are NaN."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Images that are in memory already: (n, box, box), or a list of arrays (box, box) of several sizes."""

    images: AnyArray | Sequence[AnyArray]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: AnyArray) -> AnyArray:
        if isinstance(self.images, np.ndarray):
            return np.asarray(self.images[indices], dtype=np.float32)
        return np.array([self.images[i] for i in indices], dtype=np.float32)
