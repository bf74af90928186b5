// Response of a Laplacian-of-Gaussian filter bank. The micrograph's transform is wanted only at the low
// frequencies: a batch of rows at a time is transformed and its first columns kept, then these are
// transformed. Filters are applied and transformed back in batches, and the best response is kept.
#include "cuda/batch.h"
#include "cuda/block.h"
#include "cuda/kernels.h"
#include "cuda/libraries.h"
#include "math/log_filter.h"
#include "math/moments.h"

namespace boxwood {
namespace cuda {
namespace {

constexpr int log_block = 256;
constexpr int pixels_per_sum = 64 * log_block;
constexpr int tile = 32;

// Sums of d and d^2 over pixels_per_sum pixels pivot + d each, in an order that does not depend on anything.
__global__ void sum_pixels(size_t count, const float* pixels, double pivot, double2* sums) {
    __shared__ double room[log_block / 32];
    const size_t begin = (size_t)blockIdx.x * pixels_per_sum;
    const size_t end = begin + pixels_per_sum < count ? begin + pixels_per_sum : count;
    double sum = 0, sum2 = 0;
    for (size_t i = begin + threadIdx.x; i < end; i += log_block) {
        const double d = (double)pixels[i] - pivot;
        sum += d;
        sum2 += d * d;
    }
    sum = block_reduce<Sum>(sum, room);
    sum2 = block_reduce<Sum>(sum2, room);
    if (threadIdx.x == 0) sums[blockIdx.x] = make_double2(sum, sum2);
}

struct Pixels {
    const float *micrograph, *outside;
    float mean, factor, limit;
};

// Rows of the square; those past the last are zero.
__global__ void fill_rows(LogSquare square, Pixels p, int first_row, float* rows) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = first_row + blockIdx.y;
    if (x >= square.n) return;
    float value = 0;
    if (y < square.n) {
        const bool crosses = square.crosses(y);
        const int inside = x - square.x0;
        if (crosses && inside >= 0 && inside < square.nx)
            value = log_pixel(p.micrograph[(size_t)(y - square.y0) * square.nx + inside], p.mean, p.factor,
                              p.limit);
        else
            value = p.outside[square.given(y) + (crosses && inside >= 0 ? x - square.nx : x)];
    }
    rows[(size_t)blockIdx.y * square.n + x] = value;
}

// The first columns of transformed rows [count][n/2 + 1], turned into columns [kx_end][n].
__global__ void keep_columns(int n, int kx_end, int first_row, int count, const float2* rows,
                             float2* columns) {
    __shared__ float2 square[tile][tile + 1];
    const int x0 = blockIdx.x * tile, y0 = blockIdx.y * tile;
    for (int i = threadIdx.y; i < tile; i += blockDim.y) {
        const int x = x0 + threadIdx.x, y = y0 + i;
        if (x < kx_end && y < count) square[i][threadIdx.x] = rows[(size_t)y * (n / 2 + 1) + x];
    }
    __syncthreads();
    for (int i = threadIdx.y; i < tile; i += blockDim.y) {
        const int x = x0 + i, y = y0 + threadIdx.x;
        if (x < kx_end && y < count) columns[(size_t)x * n + first_row + y] = square[threadIdx.x][i];
    }
}

__device__ inline float2 coefficient(int n, LogBand band, const float2* columns, int kx, int ky) {
    if (kx >= band.kx_end || ky < band.ky_begin || ky >= band.ky_end) return make_float2(0, 0);
    return columns[(size_t)kx * n + (ky < 0 ? ky + n : ky)];
}

// The half-plane transform [w][w/2 + 1] from transformed columns, times `scale`. The cropped transform is not
// that of a real image in its first and last column: what a real image keeps of it is put there.
__global__ void make_spectrum(int n, int w, LogBand band, const float2* columns, float scale,
                              float2* spectrum) {
    const int kx = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (kx > w / 2) return;
    const int ky = y > w / 2 ? y - w : y;
    float2 value = coefficient(n, band, columns, kx, ky);
    if (kx == 0 || kx == w / 2) {
        const float2 other = coefficient(n, band, columns, kx, 2 * ky == w ? ky : -ky);
        value = make_float2(0.5f * (value.x + other.x), 0.5f * (value.y - other.y));
    }
    spectrum[(size_t)y * (w / 2 + 1) + kx] = make_float2(value.x * scale, value.y * scale);
}

// gauss[filter][w/2 + 1]; filters after `first` along y of the grid.
__global__ void apply_filters(int w, int first, const float2* spectrum, const float* gauss,
                              const float* inverse_variance, float2* filtered) {
    const int columns = w / 2 + 1, i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= w * columns) return;
    const int filter = first + blockIdx.y, y = i / columns, kx = i % columns, ky = y > w / 2 ? w - y : y;
    const float* own = gauss + (size_t)filter * columns;
    const float r2 = (float)kx * kx + (float)ky * ky;
    const float g = log_filter(r2, inverse_variance[filter], own[kx], own[ky]);
    filtered[(size_t)blockIdx.y * w * columns + i] = make_float2(spectrum[i].x * g, spectrum[i].y * g);
}

// The first of equal responses stays.
__global__ void keep_best(int pixels, int first, int count, const float* responses, float* best,
                          uint8_t* index) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pixels) return;
    float value = first ? best[i] : responses[i];
    uint8_t which = first ? index[i] : 0;
    for (int f = 0; f < count; ++f) {
        const float response = responses[(size_t)f * pixels + i];
        if (response > value) {
            value = response;
            which = (uint8_t)(first + f);
        }
    }
    best[i] = value;
    index[i] = which;
}

