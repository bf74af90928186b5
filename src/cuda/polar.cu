// Images to polar Fourier coordinates and back, by Kaiser-Bessel gridding on a twofold padded grid, as in
// cpu/polar.cpp. Half planes are ky = 0 .. box, with kx outside: [pad][box + 1].
#include <string.h>

#include <algorithm>
#include <memory>

#include "cuda/batch.h"
#include "cuda/block.h"
#include "cuda/kernels.h"
#include "cuda/libraries.h"
#include "math/kaiser_bessel.h"

namespace boxwood {
namespace cuda {
namespace {

constexpr int polar_block = 256;
constexpr int most_images = 512;       // of a batch
constexpr double usable_memory = 0.8;  // of what is free

// Pixel of the image that a padded coordinate is; outside [0, box) there is none. The origin is pixel box
// / 2.
__device__ inline int pixel_of(int padded, int box) {
    return (padded < box ? padded : padded - 2 * box) + box / 2;
}

// Block per image: shift, mask and deapodise into the padded square [x][y], and the sum of squares.
__global__ void pad_kernel(int box, const float* images, const int* shifts, const float* mask,
                           const float* deapodisation, float* padded, float* power) {
    __shared__ double room[polar_block / 32];
    const int dx = shifts ? shifts[2 * blockIdx.x] : 0, dy = shifts ? shifts[2 * blockIdx.x + 1] : 0;
    const float* image = images + (size_t)blockIdx.x * box * box;
    const auto shifted = [&](int x, int y) {
        const int sx = x - dx, sy = y - dy;
        return sx >= 0 && sx < box && sy >= 0 && sy < box ? image[(size_t)sy * box + sx] : 0.0f;
    };
    double sum = 0, weight = 0, squares = 0;
    for (int i = threadIdx.x; i < box * box; i += blockDim.x) {
        const float gone = 1.0f - mask[i];
        sum += gone * shifted(i % box, i / box);
        weight += gone;
    }
    sum = block_reduce<Sum>(sum, room);
    weight = block_reduce<Sum>(weight, room);
    const float background = weight > 0 ? (float)(sum / weight) : 0.0f;
    const int pad = 2 * box;
    float* out = padded + (size_t)blockIdx.x * pad * pad;
    for (int i = threadIdx.x; i < pad * pad; i += blockDim.x) {
        const int x = pixel_of(i / pad, box), y = pixel_of(i % pad, box);
        float value = 0;
        if (x >= 0 && x < box && y >= 0 && y < box) {
            value = (shifted(x, y) - background) * mask[(size_t)y * box + x];
            squares += (double)value * value;
            value *= deapodisation[x] * deapodisation[y];
        }
        out[i] = value;
    }
    squares = block_reduce<Sum>(squares, room);
    if (threadIdx.x == 0) power[blockIdx.x] = (float)squares;
}

// Thread per sample; its taps serve all images in turn.
__global__ void interpolate_kernel(int n, int box, int samples, const float2* positions, const float2* planes,
                                   float2* out) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= samples) return;
    const int pad = 2 * box;
    const float px = 2 * positions[j].x, py = 2 * positions[j].y;
    const int x0 = (int)floorf(px) - 1, y0 = (int)floorf(py) - 1;
    float wx[4], wy[4];
    for (int i = 0; i < 4; ++i) {
        wx[i] = kaiser_bessel(px - (x0 + i));
        wy[i] = kaiser_bessel(py - (y0 + i));
    }
    for (int image = blockIdx.y; image < n; image += gridDim.y) {
        const float2* plane = planes + (size_t)image * pad * (box + 1);
        float2 sum = make_float2(0, 0);
        for (int iy = 0; iy < 4; ++iy) {
            // Beyond the half plane is the conjugate of its inside.
            const int ky = y0 + iy, inside = ky < 0 ? -ky : ky > box ? pad - ky : ky;
            const bool mirrored = inside != ky;
            float2 row = make_float2(0, 0);
            for (int ix = 0; ix < 4; ++ix) {
                const int kx = mirrored ? -(x0 + ix) : x0 + ix;
                const float2 v = plane[(size_t)((kx + pad) % pad) * (box + 1) + inside];
                row = row + make_float2(wx[ix] * v.x, wx[ix] * (mirrored ? -v.y : v.y));
            }
            sum = sum + make_float2(wy[iy] * row.x, wy[iy] * row.y);
        }
        out[(size_t)image * samples + j] = sum;
    }
}

// One sample's share of a cell of the half plane.
struct Share {
    int sample;
    float weight, sign;  // of the imaginary part
};

// Thread per cell: gathers the samples that spread to it, in a fixed order.
__global__ void spread_kernel(int cells, int samples, const int* begin, const Share* shares, const float2* in,
                              float2* planes) {
    const int cell = blockIdx.x * blockDim.x + threadIdx.x;
    if (cell >= cells) return;
    const float2* x = in + (size_t)blockIdx.y * samples;
    float2 sum = make_float2(0, 0);
    for (int i = begin[cell]; i < begin[cell + 1]; ++i) {
        const Share s = shares[i];
        sum = sum + make_float2(s.weight * x[s.sample].x, s.weight * s.sign * x[s.sample].y);
    }
    planes[(size_t)blockIdx.y * cells + cell] = sum;
}

// Thread per pixel.
__global__ void crop_kernel(int box, const float* padded, const float* deapodisation, float* images) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, pad = 2 * box;
    if (i >= box * box) return;
    const int x = i % box, y = i / box, centre = box / 2;
    const int px = (x - centre + pad) % pad, py = (y - centre + pad) % pad;
    images[(size_t)blockIdx.y * box * box + i] =
        padded[((size_t)blockIdx.y * pad + px) * pad + py] * deapodisation[x] * deapodisation[y];
}

