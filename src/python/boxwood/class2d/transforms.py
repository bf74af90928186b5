"""Transforms of images that a process remembers, as many as may be."""

import numpy as np

from boxwood.backends.image_store import ImageStore
from boxwood.typing import AnyArray


class Transforms:
    """Polar transforms of the particles that came first, each for the centre it was made with.

    Parameters
    ----------
    particles : int
        In the whole set. Memory is taken only by those that are kept.
    samples, rings : int
        Of each transform.
    memory_gib : float
        What is kept fills this and no more.
    """

    def __init__(self, particles: int, samples: int, rings: int, memory_gib: float) -> None:
        room = min(particles, int(memory_gib * 2**30 / (8 * samples + 4 * rings + 4)))
        self._values = (
            np.empty((room, samples), dtype=np.complex64),
            np.empty((room, rings), dtype=np.float32),
            np.empty(room, dtype=np.float32),
        )
        self._centres = np.zeros((particles, 2), dtype=np.int32)
        self._place = np.zeros(particles, dtype=np.int32)  # from 1
        self._used = 0

    def knows(self, index: AnyArray, centres: AnyArray) -> AnyArray:
        """(n,) bool: of which particles there are transforms with these centres (n, 2)."""
        return (self._place[index] > 0) & (self._centres[index] == centres).all(axis=1)

    def __getitem__(self, index: AnyArray) -> tuple[AnyArray, ...]:
        """Transforms (n, samples), ring power (n, rings) and total power (n,) of particles that it knows."""
        place = self._place[index] - 1
        return tuple(values[place] for values in self._values)

    def keep(self, index: AnyArray, centres: AnyArray, made: tuple[AnyArray, ...]) -> None:
        """Remember what was made of particles, where there is room."""
        new = np.flatnonzero(self._place[index] == 0)[: len(self._values[0]) - self._used]
        self._place[index[new]] = np.arange(self._used, self._used + len(new)) + 1
        self._used += len(new)
        kept = np.flatnonzero(self._place[index] > 0)
        place = self._place[index[kept]] - 1
        for values, fresh in zip(self._values, made, strict=True):
            values[place] = fresh[kept]
        self._centres[index[kept]] = centres[kept]


class StoredTransforms:
    """Polar transforms that the store of a backend has, each for the centre it was made with.

    Parameters
    ----------
    store : ImageStore
    particles, rings : int
        The power of each is kept here.
    """

    def __init__(self, store: ImageStore, particles: int, rings: int) -> None:
        self.store = store
        self._powers = np.empty((particles, rings), np.float32), np.empty(particles, np.float32)
        self._centres = np.zeros((particles, 2), dtype=np.int32)

    def knows(self, index: AnyArray, centres: AnyArray) -> AnyArray:
        """(n,) bool: of which particles the store has transforms with these centres (n, 2)."""
        return (self.store.device_of(index) >= 0) & (self._centres[index] == centres).all(axis=1)

    def powers(self, index: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Ring power (n, rings) and total power (n,) of particles that it knows."""
        return self._powers[0][index], self._powers[1][index]

    def keep(self, index: AnyArray, centres: AnyArray, made: tuple[AnyArray, ...], ctf: AnyArray) -> AnyArray:
        """Store what was made of particles, where there is room: (n,) bool."""
        self.store.put(index, made[0], ctf)
        for values, fresh in zip(self._powers, made[1:], strict=True):
            values[index] = fresh
        self._centres[index] = centres
        return self.store.device_of(index) >= 0
