// Laplacian-of-Gaussian filter of a disc, in the Fourier transform of an image.
// A disc of diameter d in an image of n pixels of size a has the variance (n a / 2d)^2; all radii are
// in Fourier pixels. G(r) = r^2 / variance * exp(-r^2 / (2 variance)), with no further normalisation.
#pragma once
#include <math.h>

#include "math/hostdevice.h"

namespace boxwood {

// Beyond this radius G is less than 1e-8 of its maximum, which is lost in float's rounding.
BOXWOOD_HD int log_filter_reach(double variance) { return (int)sqrt(46.0 * variance) + 1; }

// The Gaussian separates: G(x, y) = log_filter(x^2 + y^2, variance, gauss(x), gauss(y)).
BOXWOOD_HD float log_filter_gauss(int k, double variance) {
    return (float)exp(-0.5 * (double)k * k / variance);
}

template <class V>
BOXWOOD_HD V log_filter(V r2, float inverse_variance, V gauss_x, float gauss_y) {
    return r2 * gauss_x * (inverse_variance * gauss_y);
}

}  // namespace boxwood
