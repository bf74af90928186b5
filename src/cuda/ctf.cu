#include "cuda/kernels.h"
#include "cuda/runtime.h"

namespace boxwood {
namespace cuda {

constexpr int ctf_block = 256;
constexpr int ctf_most_rows = 65535;  // the largest gridDim.y

// Threads are spatial frequencies, blocks in y walk over the images.
__global__ void ctf_kernel(int n, int m, const Ctf* images, const float2* frequencies, int mode, float* out) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= m) return;
    const float2 f = frequencies[j];
    for (int image = blockIdx.y; image < n; image += gridDim.y)
        out[(size_t)image * m + j] = ctf_value<DeviceMath>(images[image], f.x, f.y, mode);
}

static void launch_ctf(int n, int m, const Ctf* images, const float2* frequencies, int mode, float* out,
                       const Stream& stream) {
    const dim3 grid((m + ctf_block - 1) / ctf_block, n < ctf_most_rows ? n : ctf_most_rows);
    launch("ctf", ctf_kernel, grid, dim3(ctf_block), 0, stream, n, m, images, frequencies, mode, out);
}

void ctf(const CtfArgs& a, int device) {
    if (a.n == 0 || a.m == 0) return;
    use_device(device);
    std::vector<Ctf> constants(a.n);
    for (int i = 0; i < a.n; ++i) constants[i] = make_ctf(a.rows + (size_t)i * ctf_columns);
    const Stream stream;
    const DeviceArray<Ctf> images(constants.data(), a.n, stream);
    const DeviceArray<float2> frequencies((const float2*)a.frequencies, a.m, stream);
    const DeviceArray<float> out((size_t)a.n * a.m);
    launch_ctf(a.n, a.m, images.data(), frequencies.data(), a.mode, out.data(), stream);
    out.copy_to(a.out, stream);
    stream.wait("ctf");
}

}  // namespace cuda
}  // namespace boxwood
