// The steps of the extraction on a device; extract.cu runs them.
#pragma once
#include "cuda/runtime.h"
#include "math/arguments.h"
#include "math/background.h"

namespace boxwood {
namespace cuda {

// A batch of `count` particles in device memory; particles past the last one of the call repeat it.
struct Particles {
    int count, used;
    const int* centres;  // [used][2]
    float* levels;       // [count]: grey values are counted from here
    int* faults;         // [count]
};

struct Micrograph {
    int ny, nx;
    const float* pixels;
};

// What the normalisation needs beside the pixels.
struct Normalisation {
    BackgroundRegion background;
    float each;           // 1 / pixels of the background
    float inverse[3][3];  // of the plane fit
    int ramp, invert;
    float white_dust, black_dust;
    uint64_t seed;
};

// extract_box.cu
void find_levels(const Micrograph&, int box, const Particles&, const Stream&);
// Boxes of side n, their outside repeating the nearest pixel, or `fill` where that is not null.
void cut(const Micrograph&, int n, const float* fill, const Particles&, float* boxes, const Stream&);
// The boxes inside of wider ones, the micrograph's edge repeated. Levels are multiplied by the filter at 0.
void cut_filtered(const Micrograph&, int wide, int box, const float* factors, bool one_filter,
                  const Particles&, const float* wider, float* boxes, const Stream&);
// extract_rescale.cu
void multiply(int wide, const float* factors, bool one_filter, int count, float2* spectra, const Stream&);
// Phases [count][2: x, y][box/2 + 1]; shifts [used][2].
void find_phases(int box, const float* shifts, const Particles&, float2* phases, const Stream&);
// Transforms of boxes to those of the rescaled ones; phases may be null.
void rescale(int box, int scaled, int count, const float2* phases, const float2* spectra, float2* rescaled,
             const Stream&);
// extract_normalise.cu
void normalise(const Normalisation&, int scaled, const Particles&, const float* boxes, float* images,
               const Stream&);
// Without normalisation: the levels are added again.
void crop(int scaled, int window, bool invert, const Particles&, const float* boxes, float* images,
          const Stream&);

constexpr int extract_block = 256;  // threads

}  // namespace cuda
}  // namespace boxwood
