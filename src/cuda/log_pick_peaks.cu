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
constexpr int rounds_at_once = 8;  // even, so that the last leaves its state where the first found it
constexpr size_t bytes_per_pixel = sizeof(float) + 3;

enum State : uint8_t { cleared = 0, undecided = 1, peak = 2 };

// Rows of the map that are on the device, from pixel `first` on, and what may be picked in them.
struct Map {
    int w, y_begin, y_end, x_begin, x_end, first;
    const float* best;
    const uint8_t *index, *allowed;
    const int64_t* radius2;

    __device__ bool counts(int i) const { return allowed[index[i - first]] != 0; }
    __device__ float value(int i) const {
        const int y = i / w, x = i % w;
        return y < y_begin || y >= y_end || x < x_begin || x >= x_end ? 0.0f : best[i - first];
    }
};

struct Sums {
    double sum, sum2, count;
};

// Block per row, so that sums do not depend on how many rows there are.
__global__ void sum_map(Map map, Sums* sums) {
    __shared__ double room[peaks_block / 32];
    Sums own = {0, 0, 0};
    const int begin = map.first + blockIdx.x * map.w;
    for (int i = begin + (int)threadIdx.x; i < begin + map.w; i += peaks_block) {
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

__global__ void find_candidates(Map map, int pixels, double threshold, uint8_t* state) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pixels) return;
    const float v = map.counts(map.first + i) ? map.value(map.first + i) : 0.0f;
    state[i] = v > 0 && v >= threshold ? undecided : cleared;
}

// What is left to do after a round, and whether it did anything.
struct Progress {
    int waiting, changed;
};

// Decides what can be decided of the state before, in rows [from, to); those around them only tell. `reach`
// is the largest distance at which a disc clears.
__global__ void decide(Map map, int pixels, int from, int to, int reach, const uint8_t* before,
                       uint8_t* after, Progress* progress) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x, w = map.w;
    if (place >= pixels) return;
    const int i = map.first + place, y = i / w, x = i % w;
    State state = (State)before[place];
    if (state == undecided && y >= from && y < to) {
        const float v = map.best[place];
        state = peak;
        const int y_end = nearest_pixel(y + reach, w), x_end = nearest_pixel(x + reach, w);
        for (int other_y = nearest_pixel(y - reach, w); other_y <= y_end && state != cleared; ++other_y)
            for (int other_x = nearest_pixel(x - reach, w); other_x <= x_end; ++other_x) {
                const int j = other_y * w + other_x - map.first;
                if (before[j] == cleared || j == place) continue;
                if (map.best[j] < v || (map.best[j] == v && j > place)) continue;
                const int64_t dy = other_y - y, dx = other_x - x;
                if (dy * dy + dx * dx >= map.radius2[map.index[j]]) continue;
                state = before[j] == peak ? cleared : undecided;
                if (state == cleared) break;
            }
        if (state == undecided)
            progress->waiting = 1;
        else
            progress->changed = 1;
    }
    after[place] = state;
}

// The search in strips of so many rows, all of them if there is room: a decision is right once it is made, so
// strips may take turns at deciding, each with the rows around it as they are known.
class Strips {
public:
    Strips(const LogPeaksArgs& args, int rows_at_once, int largest_distance)
        : a(args),
          w_(a.work_size),
          rows_(rows_at_once),
          reach_(largest_distance),
          best_(pixels(held())),
          index_(pixels(held())),
          states_{DeviceArray<uint8_t>(pixels(held())), DeviceArray<uint8_t>(pixels(held()))},
          allowed_(a.filters),
          radius2_(a.filters),
          sums_(rows_),
          progress_(1),
          state_(pixels(w_)) {}

    // 0, 1 or 2 of each pixel, once nothing is undecided; sets threshold and ceiling.
    const std::vector<uint8_t>& run() {
        const Finish finish(stream_);
        allowed_.copy_from(a.allowed, a.filters, stream_);
        radius2_.copy_from(a.radius2, a.filters, stream_);
        find_limits();
        for_strips([&](int from, int to) {
            const Map map = load(from, to);
            launch("find_candidates", find_candidates, grid(to - from), dim3(peaks_block), 0, stream_, map,
                   (int)pixels(to - from), *a.threshold, states_[0].data());
            states_[0].copy_to(&state_[pixels(from)], pixels(to - from), stream_);
            stream_.wait("log_pick_peaks");
        });
        for (bool some = true; some;) {
            some = false;
            for_strips([&](int from, int to) { some |= decide_strip(from, to); });
        }
        return state_;
    }

