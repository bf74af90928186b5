// Rounding to fewer significant bits, to the nearest or else the even one.
#pragma once
#include <stdint.h>
#include <string.h>

#include "math/arguments.h"
#include "math/hostdevice.h"

namespace boxwood {

// Without the last so many of 24 bits.
template <int gone>
BOXWOOD_HD float without_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(x));
    bits += (1u << (gone - 1)) - 1 + (bits >> gone & 1);
    bits &= ~0u << gone;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

// To 8 significant bits in bfloat16, 11 in TF32.
BOXWOOD_HD float rounded(float x, Precision precision) {
    if (precision == precision_bf16) return without_bits<16>(x);
    if (precision == precision_tf32) return without_bits<13>(x);
    return x;
}

}  // namespace boxwood
