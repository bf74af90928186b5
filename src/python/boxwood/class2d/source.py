"""Where the images of a classification come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from boxwood.typing import AnyArray


class ImageSource(Protocol):
    """An array, or stacks on disc."""

    def __len__(self) -> int: ...

    def read(self, indices: AnyArray) -> AnyArray:
        """(len(indices), box, box) float32, of particles of one box size; unreadable images are NaN."""
        ...


@runtime_checkable
class StoredSource(ImageSource, Protocol):
    """Images that several processes can read from the same files."""

    def reason(self, index: int) -> str:
        """Why an image could not be read when that was tried, or nothing."""
        ...

    def give_up(self, index: int, reason: str) -> None:
        """Note that another process could not read an image."""
        ...

    def to_send(self, indices: AnyArray) -> ImageSource:
        """The source of some of the images; pickled it is small, and says where they are."""
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


@dataclass(frozen=True)
class Selected:
    """Some of the images of a source, which stay where they are until this is sent to another process."""

    source: ImageSource
    indices: AnyArray

    @classmethod
    def of(cls, source: ImageSource, indices: AnyArray) -> "Selected":
        """Images in the order of `indices`; of a selection, it is one of what that selects from."""
        if isinstance(source, Selected):
            return cls(source.source, source.indices[indices])
        return cls(source, indices)

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: AnyArray) -> AnyArray:
        return self.source.read(self.indices[indices])

    def reason(self, index: int) -> str:
        """Why an image could not be read, as far as the source tells."""
        return self.source.reason(int(self.indices[index])) if isinstance(self.source, StoredSource) else ""

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.source, StoredSource):
            sent = self.source.to_send(self.indices)
        else:
            sent = ArraySource([self.source.read(self.indices[i : i + 1])[0] for i in range(len(self))])
        return Selected, (sent, np.arange(len(self)))