    static size_t bytes_per_row(const LogPeaksArgs& args) {
        return args.work_size * bytes_per_pixel + sizeof(Sums);
    }

private:
    const LogPeaksArgs& a;
    const int w_, rows_, reach_;
    Stream stream_;
    DeviceArray<float> best_;
    DeviceArray<uint8_t> index_, states_[2];
    DeviceArray<uint8_t> allowed_;
    DeviceArray<int64_t> radius2_;
    DeviceArray<Sums> sums_;
    DeviceArray<Progress> progress_;
    std::vector<uint8_t> state_;
    int loaded_from_ = 0, loaded_to_ = 0;

    int held() const { return std::min(w_, rows_ < w_ ? rows_ + 2 * reach_ : rows_); }
    size_t pixels(int rows) const { return (size_t)rows * w_; }
    dim3 grid(int rows) const { return dim3(blocks(pixels(rows), peaks_block)); }

    template <class Work>
    void for_strips(const Work& work) const {
        for (int from = 0; from < w_; from += rows_) work(from, std::min(w_, from + rows_));
    }

    // Rows of the map, which stay until others come.
    Map load(int from, int to) {
        const int first = (int)pixels(from);
        if (from != loaded_from_ || to != loaded_to_) {
            best_.copy_from(a.best + first, pixels(to - from), stream_);
            index_.copy_from(a.index + first, pixels(to - from), stream_);
            loaded_from_ = from, loaded_to_ = to;
        }
        return {w_,    a.y_begin,    a.y_end,       a.x_begin,       a.x_end,
                first, best_.data(), index_.data(), allowed_.data(), radius2_.data()};
    }

    void find_limits() {
        std::vector<Sums> rows(w_);
        for_strips([&](int from, int to) {
            launch("sum_map", sum_map, dim3(to - from), dim3(peaks_block), 0, stream_, load(from, to),
                   sums_.data());
            sums_.copy_to(&rows[from], to - from, stream_);
            stream_.wait("log_pick_peaks");
        });
        Sums all = {0, 0, 0};
        for (const Sums& row : rows) {
            all.sum += row.sum;
            all.sum2 += row.sum2;
            all.count += row.count;
        }
        double mean, sigma;
        mean_and_deviation(all.sum, all.sum2, all.count, 0, &mean, &sigma);
        *a.threshold = mean + a.adjust * sigma;
        *a.ceiling = mean + a.upper * sigma;
    }

    // Whether something is undecided after all.
    bool decide_strip(int from, int to) {
        const auto begin = state_.begin() + pixels(from), end = state_.begin() + pixels(to);
        if (std::find(begin, end, undecided) == end) return false;
        const int low = std::max(0, from - reach_), high = std::min(w_, to + reach_);
        const Map map = load(low, high);
        states_[0].copy_from(&state_[pixels(low)], pixels(high - low), stream_);
        Progress progress;
        do {
            progress_.clear(stream_);
            for (int round = 0; round < rounds_at_once; ++round) {
                // What waits after the last round counts, and what changed in any.
                if (round + 1 == rounds_at_once)
                    check(cudaMemsetAsync(&progress_.data()->waiting, 0, sizeof(int), stream_), "clearing");
                launch("decide", decide, grid(high - low), dim3(peaks_block), 0, stream_, map,
                       (int)pixels(high - low), from, to, reach_, states_[round % 2].data(),
                       states_[1 - round % 2].data(), progress_.data());
            }
            progress_.copy_to(&progress, stream_);
            stream_.wait("log_pick_peaks");
        } while (progress.waiting && progress.changed);
        check(cudaMemcpyAsync(&state_[pixels(from)], states_[0].data() + pixels(from - low),
                              pixels(to - from), cudaMemcpyDeviceToHost, stream_),
              "copying from the device");
        stream_.wait("log_pick_peaks");
        return progress.waiting;
    }
};

}  // namespace

void log_pick_peaks(const LogPeaksArgs& a, int device) {
    const Turn turn(device);
    int64_t largest = 0;
    for (int f = 0; f < a.filters; ++f)
        if (a.allowed[f]) largest = std::max(largest, a.radius2[f]);
    const int reach = (int)std::min<double>(a.work_size, ceil(sqrt((double)largest)));
    *a.count = 0;
    with_less_on_failure(batch_size(a.work_size, Strips::bytes_per_row(a)), [&](int rows) {
        Strips strips(a, rows, reach);
        const std::vector<uint8_t>& state = strips.run();
        for (int i = 0; i < (int)state.size(); ++i)
            if (state[i] == peak && a.best[i] < *a.ceiling) a.peaks[(*a.count)++] = i;
    });
    std::sort(a.peaks, a.peaks + *a.count,
              [&](int i, int j) { return a.best[i] != a.best[j] ? a.best[i] > a.best[j] : i < j; });
}

}  // namespace cuda
}  // namespace boxwood
