// A box out of a micrograph, and the change of its sampling by its transform.
#pragma once
#include <math.h>

#include "math/hostdevice.h"

namespace boxwood {

// The pixel of n that is nearest to a place.
BOXWOOD_HD int nearest_pixel(int i, int n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

// The frequency that number i of a transform of length n has.
BOXWOOD_HD int signed_frequency(int i, int n) { return i > n / 2 ? i - n : i; }

// exp(-2 pi i k shift / box)
BOXWOOD_HD void shift_phase(int k, float shift, int box, float* re, float* im) {
    const double angle = -2.0 * 3.14159265358979323846 * k * shift / box;
    *re = (float)cos(angle);
    *im = (float)sin(angle);
}

// Whether a frequency goes from a box into a transform of another side. Padding keeps the circle of
// frequencies that the box resolves in every direction, and not its corners.
BOXWOOD_HD bool rescaling_keeps(int kx, int ky, int box, int scaled) {
    return scaled <= box || kx * kx + ky * ky <= box * box / 4;
}

}  // namespace boxwood
