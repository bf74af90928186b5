// Least-squares plane z = a x + b y + c.
#pragma once
#include "math/hostdevice.h"

namespace boxwood {

// Sums over the points: of 1, x, y, xx, xy, yy.
struct PlaneMoments {
    double n, x, y, xx, xy, yy;
};

// inverse[3][3] of the normal equations, so that (a, b, c) = inverse (sum xz, sum yz, sum z);
// false if the points do not determine a plane.
BOXWOOD_HD bool invert_plane(const PlaneMoments& m, double inverse[3][3]) {
    const double a = m.yy * m.n - m.y * m.y, b = m.x * m.y - m.xy * m.n, c = m.xy * m.y - m.yy * m.x;
    const double determinant = m.xx * a + m.xy * b + m.x * c;
    if (!(determinant > 1e-9 * m.xx * m.yy * m.n)) return false;
    inverse[0][0] = a / determinant;
    inverse[0][1] = inverse[1][0] = b / determinant;
    inverse[0][2] = inverse[2][0] = c / determinant;
    inverse[1][1] = (m.xx * m.n - m.x * m.x) / determinant;
    inverse[1][2] = inverse[2][1] = (m.x * m.xy - m.xx * m.y) / determinant;
    inverse[2][2] = (m.xx * m.yy - m.xy * m.xy) / determinant;
    return true;
}

}  // namespace boxwood
