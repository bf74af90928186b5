// Lanes are particles: neighbours in the list are cut out, rescaled and normalised side by side.
// Grey values are counted from the mean of each box's diagonal, so that float32 rounds the contrast and
// not the grey level, which may be thousands of standard deviations.
#include <math.h>

#include "cpu/image_fft.h"
#include "cpu/kernels.h"
#include "math/background.h"
#include "math/noise.h"
#include "math/rescale.h"

namespace boxwood {
namespace BOXWOOD_SIMD {
namespace {

// The pixels farther than a radius from the origin, and what a plane fit needs to know of them.
struct Background {
    int n;
    double count;
    Buffer<int> first, last;  // in row y, the disc is [first, last)
    float inverse[3][3];

    Background(int size, float radius) : n(size), count(0), first(size), last(size) {
        const BackgroundRegion region = BackgroundRegion::beyond(n, radius);
        for (int y = 0; y < n; ++y) {
            first[y] = last[y] = 0;
            for (int x = 0; x < n; ++x) {
                if (region.has(x, y)) continue;
                if (!last[y]) first[y] = x;
                last[y] = x + 1;
            }
        }
        const PlaneMoments m = region.moments();
        count = m.n;
        double exact[3][3] = {};
        invert_plane(m, exact);
        for (int i = 0; i < 9; ++i) inverse[i / 3][i % 3] = (float)exact[i / 3][i % 3];
    }

    // Sum of value(x, y, pixel index) over the background; rows apart, which halves the digits lost.
    template <class Value>
    BOXWOOD_INLINE vfloat sum(const Value& value) const {
        vfloat total = {};
        for (int y = 0; y < n; ++y) {
            vfloat row = {};
            for (int x = 0; x < first[y]; ++x) row += value(x, y, y * n + x);
            for (int x = last[y]; x < n; ++x) row += value(x, y, y * n + x);
            total += row;
        }
        return total;
    }
};

vfloat vsqrt(vfloat v) {
    for (int i = 0; i < lanes; ++i) v[i] = sqrtf(v[i]);
    return v;
}

// The particles of one vector, on their way from the micrograph to the stack; one worker's memory.
class Group {
public:
    Group(const ExtractArgs& args, const Background& ground)
        : a(args),
          background(ground),
          rescaled(a.shifts || a.scaled != a.box),
          source(a.box),
          target(a.scaled),
          filtered(a.filters ? a.filter_box : 2),
          wide((size_t)(a.filters ? a.filter_box * a.filter_box : 0)),
          image((size_t)side() * side()),
          pixels((size_t)a.window * a.window),
          spectrum(spectrum_size()),
          cropped(rescaled ? target.spectrum_size() : 0) {}

    void run(int first_particle) {
        first = first_particle;
        used = a.n - first < lanes ? a.n - first : lanes;
        set_levels();
        if (a.filters)
            filter();
        else
            gather(a.box, image, false);
        const vfloat finite = check_finite();
        if (rescaled) rescale();
        crop();
        vfloat fault = finite == finite ? vfloat{} : splat(extract_not_finite);
        if (a.background_radius >= 0)
            fault = normalise(fault);
        else
            restore_levels(fault);
        write(fault);
    }

private:
    const ExtractArgs& a;
    const Background& background;
    const bool rescaled;
    ImageFft source, target, filtered;
    Buffer<vfloat> wide, image, pixels, spectrum, cropped;
    int first, used;
    vfloat level;

    int side() const { return a.box > a.scaled ? a.box : a.scaled; }
    size_t spectrum_size() const {
        const size_t plain = rescaled ? source.spectrum_size() : 0;
        const size_t wide_size = a.filters ? filtered.spectrum_size() : 0;
        return plain > wide_size ? plain : wide_size;
    }
    int particle(int lane) const { return first + (lane < used ? lane : used - 1); }
    const int* centre(int lane) const { return a.centres + 2 * (size_t)particle(lane); }

    void set_levels() {
        for (int lane = 0; lane < lanes; ++lane) {
            double sum = 0;
            for (int i = -(a.box / 2); i < a.box / 2; ++i)
                sum += a.micrograph[(size_t)nearest_pixel(centre(lane)[1] + i, a.ny) * a.nx +
                                    nearest_pixel(centre(lane)[0] + i, a.nx)];
            level[lane] = (float)(sum / a.box);
        }
    }

    // Boxes of n x n pixels; outside the micrograph is its nearest pixel, or its mean.
    void gather(int n, vfloat* out, bool outside_is_mean) {
        Buffer<float> made((size_t)lanes * n);
        for (int y = 0; y < n; ++y) {
            const float* rows[lanes];
            for (int lane = 0; lane < lanes; ++lane)
                rows[lane] = box_row(centre(lane)[0] - n / 2, centre(lane)[1] - n / 2 + y, n, outside_is_mean,
                                     made + (size_t)lane * n);
            vfloat* line = out + (size_t)y * n;
            int x = 0;
            for (; x + lanes <= n; x += lanes) {
                vfloat square[lanes];
                for (int lane = 0; lane < lanes; ++lane) square[lane] = load(rows[lane] + x);
                transpose(square);
                for (int i = 0; i < lanes; ++i) line[x + i] = square[i] - level;
            }
            for (; x < n; ++x)
                for (int lane = 0; lane < lanes; ++lane) line[x][lane] = rows[lane][x] - level[lane];
        }
    }