std::vector<float> deapodisation_of(int box) {
    std::vector<float> factor(box);
    for (int x = 0; x < box; ++x)
        factor[x] = 1.0f / kaiser_bessel_transform((float)(x - box / 2) / (2 * box));
    return factor;
}

// What is the same for all images.
struct Grid {
    Stream stream;
    const int box, pad, samples;
    const std::vector<float> factors;  // on the host, as long as they may be copied
    DeviceArray<float2> positions;
    DeviceArray<float> deapodisation;
    const Finish finish{stream};  // last
    Grid(int box_px, int sample_count, const float* where)
        : box(box_px),
          pad(2 * box_px),
          samples(sample_count),
          factors(deapodisation_of(box)),
          positions(samples),
          deapodisation(box) {
        positions.copy_from((const float2*)where, samples, stream);
        deapodisation.copy_from(factors.data(), box, stream);
    }
    size_t pixels() const { return (size_t)box * box; }
    size_t padded_pixels() const { return (size_t)pad * pad; }
    size_t cells() const { return (size_t)pad * (box + 1); }
};

// One of two batches under way: all that is done to it is in one stream, so that one is copied while the
// other is computed.
struct Batch {
    Stream stream;
    PinnedArray<float> host_images;
    PinnedArray<float2> host_samples;
    DeviceArray<float> images, padded;
    DeviceArray<float2> planes, samples;
    FftPlan plan;
    const Finish finish{stream};  // last of what takes memory
    int first = 0, count = 0;
    Batch(const Grid& g, int n, cufftType type)
        : host_images(n * g.pixels()),
          host_samples((size_t)n * g.samples),
          images(n * g.pixels()),
          padded(n * g.padded_pixels()),
          planes(n * g.cells()),
          samples((size_t)n * g.samples),
          plan({g.pad, g.pad}, type, n, stream) {}
    // What the plan transforms besides the images there are has to be numbers, too.
    void clear() {
        padded.clear(stream);
        planes.clear(stream);
    }
};

// Batches of `size` images of n, of which begin(batch) sets off the work and take(batch) gets the results;
// two are under way at a time.
template <class Begin, class Take>
void in_batches_of(int size, int n, const Grid& g, cufftType type, const Begin& begin, const Take& take) {
    std::unique_ptr<Batch> batches[2];
    for (int i = 0; i < 2 && i * size < n; ++i) batches[i].reset(new Batch(g, size, type));
    const auto end = [&](Batch& batch) {
        if (batch.count == 0) return;
        batch.stream.wait("polar coordinates");
        take(batch);
        batch.count = 0;
    };
    for (int first = 0, i = 0; first < n; first += size, i ^= 1) {
        Batch& batch = *batches[i];
        end(batch);
        batch.first = first;
        batch.count = std::min(size, n - first);
        batch.clear();
        begin(batch);
    }
    for (auto& batch : batches)
        if (batch) end(*batch);
}

// The same, in batches that fit the memory.
template <class Begin, class Take>
void in_batches(int n, const Grid& g, cufftType type, const Begin& begin, const Take& take) {
    // Images, padded images, half planes, and as much again for the work of the transform.
    const size_t bytes = g.pixels() * 4 + g.padded_pixels() * 4 + 2 * g.cells() * 8 + (size_t)g.samples * 8;
    const double room = usable_memory / 2 * free_memory() / bytes;
    g.stream.wait("preparing the grid");
    with_less_on_failure(std::max(1, (int)std::min<double>(std::min(most_images, n), room)),
                         [&](int size) { in_batches_of(size, n, g, type, begin, take); });
}

