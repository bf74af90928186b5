// Boxes out of a micrograph.
#include "cuda/block.h"
#include "cuda/extract.h"
#include "math/rescale.h"

namespace boxwood {
namespace cuda {
namespace {

__device__ inline const int* centre_of(const Particles& p, int particle) {
    return p.centres + 2 * (particle < p.used ? particle : p.used - 1);
}

__device__ inline void note_fault(const Particles& p, int particle, float value) {
    if (!(value - value == 0)) atomicOr(&p.faults[particle], (int)extract_not_finite);
}

// The mean of a box's diagonal; a warp for each.
__global__ void find_levels_kernel(Micrograph m, int box, Particles p) {
    const int* centre = centre_of(p, blockIdx.x);
    double sum = 0;
    for (int i = (int)threadIdx.x - box / 2; i < box / 2; i += 32)
        sum +=
            m.pixels[(size_t)nearest_pixel(centre[1] + i, m.ny) * m.nx + nearest_pixel(centre[0] + i, m.nx)];
    sum = warp_sum(sum);
    if (threadIdx.x == 0) {
        p.levels[blockIdx.x] = (float)(sum / box);
        p.faults[blockIdx.x] = 0;
    }
}

__global__ void cut_kernel(Micrograph m, int n, bool filled, float fill, Particles p, float* boxes) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, particle = blockIdx.y;
    if (i >= n * n) return;
    const int* centre = centre_of(p, particle);
    const int x = centre[0] - n / 2 + i % n, y = centre[1] - n / 2 + i / n;
    const int inside_x = nearest_pixel(x, m.nx), inside_y = nearest_pixel(y, m.ny);
    float value = m.pixels[(size_t)inside_y * m.nx + inside_x];
    if (filled && (x != inside_x || y != inside_y)) value = fill;
    value -= p.levels[particle];
    if (!filled) note_fault(p, particle, value);
    boxes[(size_t)particle * n * n + i] = value;
}

__global__ void cut_filtered_kernel(Micrograph m, int wide, int box, Particles p, const float* wider,
                                    float* boxes) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, particle = blockIdx.y;
    if (i >= box * box) return;
    const int* centre = centre_of(p, particle);
    const int x0 = centre[0] - wide / 2, y0 = centre[1] - wide / 2;
    const int x = nearest_pixel(centre[0] - box / 2 + i % box, m.nx) - x0;
    const int y = nearest_pixel(centre[1] - box / 2 + i / box, m.ny) - y0;
    const float value = wider[((size_t)particle * wide + y) * wide + x];
    note_fault(p, particle, value);
    boxes[(size_t)particle * box * box + i] = value;
}

__global__ void multiply_levels(size_t step, const float* factors, Particles p) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < p.count) p.levels[i] *= factors[step * i];
}

}  // namespace

void find_levels(const Micrograph& m, int box, const Particles& p, const Stream& stream) {
    launch("find_levels", find_levels_kernel, dim3(p.count), dim3(32), 0, stream, m, box, p);
}

void cut(const Micrograph& m, int n, const float* fill, const Particles& p, float* boxes,
         const Stream& stream) {
    const dim3 grid(blocks((size_t)n * n, extract_block), p.count);
    launch("cut", cut_kernel, grid, dim3(extract_block), 0, stream, m, n, fill != nullptr,
           fill ? *fill : 0.0f, p, boxes);
}

void cut_filtered(const Micrograph& m, int wide, int box, const float* factors, bool one_filter,
                  const Particles& p, const float* wider, float* boxes, const Stream& stream) {
    const dim3 grid(blocks((size_t)box * box, extract_block), p.count);
    launch("cut_filtered", cut_filtered_kernel, grid, dim3(extract_block), 0, stream, m, wide, box, p, wider,
           boxes);
    launch("multiply_levels", multiply_levels, dim3(blocks(p.count, extract_block)), dim3(extract_block), 0,
           stream, one_filter ? (size_t)0 : (size_t)wide * (wide / 2 + 1), factors, p);
}

}  // namespace cuda
}  // namespace boxwood
