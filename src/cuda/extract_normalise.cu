// From rescaled boxes to images; a block normalises an image, over which it goes several times.
#include "cuda/block.h"
#include "cuda/extract.h"
#include "math/noise.h"

namespace boxwood {
namespace cuda {
namespace {

// One image and what its block shares.
struct Image {
    float *pixels, *room;
    const Normalisation& how;

    // value(x, y, pixel) summed over the background.
    template <class Value>
    __device__ float sum(const Value& value) const {
        const int n = how.background.n;
        float total = 0;
        for (int i = threadIdx.x; i < n * n; i += extract_block)
            if (how.background.has(i % n, i / n)) total += value(i % n, i / n, pixels[i]);
        return block_reduce<Sum>(total, room);
    }
    template <class Change>
    __device__ void change(const Change& to) const {
        const int n = how.background.n;
        for (int i = threadIdx.x; i < n * n; i += extract_block) pixels[i] = to(i % n, i / n, pixels[i]);
    }
    __device__ void measure(float& mean, float& deviation) const {
        mean = sum([](int, int, float v) { return v; }) * how.each;
        const float centre = mean;
        deviation = sqrtf(sum([=](int, int, float v) { return (v - centre) * (v - centre); }) * how.each);
    }
    __device__ void remove_dust(float mean, float deviation, const int* centre) const {
        const int n = how.background.n;
        const uint64_t key = noise_key(how.seed, centre[0], centre[1]);
        const float high = how.white_dust > 0 ? mean + how.white_dust * deviation : INFINITY;
        const float low = how.black_dust > 0 ? mean - how.black_dust * deviation : -INFINITY;
        change([=](int x, int y, float v) {
            return v > high || v < low ? (float)(mean + deviation * normal_noise(key, (uint64_t)(y * n + x)))
                                       : v;
        });
    }
    __device__ void subtract_ramp() const {
        const int origin = how.background.n / 2;
        const float xz = sum([=](int x, int, float v) { return (float)(x - origin) * v; });
        const float yz = sum([=](int, int y, float v) { return (float)(y - origin) * v; });
        const float z = sum([](int, int, float v) { return v; });
        float plane[3];
        for (int i = 0; i < 3; ++i)
            plane[i] = how.inverse[i][0] * xz + how.inverse[i][1] * yz + how.inverse[i][2] * z;
        const float a = plane[0], b = plane[1], c = plane[2];
        change([=](int x, int y, float v) {
            return v - (a * (float)(x - origin) + (b * (float)(y - origin) + c));
        });
    }
};

__device__ inline float middle(const float* box, int scaled, int window, int x, int y) {
    const int edge = scaled / 2 - window / 2;
    return box[(size_t)(y + edge) * scaled + x + edge];
}

__global__ void __launch_bounds__(extract_block)
    normalise_kernel(Normalisation how, int scaled, Particles p, const float* boxes, float* images) {
    __shared__ float room[extract_block / 32];
    const int particle = blockIdx.x, n = how.background.n;
    const float* box = boxes + (size_t)particle * scaled * scaled;
    const Image image = {images + (size_t)particle * n * n, room, how};
    image.change([=](int x, int y, float) { return middle(box, scaled, n, x, y); });
    float mean, deviation;
    image.measure(mean, deviation);
    const float contrast = deviation + fabsf(mean);
    if (how.white_dust > 0 || how.black_dust > 0)
        image.remove_dust(mean, deviation, p.centres + 2 * (particle < p.used ? particle : p.used - 1));
    if (how.ramp) image.subtract_ramp();
    image.measure(mean, deviation);
    const bool constant = !(deviation > fmaxf(least_deviation, contrast * least_contrast));
    const bool fault = constant || p.faults[particle] != 0;
    const float factor = (how.invert ? -1.0f : 1.0f) / deviation;
    const float level = mean;
    image.change([=](int, int, float v) { return fault ? 0.0f : (v - level) * factor; });
    __syncthreads();
    if (threadIdx.x == 0 && constant && p.faults[particle] == 0) p.faults[particle] = extract_constant;
}

__global__ void crop_kernel(int scaled, int window, bool invert, Particles p, const float* boxes,
                            float* images) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, particle = blockIdx.y;
    if (i >= window * window) return;
    const float* box = boxes + (size_t)particle * scaled * scaled;
    const float value = middle(box, scaled, window, i % window, i / window) + p.levels[particle];
    images[(size_t)particle * window * window + i] = p.faults[particle] ? 0.0f : invert ? -value : value;
}

}  // namespace

void normalise(const Normalisation& how, int scaled, const Particles& p, const float* boxes, float* images,
               const Stream& stream) {
    launch("normalise", normalise_kernel, dim3(p.count), dim3(extract_block), 0, stream, how, scaled, p,
           boxes, images);
}

void crop(int scaled, int window, bool invert, const Particles& p, const float* boxes, float* images,
          const Stream& stream) {
    launch("crop", crop_kernel, dim3(blocks((size_t)window * window, extract_block), p.count),
           dim3(extract_block), 0, stream, scaled, window, invert, p, boxes, images);
}

}  // namespace cuda
}  // namespace boxwood
