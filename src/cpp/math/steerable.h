// Filters of the form h(|k|) exp(i m phi) in the Fourier plane: turning the image turns their response's
// phase and leaves its magnitude.
#pragma once
#include <math.h>

#include "math/hostdevice.h"

namespace boxwood {

// A table of h covers the frequencies 0 ... sqrt(1/2) cycles per pixel, to the corners of the plane.
constexpr double steerable_reach = 0.70710678118654752440;

// Frequency kx, ky (cycles per pixel): where it is in a table of `samples` entries (integer part and
// fraction; the entry after it exists), and the direction of it.
struct SteerablePoint {
    int index;
    float fraction, cosine, sine;
};

BOXWOOD_HD SteerablePoint steerable_point(double kx, double ky, int samples) {
    const double radius = sqrt(kx * kx + ky * ky);
    const double place = radius * ((samples - 1) / steerable_reach);
    const int index = place < samples - 2 ? (int)place : samples - 2;
    const double unit = radius > 0 ? 1.0 / radius : 0.0;
    return {index, (float)(place - index), radius > 0 ? (float)(kx * unit) : 1.0f, (float)(ky * unit)};
}

// cos(m phi) and sin(m phi) from cos(phi) and sin(phi).
template <class V>
BOXWOOD_HD void turn_times(int m, V cosine, V sine, V* c, V* s) {
    *c = cosine * 0.0f + 1.0f;
    *s = cosine * 0.0f;
    for (int i = 0; i < m; ++i) {
        const V next = *c * cosine - *s * sine;
        *s = *c * sine + *s * cosine;
        *c = next;
    }
}

}  // namespace boxwood
