"""What changed from one iteration to the next, and when nothing does any more: docs/class2d.md."""

from dataclasses import dataclass

import numpy as np

from boxwood.class2d.assignments import Assignments
from boxwood.typing import AnyArray

# A change counts as smaller than all before it if it is so by this part: random ones are smaller by chance.
_CLEARLY = 0.03
# Iterations in a row that must bring nothing.
PATIENCE = 3


def changes(before: Assignments, after: Assignments, indices: AnyArray) -> tuple[float, float, float]:
    """Changes of the particles `indices` between two iterations.

    Returns
    -------
    classes : float
        Share of them whose most probable class is another one.
    psi_deg, offset_px : float
        Root mean square change of angle and offset, of those that kept their class.
    """
    same = indices[before.class_index[indices] == after.class_index[indices]]
    changed = 1.0 - len(same) / len(indices)
    if len(same) == 0:
        return changed, 0.0, 0.0
    psi = (after.psi_deg[same] - before.psi_deg[same] + 180.0) % 360.0 - 180.0
    offset = ((after.offset_px[same] - before.offset_px[same]) ** 2).sum(axis=1)
    return changed, float(np.sqrt(np.mean(psi**2))), float(np.sqrt(np.mean(offset)))


@dataclass(frozen=True)
class Convergence:
    """How long a classification has brought nothing, in RELION's terms.

    Attributes
    ----------
    best_ring : int
        The last ring with signal, of the best class so far.
    without_change : int
        Iterations since any of the changes was clearly smaller than all before it.
    without_gain : int
        Iterations since the best class gained resolution.
    smallest : tuple of 3 float
        The smallest `changes` so far.
    """

    best_ring: int = 0
    without_change: int = 0
    without_gain: int = 0
    smallest: tuple[float, ...] = (np.inf, np.inf, np.inf)

    @property
    def reached(self) -> bool:
        """Nothing has become better for PATIENCE iterations."""
        return min(self.without_change, self.without_gain) >= PATIENCE

    def after(self, changed: tuple[float, ...], ring: int, settled: bool) -> "Convergence":
        """With one more iteration, in which particles `changed` and the best class had signal up to `ring`.

        One that is not `settled`, because the schedule still changes what is done, begins all anew.
        """
        if not settled:
            return Convergence()
        pairs = list(zip(changed, self.smallest, strict=True))
        calmer = any(now < (1 - _CLEARLY) * least for now, least in pairs)
        return Convergence(
            best_ring=max(ring, self.best_ring),
            without_change=0 if calmer else self.without_change + 1,
            without_gain=0 if ring > self.best_ring else self.without_gain + 1,
            smallest=tuple(min(pair) for pair in pairs),
        )
