// Kaiser-Bessel gridding kernel of width 4 for twofold padding, and its Fourier transform.
// Shape parameter after Beatty, Nishimura and Pauly, IEEE Trans. Med. Imaging 24:799 (2005), eq. 5.
#pragma once
#include <math.h>

#include "math/hostdevice.h"

namespace boxwood {

constexpr double kaiser_bessel_width = 4.0;
constexpr double kaiser_bessel_beta = 8.99615229;  // pi sqrt((4/2)^2 (2 - 1/2)^2 - 0.8)

// d: distance in grid cells; 0 beyond half the width. Real: float, or a vector of them.
//
// I0(2 sqrt q) = sum q^k / k!^2, nested from the 20th term on: what is left out is below 1e-9 of the sum for
// the q < 20.3 met here, and all terms are positive.
template <class Real>
BOXWOOD_HD Real kaiser_bessel(Real d) {
    const float quarter = (float)(kaiser_bessel_beta * kaiser_bessel_beta / 4);
    const Real u = d * (float)(2.0 / kaiser_bessel_width);
    const Real q = quarter - quarter * u * u;
    Real sum = q * (1.0f / 400) + 1.0f;
    for (int k = 19; k > 0; --k) sum = sum * q * (1.0f / (float)(k * k)) + 1.0f;
    return q > 0.0f ? sum * (float)(1.0 / kaiser_bessel_width) : Real{};
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
