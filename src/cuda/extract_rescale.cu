// What happens to the transforms of boxes.
#include "cuda/extract.h"
#include "math/rescale.h"

namespace boxwood {
namespace cuda {
namespace {

__global__ void multiply_kernel(size_t coefficients, size_t step, const float* factors, float scale,
                                float2* spectra) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= coefficients) return;
    const float factor = factors[step * blockIdx.y + i] * scale;
    float2& c = spectra[coefficients * blockIdx.y + i];
    c = make_float2(c.x * factor, c.y * factor);
}

__global__ void find_phases_kernel(int box, const float* shifts, int used, float2* phases) {
    const int k = blockIdx.x * blockDim.x + threadIdx.x, particle = blockIdx.y, axis = blockIdx.z;
    if (k > box / 2) return;
    float2& out = phases[((size_t)2 * particle + axis) * (box / 2 + 1) + k];
    shift_phase(k, shifts[2 * (particle < used ? particle : used - 1) + axis], box, &out.x, &out.y);
}

struct Box {
    int side, scaled;
    const float2 *spectrum, *phases;  // [side][side/2 + 1]; [2][side/2 + 1] or null

    // The coefficient of the rescaled and shifted box.
    __device__ float2 at(int kx, int ky) const {
        const int less = side < scaled ? side : scaled, columns = side / 2 + 1;
        if (kx > less / 2 || ky > less / 2 || 2 * ky <= -less || !rescaling_keeps(kx, ky, side, scaled))
            return make_float2(0, 0);
        const float2 c = spectrum[(size_t)(ky < 0 ? ky + side : ky) * columns + kx];
        if (!phases) return c;
        const float2 x = phases[kx];
        float2 y = phases[columns + (ky < 0 ? -ky : ky)];
        if (ky < 0) y.y = -y.y;
        const float2 p = make_float2(x.x * y.x - x.y * y.y, x.x * y.y + x.y * y.x);
        return make_float2(c.x * p.x - c.y * p.y, c.x * p.y + c.y * p.x);
    }
};

// A cropped or shifted transform is not that of a real image in its first and last column: what a real image
// keeps of it is put there.
__global__ void rescale_kernel(int box, int scaled, const float2* phases, const float2* spectra,
                               float2* rescaled) {
    const int columns = scaled / 2 + 1, i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= scaled * columns) return;
    const size_t own = (size_t)blockIdx.y * (box / 2 + 1);
    const Box b = {box, scaled, spectra + own * box, phases ? phases + 2 * own : nullptr};
    const int kx = i % columns, ky = signed_frequency(i / columns, scaled);
    float2 value = b.at(kx, ky);
    if (kx == 0 || 2 * kx == scaled) {
        const float2 other = b.at(kx, 2 * ky == scaled ? ky : -ky);
        value = make_float2(0.5f * (value.x + other.x), 0.5f * (value.y - other.y));
    }
    const float scale = 1.0f / ((float)box * box);
    rescaled[(size_t)blockIdx.y * scaled * columns + i] = make_float2(value.x * scale, value.y * scale);
}

}  // namespace

void multiply(int wide, const float* factors, bool one_filter, int count, float2* spectra,
              const Stream& stream) {
    const size_t coefficients = (size_t)wide * (wide / 2 + 1);
    launch("multiply", multiply_kernel, dim3(blocks(coefficients, extract_block), count), dim3(extract_block),
           0, stream, coefficients, one_filter ? (size_t)0 : coefficients, factors,
           1.0f / ((float)wide * wide), spectra);
}

void find_phases(int box, const float* shifts, const Particles& p, float2* phases, const Stream& stream) {
    launch("find_phases", find_phases_kernel, dim3(blocks(box / 2 + 1, extract_block), p.count, 2),
           dim3(extract_block), 0, stream, box, shifts, p.used, phases);
}

void rescale(int box, int scaled, int count, const float2* phases, const float2* spectra, float2* rescaled,
             const Stream& stream) {
    const dim3 grid(blocks((size_t)scaled * (scaled / 2 + 1), extract_block), count);
    launch("rescale", rescale_kernel, grid, dim3(extract_block), 0, stream, box, scaled, phases, spectra,
           rescaled);
}

}  // namespace cuda
}  // namespace boxwood
