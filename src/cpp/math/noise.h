// Random numbers from a counter: the value depends on nothing but the seed and the position, so neither
// threads nor the order of the work change it.
#pragma once
#include <math.h>
#include <stdint.h>

#include "math/hostdevice.h"

namespace boxwood {

// Steele, Lea, Flood (2014), "Fast splittable pseudorandom number generators", the finaliser of SplitMix64.
BOXWOOD_HD uint64_t mix_bits(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// The stream of the particle at a place in its micrograph.
BOXWOOD_HD uint64_t noise_key(uint64_t seed, int32_t x, int32_t y) {
    return mix_bits(mix_bits(seed) ^ ((uint64_t)(uint32_t)x << 32 | (uint32_t)y));
}

// Standard normal value number i of a stream (Box and Muller).
BOXWOOD_HD double normal_noise(uint64_t key, uint64_t i) {
    const uint64_t bits = mix_bits(key + i);
    const double u = ((bits >> 32) + 1) * 0x1p-32, v = (bits & 0xffffffffu) * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

}  // namespace boxwood
