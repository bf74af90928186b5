// Contrast transfer function of one image at one spatial frequency.
// Equation: docs/conventions.md, "CTF". All lengths in Angstrom, angles in radian.
#pragma once
#include <math.h>

#include "math/hostdevice.h"

namespace boxwood {

// Per-image constants, prepared once from the microscope's numbers (make_ctf). The phase is counted in
// half turns (gamma / pi), because the sine's argument then reduces exactly in float:
// phase(X, Y) = xx X^2 + xy X Y + yy Y^2 + quartic (X^2 + Y^2)^2 - offset.
struct Ctf {
    float xx, xy, yy;  // defocus and astigmatism, Angstrom^2
    float quartic;     // spherical aberration, Angstrom^4
    float offset;      // phase plate and amplitude contrast
    float b_quarter;   // a quarter of the B-factor, Angstrom^2
    float scale;       // overall factor
};

// The columns of one row of CTF parameters, in this order.
enum CtfColumn {
    ctf_defocus_u,      // Angstrom
    ctf_defocus_v,      // Angstrom
    ctf_defocus_angle,  // degree
    ctf_phase_shift,    // degree
    ctf_voltage,        // kV
    ctf_cs,             // mm
    ctf_amplitude,      // fraction
    ctf_b_factor,       // Angstrom^2
    ctf_scale,          // factor
    ctf_columns
};

enum CtfMode { ctf_signed = 0, ctf_phase_flipped = 1, ctf_intact_first_peak = 2 };

BOXWOOD_HD Ctf make_ctf(const double* row) {
    const double pi = 3.14159265358979323846;
    const double volt = row[ctf_voltage] * 1e3;
    const double lambda = 12.2643247 / sqrt(volt * (1.0 + 0.978466e-6 * volt));
    const double angle = row[ctf_defocus_angle] * pi / 180.0;
    const double c = cos(angle), s = sin(angle);
    const double u = row[ctf_defocus_u], v = row[ctf_defocus_v], q0 = row[ctf_amplitude];
    Ctf ctf;
    ctf.xx = (float)(-lambda * (u * c * c + v * s * s));
    ctf.xy = (float)(-lambda * 2.0 * (u - v) * c * s);
    ctf.yy = (float)(-lambda * (u * s * s + v * c * c));
    ctf.quartic = (float)(0.5 * row[ctf_cs] * 1e7 * lambda * lambda * lambda);
    ctf.offset = (float)(row[ctf_phase_shift] / 180.0 + atan2(q0, sqrt(1.0 - q0 * q0)) / pi);
    ctf.b_quarter = (float)(0.25 * row[ctf_b_factor]);
    ctf.scale = (float)row[ctf_scale];
    return ctf;
}

// x, y: spatial frequency in 1/Angstrom. |CTF| never falls below 1e-8.
// Math supplies Real (one float, or a vector of them), splat, sin_pi, exp and abs of the target.
template <class Math>
BOXWOOD_HD typename Math::Real ctf_value(const Ctf& ctf, typename Math::Real x, typename Math::Real y,
                                         int mode) {
    using Real = typename Math::Real;
    const Real one = Math::splat(1.0f), smallest = Math::splat(1e-8f);
    const Real s2 = x * x + y * y;
    const Real phase = ctf.xx * x * x + ctf.xy * x * y + ctf.yy * y * y + ctf.quartic * s2 * s2 - ctf.offset;
    Real value = -Math::sin_pi(phase);
    if (mode & ctf_phase_flipped) value = Math::abs(value);
    if (mode & ctf_intact_first_peak) value = Math::abs(phase) < 0.5f ? one : value;
    value = value * (ctf.scale * Math::exp(-ctf.b_quarter * s2));
    const Real floor_value = value < 0.0f ? -smallest : smallest;
    return Math::abs(value) < 1e-8f ? floor_value : value;
}

}  // namespace boxwood