void measure(const LogPickArgs& a, const float* micrograph, const Stream& stream) {
    const size_t count = (size_t)a.ny * a.nx;
    const unsigned parts = blocks(count, pixels_per_sum);
    const DeviceArray<double2> sums(parts);
    const PinnedArray<double2> host(parts);
    const Finish finish(stream);
    const double pivot = a.micrograph[0];
    launch("sum_pixels", sum_pixels, dim3(parts), dim3(log_block), 0, stream, count, micrograph, pivot,
           sums.data());
    sums.copy_to(host.data(), stream);
    stream.wait("log_pick_maps");
    double sum = 0, sum2 = 0;
    for (unsigned i = 0; i < parts; ++i) {
        sum += host[i].x;
        sum2 += host[i].y;
    }
    mean_and_deviation(sum, sum2, (double)count, pivot, a.mean, a.sigma);
}

void transform_rows(const LogSquare& square, const Pixels& pixels, int batch, const LogBand& band,
                    float2* columns, const Stream& stream) {
    const int n = square.n;
    const DeviceArray<float> rows((size_t)batch * n);
    const DeviceArray<float2> transformed((size_t)batch * (n / 2 + 1));
    const FftPlan along_x({n}, CUFFT_R2C, batch, stream);
    const Finish finish(stream);
    for (int first = 0; first < n; first += batch) {
        const int count = std::min(batch, n - first);
        launch("fill_rows", fill_rows, dim3(blocks(n, log_block), batch), dim3(log_block), 0, stream,
               square, pixels, first, rows.data());
        transform("transform of rows", stream,
                  [&] { return cufftExecR2C(along_x, rows.data(), transformed.data()); });
        launch("keep_columns", keep_columns, dim3(blocks(band.kx_end, tile), blocks(count, tile)),
               dim3(tile, 8), 0, stream, n, band.kx_end, first, count, transformed.data(), columns);
    }
    stream.wait("log_pick_maps");
}

void transform_columns(int n, int count, float2* columns, const Stream& stream) {
    const FftPlan along_y({n}, CUFFT_C2C, count, stream);
    const Finish finish(stream);
    transform("transform of columns", stream,
              [&] { return cufftExecC2C(along_y, columns, columns, CUFFT_FORWARD); });
}