// For every cell of the half plane, the samples that spread to it or, as their conjugates, to its mirror
// image; each counts half, since the real part of the image is wanted: begin of each cell, and shares.
void spreading_of(const PolarAdjointArgs& a, std::vector<int>& begin, std::vector<Share>& shares) {
    const int pad = 2 * a.box, row = a.box + 1;
    const auto for_shares = [&](const auto& take) {
        for (int j = 0; j < a.samples; ++j) {
            const float px = 2 * a.positions[2 * j], py = 2 * a.positions[2 * j + 1];
            const int x0 = (int)floorf(px) - 1, y0 = (int)floorf(py) - 1;
            for (int i = 0; i < 16; ++i) {
                const int kx = x0 + i % 4, ky = y0 + i / 4;
                const float weight = 0.5f * kaiser_bessel(px - kx) * kaiser_bessel(py - ky);
                for (int side = 0; side < 2; ++side) {
                    const int x = ((side ? -kx : kx) + 2 * pad) % pad,
                              y = ((side ? -ky : ky) + 2 * pad) % pad;
                    if (y <= a.box) take(x * row + y, Share{j, weight, side ? -1.0f : 1.0f});
                }
            }
        }
    };
    begin.assign((size_t)pad * row + 1, 0);
    for_shares([&](int cell, const Share&) { ++begin[cell + 1]; });
    for (size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    shares.resize(begin.back());
    std::vector<int> next(begin.begin(), begin.end() - 1);
    for_shares([&](int cell, const Share& share) { shares[next[cell]++] = share; });
}

}  // namespace

void polar_transform(const PolarArgs& a, int device) {
    if (a.n == 0) return;
    use_device(device);
    const Grid g(a.box, a.samples, a.positions);
    DeviceArray<float> mask(g.pixels()), power(a.n);
    DeviceArray<int> shifts(a.shifts ? (size_t)2 * a.n : 0);
    const Finish finish(g.stream);
    mask.copy_from(a.mask, g.pixels(), g.stream);
    shifts.copy_from(a.shifts, shifts.size(), g.stream);
    const auto begin = [&](Batch& b) {
        memcpy(b.host_images.data(), a.images + b.first * g.pixels(), b.count * g.pixels() * sizeof(float));
        b.images.copy_from(b.host_images.data(), b.count * g.pixels(), b.stream);
        launch("shift and mask", pad_kernel, dim3(b.count), dim3(polar_block), 0, b.stream, g.box,
               b.images.data(), a.shifts ? shifts.data() + 2 * b.first : nullptr, mask.data(),
               g.deapodisation.data(), b.padded.data(), power.data() + b.first);
        transform("transform", b.stream,
                  [&] { return cufftExecR2C(b.plan, b.padded.data(), b.planes.data()); });
        if (g.samples)
            launch("interpolation", interpolate_kernel,
                   dim3((g.samples + polar_block - 1) / polar_block, (b.count + 7) / 8), dim3(polar_block), 0,
                   b.stream, b.count, g.box, g.samples, g.positions.data(), b.planes.data(),
                   b.samples.data());
        b.samples.copy_to(b.host_samples.data(), (size_t)b.count * g.samples, b.stream);
    };
    const auto take = [&](const Batch& b) {
        memcpy((float2*)a.out + (size_t)b.first * g.samples, b.host_samples.data(),
               (size_t)b.count * g.samples * sizeof(float2));
    };
    in_batches(a.n, g, CUFFT_R2C, begin, take);
    power.copy_to(a.power, g.stream);
    g.stream.wait("polar_transform");
}

void polar_adjoint(const PolarAdjointArgs& a, int device) {
    if (a.n == 0) return;
    use_device(device);
    const Grid g(a.box, a.samples, a.positions);
    std::vector<int> begins;
    std::vector<Share> spreading;
    spreading_of(a, begins, spreading);
    DeviceArray<int> cell_begin(begins.size());
    DeviceArray<Share> shares(spreading.size());
    const Finish finish(g.stream);
    cell_begin.copy_from(begins.data(), begins.size(), g.stream);
    shares.copy_from(spreading.data(), spreading.size(), g.stream);
    const auto begin = [&](Batch& b) {
        memcpy(b.host_samples.data(), (const float2*)a.samples_in + (size_t)b.first * g.samples,
               (size_t)b.count * g.samples * sizeof(float2));
        b.samples.copy_from(b.host_samples.data(), (size_t)b.count * g.samples, b.stream);
        launch("spreading", spread_kernel, dim3((g.cells() + polar_block - 1) / polar_block, b.count),
               dim3(polar_block), 0, b.stream, (int)g.cells(), g.samples, cell_begin.data(), shares.data(),
               b.samples.data(), b.planes.data());
        transform("transform back", b.stream,
                  [&] { return cufftExecC2R(b.plan, b.planes.data(), b.padded.data()); });
        launch("cropping", crop_kernel, dim3((g.pixels() + polar_block - 1) / polar_block, b.count),
               dim3(polar_block), 0, b.stream, g.box, b.padded.data(), g.deapodisation.data(),
               b.images.data());
        b.images.copy_to(b.host_images.data(), b.count * g.pixels(), b.stream);
    };
    const auto take = [&](const Batch& b) {
        memcpy(a.out + b.first * g.pixels(), b.host_images.data(), b.count * g.pixels() * sizeof(float));
    };
    in_batches(a.n, g, CUFFT_C2R, begin, take);
}

}  // namespace cuda
}  // namespace boxwood
