// Peaks of a map. A candidate is a peak unless a larger peak's disc covers it; that is known once all larger
// candidates whose discs do are known, so every round decides those that wait for none. The outcome is that
// of taking candidates one by one by decreasing value.
#include "cuda/batch.h"
#include "cuda/block.h"
#include "cuda/kernels.h"
#include "math/moments.h"
#include "math/rescale.h"

namespace boxwood {
namespace cuda {
namespace {

constexpr int peaks_block = 256;
constexpr int pixels_per_sum = 16 * peaks_block;
constexpr int rounds_at_once = 8;  // even, so that the last leaves its state where the first found it

enum State : uint8_t { cleared = 0, undecided = 1, peak = 2 };

// The map, and what may be picked in it.
struct Map {
    int w, y_begin, y_end, x_begin, x_end;
    const float* best;
    const uint8_t *index, *allowed;
    const int64_t* radius2;

    __device__ bool counts(int i) const { return allowed[index[i]] != 0; }
    __device__ float value(int i) const {
        const int y = i / w, x = i % w;
        return y < y_begin || y >= y_end || x < x_begin || x >= x_end ? 0.0f : best[i];
    }
};

struct Sums {
    double sum, sum2, count;
};

__global__ void sum_map(Map map, Sums* sums) {
    __shared__ double room[peaks_block / 32];
    Sums own = {0, 0, 0};
    const int begin = blockIdx.x * pixels_per_sum, rest = map.w * map.w - begin;
    const int end = begin + (rest < pixels_per_sum ? rest : pixels_per_sum);
    for (int i = begin + (int)threadIdx.x; i < end; i += peaks_block) {
        if (!map.counts(i)) continue;
        const double v = map.value(i);
        own.sum += v;
        own.sum2 += v * v;
        own.count += 1;
    }
    own.sum = block_reduce<Sum>(own.sum, room);
    own.sum2 = block_reduce<Sum>(own.sum2, room);
    own.count = block_reduce<Sum>(own.count, room);
    if (threadIdx.x == 0) sums[blockIdx.x] = own;
}

__global__ void find_candidates(Map map, double threshold, uint8_t* state) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= map.w * map.w) return;
    const float v = map.counts(i) ? map.value(i) : 0.0f;
    state[i] = v > 0 && v >= threshold ? undecided : cleared;
}

// Decides what can be decided of the state before. `reach` is the largest distance at which a disc clears.
__global__ void decide(Map map, int reach, const uint8_t* before, uint8_t* after, int* waiting) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, w = map.w;
    if (i >= w * w) return;
    State state = (State)before[i];
    if (state == undecided) {
        const int y = i / w, x = i % w;
        const float v = map.best[i];
        state = peak;
        const int y_end = nearest_pixel(y + reach, w), x_end = nearest_pixel(x + reach, w);
        for (int other_y = nearest_pixel(y - reach, w); other_y <= y_end && state != cleared; ++other_y)
            for (int other_x = nearest_pixel(x - reach, w); other_x <= x_end; ++other_x) {
                const int j = other_y * w + other_x;
                if (before[j] == cleared || j == i) continue;
                if (map.best[j] < v || (map.best[j] == v && j > i)) continue;
                const int64_t dy = other_y - y, dx = other_x - x;
                if (dy * dy + dx * dx >= map.radius2[map.index[j]]) continue;
                state = before[j] == peak ? cleared : undecided;
                if (state == cleared) break;
            }
        if (state == undecided) *waiting = 1;
    }
    after[i] = state;
}

void limits(const LogPeaksArgs& a, const Map& map, const Stream& stream) {
    const unsigned parts = blocks(map.w * map.w, pixels_per_sum);
    const DeviceArray<Sums> sums(parts);
    const PinnedArray<Sums> host(parts);
    const Finish finish(stream);
    launch("log_pick_peaks", sum_map, dim3(parts), dim3(peaks_block), 0, stream, map, sums.data());
    sums.copy_to(host.data(), stream);
    stream.wait("log_pick_peaks");
    Sums all = {0, 0, 0};
    for (unsigned i = 0; i < parts; ++i) {
        all.sum += host[i].sum;
        all.sum2 += host[i].sum2;
        all.count += host[i].count;
    }
    double mean, sigma;
    mean_and_deviation(all.sum, all.sum2, all.count, 0, &mean, &sigma);
    *a.threshold = mean + a.adjust * sigma;
    *a.ceiling = mean + a.upper * sigma;
}

}  // namespace

void log_pick_peaks(const LogPeaksArgs& a, int device) {
    const Turn turn(device);
    const int w = a.work_size, pixels = w * w;
    const Stream stream;
    const DeviceArray<float> best(a.best, pixels, stream);
    const DeviceArray<uint8_t> index(a.index, pixels, stream), allowed(a.allowed, a.filters, stream);
    const DeviceArray<int64_t> radius2(a.radius2, a.filters, stream);
    const DeviceArray<uint8_t> states[2] = {DeviceArray<uint8_t>(pixels), DeviceArray<uint8_t>(pixels)};
    DeviceArray<int> waiting(1);
    const Finish finish(stream);
    const Map map = {w,           a.y_begin,    a.y_end,        a.x_begin,     a.x_end,
                     best.data(), index.data(), allowed.data(), radius2.data()};
    limits(a, map, stream);
    const dim3 grid(blocks(pixels, peaks_block)), block(peaks_block);
    launch("log_pick_peaks", find_candidates, grid, block, 0, stream, map, *a.threshold, states[0].data());
    int64_t largest = 0;
    for (int f = 0; f < a.filters; ++f)
        if (a.allowed[f]) largest = std::max(largest, a.radius2[f]);
    const int reach = (int)std::min<double>(w, ceil(sqrt((double)largest)));
    for (int some = 1; some;) {
        for (int round = 0; round < rounds_at_once; ++round) {
            waiting.clear(stream);
            launch("log_pick_peaks", decide, grid, block, 0, stream, map, reach, states[round % 2].data(),
                   states[1 - round % 2].data(), waiting.data());
        }
        waiting.copy_to(&some, stream);
        stream.wait("log_pick_peaks");
    }
    std::vector<uint8_t> state(pixels);
    states[0].copy_to(state.data(), stream);
    stream.wait("log_pick_peaks");
    *a.count = 0;
    for (int i = 0; i < pixels; ++i)
        if (state[i] == peak && a.best[i] < *a.ceiling) a.peaks[(*a.count)++] = i;
    std::sort(a.peaks, a.peaks + *a.count,
              [&](int i, int j) { return a.best[i] != a.best[j] ? a.best[i] > a.best[j] : i < j; });
}

}  // namespace cuda
}  // namespace boxwood