    // n pixels of row y from x0 on: in the micrograph where that has them all, else made.
    const float* box_row(int x0, int y, int n, bool outside_is_mean, float* made) const {
        const float* row = a.micrograph + (size_t)nearest_pixel(y, a.ny) * a.nx;
        const bool row_is_mean = outside_is_mean && (y < 0 || y >= a.ny);
        if (x0 >= 0 && x0 + n <= a.nx && !row_is_mean) return row + x0;
        for (int x = 0; x < n; ++x) {
            const bool outside = x0 + x < 0 || x0 + x >= a.nx;
            made[x] = row_is_mean || (outside_is_mean && outside) ? a.fill : row[nearest_pixel(x0 + x, a.nx)];
        }
        return made;
    }

    // Multiply the transform of a wider box, cut the box out of it, and replicate the micrograph's edge.
    void filter() {
        const int n = a.filter_box, columns = n / 2 + 1, edge = n / 2 - a.box / 2;
        gather(n, wide, true);
        filtered.forward(wide, columns, spectrum);
        const float scale = 1.0f / ((float)n * n);
        const float* factors[lanes];
        for (int lane = 0; lane < lanes; ++lane)
            factors[lane] = a.filters + (a.filter_count == 1 ? 0 : (size_t)particle(lane) * n * columns);
        for (int k = 0; k < columns; ++k)
            for (int y = 0; y < n; ++y) {
                const size_t i = (size_t)y * columns + k;
                vfloat factor = {};
                for (int lane = 0; lane < lanes; ++lane) factor[lane] = factors[lane][i];
                vfloat* coefficient = spectrum + 2 * ((size_t)k * filtered.stride + y);
                coefficient[0] *= factor * scale;
                coefficient[1] *= factor * scale;
            }
        filtered.inverse(spectrum, wide);
        for (int lane = 0; lane < lanes; ++lane) {
            const int x0 = centre(lane)[0] - a.box / 2, y0 = centre(lane)[1] - a.box / 2;
            for (int y = 0; y < a.box; ++y)
                for (int x = 0; x < a.box; ++x) {
                    const int inside_y = nearest_pixel(y0 + y, a.ny) - y0, inside_x = nearest_pixel(x0 + x, a.nx) - x0;
                    const size_t from = (size_t)(edge + inside_y) * n + edge + inside_x;
                    image[(size_t)y * a.box + x][lane] = wide[from][lane];
                }
            level[lane] *= factors[lane][0];
        }
    }

    // Not a number in lanes where a pixel is not finite, else zero.
    vfloat check_finite() const {
        vfloat sum = level - level;
        for (size_t i = 0; i < (size_t)a.box * a.box; ++i) sum += image[i] - image[i];
        return sum;
    }

    // Crop or pad the transform, and shift by its phase.
    void rescale() {
        const int less = a.box < a.scaled ? a.box : a.scaled, columns = less / 2 + 1;
        source.forward(image, columns, spectrum);
        Buffer<vfloat> along_x(2 * (size_t)less), along_y(2 * (size_t)less);
        phases(along_x, less, 0);
        phases(along_y, less, 1);
        if (a.scaled > a.box) memset(cropped, 0, sizeof(vfloat) * target.spectrum_size());
        const float scale = 1.0f / ((float)a.box * a.box);
        for (int k = 0; k < columns; ++k) {
            const vfloat xr = along_x[2 * k] * scale, xi = along_x[2 * k + 1] * scale;
            for (int i = 0; i < less; ++i) {
                const int ky = signed_frequency(i, less);
                if (!rescaling_keeps(k, ky, a.box, a.scaled)) continue;
                const int from = ky < 0 ? ky + a.box : ky, to = ky < 0 ? ky + a.scaled : ky;
                const vfloat* in = spectrum + 2 * ((size_t)k * source.stride + from);
                vfloat* out = cropped + 2 * ((size_t)k * target.stride + to);
                const vfloat yr = along_y[2 * i], yi = along_y[2 * i + 1];
                const vfloat cr = xr * yr - xi * yi, ci = xr * yi + xi * yr;
                out[0] = in[0] * cr - in[1] * ci;
                out[1] = in[0] * ci + in[1] * cr;
            }
        }
        target.inverse(cropped, image);
    }

    // exp(-2 pi i k shift / box) for the frequencies k of a transform of length n, in its order.
    void phases(vfloat* out, int n, int axis) const {
        for (int i = 0; i < n; ++i) {
            out[2 * i] = splat(1.0f);
            out[2 * i + 1] = vfloat{};
            for (int lane = 0; a.shifts && lane < lanes; ++lane) {
                float re, im;
                shift_phase(signed_frequency(i, n), a.shifts[2 * (size_t)particle(lane) + axis], a.box, &re, &im);
                out[2 * i][lane] = re;
                out[2 * i + 1][lane] = im;
            }
        }
    }

