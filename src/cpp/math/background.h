// Which pixels of a particle's image are background, and what counts as its contrast.
#pragma once
#include "math/hostdevice.h"
#include "math/plane.h"

namespace boxwood {

// The pixels of an n x n image that are farther than a radius from its origin.
struct BackgroundRegion {
    int n, limit;

    static BOXWOOD_HD BackgroundRegion beyond(int n, float radius) {
        const double limit = (double)radius * radius;
        return {n, limit < 2e9 ? (int)limit : 2000000000};
    }
    BOXWOOD_HD bool has(int x, int y) const {
        const int dx = x - n / 2, dy = y - n / 2;
        return dx * dx + dy * dy > limit;
    }
    BOXWOOD_HD PlaneMoments moments() const {
        PlaneMoments m{};
        for (int y = 0; y < n; ++y)
            for (int x = 0; x < n; ++x) {
                if (!has(x, y)) continue;
                const double dx = x - n / 2, dy = y - n / 2;
                m.n += 1, m.x += dx, m.y += dy, m.xx += dx * dx, m.xy += dx * dy, m.yy += dy * dy;
            }
        return m;
    }
};

// What remains of a plane or a constant after its subtraction is rounding of its last places, this much of
// the deviation and the distance of the mean from the level that grey values are counted from.
constexpr float least_contrast = 5e-7f, least_deviation = 1e-10f;

}  // namespace boxwood
