// The whole CUDA interface: host arrays in, host arrays out, on one device. Failures throw CudaError
// (cuda/error.h).
#pragma once

#include <stddef.h>

#include "math/arguments.h"

namespace boxwood {
namespace cuda {

void ctf(const CtfArgs&, int device);
void polar_transform(const PolarArgs&, int device);
void polar_adjoint(const PolarAdjointArgs&, int device);
void expectation(const ExpectationArgs&, int device);
void log_pick_maps(const LogPickArgs&, int device);
void log_pick_peaks(const LogPeaksArgs&, int device);
void extract(const ExtractArgs&, int device);

// Stores of polar images on a device, by number (image_store.h): how many there is room for, and samples of
// each.
struct StoreShape {
    int slots, samples;
};
int make_image_store(int most, int samples, int device);
StoreShape image_store_shape(int store);
void put_images(int store, const int* slots, int n, const float* transforms, const float* ctf);
void release_image_store(int store);

// What a device can do at most, in bytes and floating-point operations a second: copies of so many bytes,
// products of n x n matrices.
struct Ceilings {
    double memory, to_device, from_device, float32, tf32;
};
Ceilings ceilings(int device, size_t bytes, int n);

}  // namespace cuda
}  // namespace boxwood
