// One spelling for "inline, on the host and on the device", shared by every header in math/.
#pragma once

#if defined(__CUDACC__)
#define BOXWOOD_HD __host__ __device__ __forceinline__
#else
#define BOXWOOD_HD inline __attribute__((always_inline))
#endif
