// Rounding to bfloat16: 8 significant bits, to the nearest or else the even one.
#pragma once
#include <stdint.h>
#include <string.h>

#include "math/hostdevice.h"

namespace boxwood {

BOXWOOD_HD float round_to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(x));
    bits += 0x7fffu + (bits >> 16 & 1);
    bits &= 0xffff0000u;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

}  // namespace boxwood
