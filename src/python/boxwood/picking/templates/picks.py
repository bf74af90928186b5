"""What picking with templates finds."""

from dataclasses import dataclass

from boxwood.typing import DoubleArray, IntArray


@dataclass(frozen=True, kw_only=True)
class TemplatePicks:
    """Particles found with templates on one micrograph, best first.

    Attributes
    ----------
    x, y : (n,) float64
        Micrograph pixels; 0 is the centre of the first pixel.
    fom : (n,) float64
        RELION's score, or that of the matched filter in standard deviations of the noise.
    template : (n,) int64
        From 0.
    psi_deg : (n,) float64
    reason : str
        Why there are no picks; empty if there are.
    """

    x: DoubleArray
    y: DoubleArray
    fom: DoubleArray
    template: IntArray
    psi_deg: DoubleArray
    reason: str = ""

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True)
class MatchedPicks(TemplatePicks):
    """Those of the matched filter.

    Attributes
    ----------
    local_fdr : (n,) float64
        The share of background among peaks of that score.
    """

    local_fdr: DoubleArray