void low_frequencies(const LogPickArgs& a, const Pixels& pixels, float2* spectrum, const Stream& stream) {
    const LogSquare square = LogSquare::around(a.ny, a.nx);
    const int n = square.n, w = a.work_size;
    const LogBand band = LogBand::common(n, w);
    const DeviceArray<float2> columns((size_t)band.kx_end * n);
    const Finish finish(stream);
    const size_t bytes_per_row = 2 * sizeof(float2) * (n + 1) + sizeof(float) * n;
    with_less_on_failure(batch_size(n, bytes_per_row), [&](int batch) {
        transform_rows(square, pixels, batch, band, columns.data(), stream);
    });
    int done = 0;  // in place, so what has been transformed is not to be transformed again
    with_less_on_failure(batch_size(band.kx_end, sizeof(float2) * n), [&](int batch) {
        for (; done < band.kx_end; done += batch)
            transform_columns(n, std::min(batch, band.kx_end - done), columns.data() + (size_t)done * n,
                              stream);
    });
    launch("make_spectrum", make_spectrum, dim3(blocks(w / 2 + 1, log_block), w), dim3(log_block), 0, stream,
           n, w, band, columns.data(), (float)(1.0 / ((double)n * n)), spectrum);
    stream.wait("log_pick_maps");
}

void filter(const LogPickArgs& a, const float2* spectrum, int batch, float* best, uint8_t* index,
            const Stream& stream) {
    const int w = a.work_size, columns = w / 2 + 1, pixels = w * w;
    std::vector<float> gauss((size_t)a.filters * columns), inverse_variance(a.filters);
    for (int f = 0; f < a.filters; ++f) {
        const int reach = std::min(log_filter_reach(a.variances[f]), w / 2);
        inverse_variance[f] = (float)(1.0 / a.variances[f]);
        for (int k = 0; k <= reach; ++k) gauss[(size_t)f * columns + k] = log_filter_gauss(k, a.variances[f]);
    }
    DeviceArray<float> gauss_there(gauss.size()), inverse_there(a.filters);
    const DeviceArray<float2> filtered((size_t)batch * w * columns);
    const DeviceArray<float> responses((size_t)batch * pixels);
    const FftPlan back({w, w}, CUFFT_C2R, batch, stream);
    const Finish finish(stream);
    gauss_there.copy_from(gauss.data(), gauss.size(), stream);
    inverse_there.copy_from(inverse_variance.data(), a.filters, stream);
    for (int first = 0; first < a.filters; first += batch) {
        const int count = std::min(batch, a.filters - first);
        launch("apply_filters", apply_filters, dim3(blocks((size_t)w * columns, log_block), count),
               dim3(log_block), 0, stream, w, first, spectrum, gauss_there.data(), inverse_there.data(),
               filtered.data());
        transform("transform back", stream,
                  [&] { return cufftExecC2R(back, filtered.data(), responses.data()); });
        launch("keep_best", keep_best, dim3(blocks(pixels, log_block)), dim3(log_block), 0, stream,
               pixels, first, count, responses.data(), best, index);
    }
    stream.wait("log_pick_maps");
}

}  // namespace

void log_pick_maps(const LogPickArgs& a, int device) {
    const Turn turn(device);
    const int w = a.work_size;
    const size_t n = std::max(a.nx, a.ny), count = (size_t)a.ny * a.nx;
    const Stream copying, computing;
    Event micrograph_there, outside_there;
    const DeviceArray<float> micrograph(count), outside(n * n - count);
    const DeviceArray<float2> spectrum((size_t)w * (w / 2 + 1));
    const DeviceArray<float> best((size_t)w * w);
    const DeviceArray<uint8_t> index((size_t)w * w);
    Upload upload(copying);
    const Finish copied(copying), computed(computing);
    upload.send(a.micrograph, count, micrograph.data());
    micrograph_there.record(copying);
    upload.send(a.outside, outside.size(), outside.data());
    outside_there.record(copying);
    micrograph_there.hold(computing);
    measure(a, micrograph.data(), computing);
    if (!(*a.sigma > 0) || !(*a.sigma < 1e300)) return;  // the caller says what is wrong with the image
    outside_there.hold(computing);
    const Pixels pixels = {micrograph.data(), outside.data(), (float)*a.mean, (float)(a.sign / *a.sigma),
                           (float)a.outlier_sigma};
    low_frequencies(a, pixels, spectrum.data(), computing);
    const size_t bytes_per_filter = sizeof(float2) * w * (w / 2 + 1) + 3 * sizeof(float) * w * w;
    with_less_on_failure(batch_size(a.filters, bytes_per_filter), [&](int batch) {
        filter(a, spectrum.data(), batch, best.data(), index.data(), computing);
    });
    best.copy_to(a.best, computing);
    index.copy_to(a.index, computing);
    computing.wait("log_pick_maps");
}

}  // namespace cuda
}  // namespace boxwood
