// Laplacian-of-Gaussian filter of a disc, in the Fourier transform of an image.
// A disc of diameter d in an image of n pixels of size a has the variance (n a / 2d)^2; all radii are
// in Fourier pixels. G(r) = r^2 / variance * exp(-r^2 / (2 variance)), with no further normalisation.
#pragma once
#include <math.h>
#include <stddef.h>

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

// The square that is filtered: a micrograph in the middle, and given values around it, which are stored
// row by row.
struct LogSquare {
    int ny, nx, n, y0, x0;

    static BOXWOOD_HD LogSquare around(int ny, int nx) {
        const int n = nx > ny ? nx : ny;
        return {ny, nx, n, n / 2 - ny / 2, n / 2 - nx / 2};
    }
    BOXWOOD_HD bool crosses(int y) const { return y >= y0 && y < y0 + ny; }
    // Where the given values of row y begin.
    BOXWOOD_HD size_t given(int y) const {
        if (y < y0) return (size_t)y * n;
        if (y < y0 + ny) return (size_t)y0 * n + (size_t)(y - y0) * (n - nx);
        return (size_t)(y - ny) * n + (size_t)ny * (n - nx);
    }
};

// A pixel of the micrograph in standard deviations; outliers become the mean.
BOXWOOD_HD float log_pixel(float value, float mean, float factor, float limit) {
    const float z = (value - mean) * factor;
    return fabsf(z) > limit ? 0.0f : z;
}

// Frequencies that a transform of n x n and one of w x w, w even, have both: kx from 0 to before kx_end, ky
// from ky_begin to before ky_end.
struct LogBand {
    int kx_end, ky_begin, ky_end;

    static BOXWOOD_HD LogBand common(int n, int w) {
        const int most = w / 2 < n / 2 ? w / 2 : n / 2;
        const int least = w / 2 - 1 < (n - 1) / 2 ? w / 2 - 1 : (n - 1) / 2;
        return {most + 1, -least, most + 1};
    }
};

}  // namespace boxwood
