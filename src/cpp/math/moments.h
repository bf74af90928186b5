// Mean and standard deviation from sums about a pivot.
#pragma once
#include <math.h>

#include "math/hostdevice.h"

namespace boxwood {

// Sums of d and of d^2 over `count` values of pivot + d. NaN stays NaN, and is the answer without any value.
BOXWOOD_HD void mean_and_deviation(double sum, double sum2, double count, double pivot, double* mean,
                                   double* deviation) {
    const double shift = sum / count, variance = sum2 / count - shift * shift;
    *mean = pivot + shift;
    *deviation = variance > 0 ? sqrt(variance) : variance * 0;
}

}  // namespace boxwood
