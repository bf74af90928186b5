#include <math.h>

#include <algorithm>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "math/moments.h"

namespace boxwood {

// The map with what cannot be a peak set to 0, and the limits from its statistics.
static std::vector<float> candidates_map(const LogPeaksArgs& a) {
    const int w = a.work_size;
    std::vector<float> map((size_t)w * w, 0.0f);
    double sum = 0, sum2 = 0;
    size_t count = 0;
    for (int y = 0; y < w; ++y)
        for (int x = 0; x < w; ++x) {
            const size_t i = (size_t)y * w + x;
            if (!a.allowed[a.index[i]]) continue;
            ++count;
            if (y < a.y_begin || y >= a.y_end || x < a.x_begin || x >= a.x_end) continue;
            map[i] = a.best[i];
            sum += map[i];
            sum2 += (double)map[i] * map[i];
        }
    double mean, sigma;
    mean_and_deviation(sum, sum2, (double)count, 0, &mean, &sigma);
    *a.threshold = mean + a.adjust * sigma;
    *a.ceiling = mean + a.upper * sigma;
    return map;
}

void log_pick_peaks(const LogPeaksArgs& a) {
    const int w = a.work_size;
    std::vector<float> map = candidates_map(a);
    std::vector<int32_t> order;
    for (int32_t i = 0; i < w * w; ++i)
        if (map[i] > 0 && map[i] >= *a.threshold) order.push_back(i);
    std::sort(order.begin(), order.end(),
              [&](int32_t i, int32_t j) { return map[i] != map[j] ? map[i] > map[j] : i < j; });
    // Clearing a disc never raises a value, so one pass in this order finds what searching the whole
    // map for its maximum again and again would.
    *a.count = 0;
    for (const int32_t peak : order) {
        if (map[peak] == 0) continue;
        if (stop_requested()) throw Stopped();
        if (map[peak] < *a.ceiling) a.peaks[(*a.count)++] = peak;
        const int64_t r2 = a.radius2[a.index[peak]];
        const int cy = peak / w, cx = peak % w, r = (int)ceil(sqrt((double)r2));
        for (int y = std::max(0, cy - r); y < std::min(w, cy + r + 1); ++y)
            for (int x = std::max(0, cx - r); x < std::min(w, cx + r + 1); ++x)
                if ((int64_t)(y - cy) * (y - cy) + (int64_t)(x - cx) * (x - cx) < r2)
                    map[(size_t)y * w + x] = 0;
        map[peak] = 0;
    }
}

}  // namespace boxwood
