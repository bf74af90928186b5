// Kaiser-Bessel gridding kernel of width 4 for twofold padding, and its Fourier transform.
// Shape parameter after Beatty, Nishimura and Pauly, IEEE Trans. Med. Imaging 24:799 (2005), eq. 5.
#pragma once
#include <math.h>

#include "math/hostdevice.h"

namespace boxwood {

constexpr double kaiser_bessel_width = 4.0;
constexpr double kaiser_bessel_beta = 8.99615229;  // pi sqrt((4/2)^2 (2 - 1/2)^2 - 0.8)

// Modified Bessel function of order 0 by its power series; converges fast for the x < 10 met here.
BOXWOOD_HD double bessel_i0(double x) {
    double term = 1.0, sum = 1.0;
    const double q = 0.25 * x * x;
    for (int k = 1; k < 60; ++k) {
        term *= q / ((double)k * k);
        sum += term;
        if (term < 1e-17 * sum) break;
    }
    return sum;
}

// d: distance in grid cells; 0 beyond half the width.
BOXWOOD_HD float kaiser_bessel(float d) {
    const double u = 2.0 * d / kaiser_bessel_width;
    if (u * u >= 1.0) return 0.0f;
    return (float)(bessel_i0(kaiser_bessel_beta * sqrt(1.0 - u * u)) / kaiser_bessel_width);
}

// x: position in units of the padded box.
BOXWOOD_HD float kaiser_bessel_transform(float x) {
    const double pi = 3.14159265358979323846;
    const double a = pi * kaiser_bessel_width * x;
    const double z = kaiser_bessel_beta * kaiser_bessel_beta - a * a;
    if (z > 1e-12) {
        const double s = sqrt(z);
        return (float)(sinh(s) / s);
    }
    if (z < -1e-12) {
        const double s = sqrt(-z);
        return (float)(sin(s) / s);
    }
    return 1.0f;
}

}  // namespace boxwood