    void crop() {
        const int edge = a.scaled / 2 - a.window / 2;
        for (int y = 0; y < a.window; ++y)
            memcpy(pixels + (size_t)y * a.window, image + (size_t)(y + edge) * a.scaled + edge,
                   sizeof(vfloat) * a.window);
    }

    void restore_levels(vfloat fault) {
        for (int i = 0; i < a.window * a.window; ++i)
            pixels[i] = fault == 0.0f ? (a.invert ? -(pixels[i] + level) : pixels[i] + level) : vfloat{};
    }

    void measure(vfloat& mean, vfloat& deviation) const {
        const float each = (float)(1.0 / background.count);
        mean = background.sum([&](int, int, int i) { return pixels[i]; }) * each;
        const vfloat centre = mean;
        deviation = vsqrt(background.sum([&](int, int, int i) {
            const vfloat d = pixels[i] - centre;
            return d * d;
        }) * each);
    }

    // Background to mean 0 and standard deviation 1; a box without contrast becomes zero. Returns faults.
    vfloat normalise(vfloat fault) {
        vfloat mean, deviation;
        measure(mean, deviation);
        const vfloat contrast = deviation + vabs(mean);
        if (a.white_dust > 0 || a.black_dust > 0) remove_dust(mean, deviation);
        if (a.ramp) subtract_ramp();
        measure(mean, deviation);
        const vfloat smallest = vmax(splat(least_deviation), contrast * least_contrast);
        const vfloat constant = deviation > smallest ? vfloat{} : splat(extract_constant);
        fault = fault == 0.0f ? constant : fault;
        const vfloat factor = fault == 0.0f ? (a.invert ? -1.0f : 1.0f) / deviation : vfloat{};
        for (int i = 0; i < a.window * a.window; ++i)
            pixels[i] = fault == 0.0f ? (pixels[i] - mean) * factor : vfloat{};
        return fault;
    }

    void remove_dust(vfloat mean, vfloat deviation) {
        for (int lane = 0; lane < used; ++lane) {
            const uint64_t key = noise_key(a.seed, centre(lane)[0], centre(lane)[1]);
            const float high = a.white_dust > 0 ? mean[lane] + a.white_dust * deviation[lane] : INFINITY;
            const float low = a.black_dust > 0 ? mean[lane] - a.black_dust * deviation[lane] : -INFINITY;
            for (int i = 0; i < a.window * a.window; ++i)
                if (pixels[i][lane] > high || pixels[i][lane] < low)
                    pixels[i][lane] = (float)(mean[lane] + deviation[lane] * normal_noise(key, i));
        }
    }

    void subtract_ramp() {
        const int n = a.window, origin = n / 2;
        const vfloat xz = background.sum([&](int x, int, int i) { return (float)(x - origin) * pixels[i]; });
        const vfloat yz = background.sum([&](int, int y, int i) { return (float)(y - origin) * pixels[i]; });
        const vfloat z = background.sum([&](int, int, int i) { return pixels[i]; });
        vfloat plane[3];
        for (int i = 0; i < 3; ++i) {
            const float* row = background.inverse[i];
            plane[i] = row[0] * xz + row[1] * yz + row[2] * z;
        }
        for (int y = 0; y < n; ++y) {
            const vfloat middle = plane[1] * (float)(y - origin) + plane[2];
            for (int x = 0; x < n; ++x) pixels[y * n + x] -= plane[0] * (float)(x - origin) + middle;
        }
    }

    void write(vfloat fault) const {
        const size_t size = (size_t)a.window * a.window;
        float* out = a.out + first * size;
        size_t i = 0;
        for (; i + lanes <= size; i += lanes) {
            vfloat square[lanes];
            memcpy(square, pixels + i, sizeof(square));
            transpose(square);
            for (int lane = 0; lane < used; ++lane) store(out + lane * size + i, square[lane]);
        }
        for (; i < size; ++i)
            for (int lane = 0; lane < used; ++lane) out[lane * size + i] = pixels[i][lane];
        for (int lane = 0; lane < used; ++lane) a.faults[first + lane] = (int)fault[lane];
    }
};

// Every worker's memory, which is megabytes: the system takes longer to give it than the work takes.
struct WorkerGroups {
    const int count;
    Buffer<Group*> of;
    explicit WorkerGroups(int workers) : count(workers), of(workers) {
        memset(of, 0, sizeof(Group*) * workers);
    }
    ~WorkerGroups() {
        for (int i = 0; i < count; ++i) delete of[i];
    }
};

}  // namespace

void extract(const ExtractArgs& a) {
    if (a.n == 0) return;
    const Background background(a.window, a.background_radius);
    const int groups = (a.n + lanes - 1) / lanes, workers = a.threads < groups ? a.threads : groups;
    WorkerGroups memory(workers > 0 ? workers : 1);
    parallel_for(groups, workers, [&](int group, int worker) {
        Group*& mine = memory.of[worker];
        if (!mine) mine = new Group(a, background);
        mine->run(group * lanes);
    });
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
