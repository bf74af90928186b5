#include "cuda/batch.h"
#include "cuda/kernels.h"

namespace boxwood {
namespace cuda {

namespace {

constexpr int ctf_block = 256;

// Threads are spatial frequencies, blocks in y images.
__global__ void ctf_kernel(int m, const Ctf* images, const float2* frequencies, int mode, float* out) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= m) return;
    const float2 f = frequencies[j];
    out[(size_t)blockIdx.y * m + j] = ctf_value<DeviceMath>(images[blockIdx.y], f.x, f.y, mode);
}

void run(const CtfArgs& a, const std::vector<Ctf>& constants, int batch) {
    const Stream stream;
    DeviceArray<Ctf> images(batch);
    DeviceArray<float2> frequencies(a.m);
    const DeviceArray<float> out((size_t)batch * a.m);
    const Finish finish(stream);
    frequencies.copy_from((const float2*)a.frequencies, a.m, stream);
    for (int first = 0; first < a.n; first += batch) {
        const int n = std::min(batch, a.n - first);
        images.copy_from(&constants[first], n, stream);
        launch("ctf", ctf_kernel, dim3(blocks(a.m, ctf_block), n), dim3(ctf_block), 0, stream, a.m,
               images.data(), frequencies.data(), a.mode, out.data());
        out.copy_to(a.out + (size_t)first * a.m, (size_t)n * a.m, stream);
    }
    stream.wait("ctf");
}

}  // namespace

void ctf(const CtfArgs& a, int device) {
    if (a.n == 0 || a.m == 0) return;
    use_device(device);
    std::vector<Ctf> constants(a.n);
    for (int i = 0; i < a.n; ++i) constants[i] = make_ctf(a.rows + (size_t)i * ctf_columns);
    const size_t bytes_each = sizeof(Ctf) + a.m * sizeof(float);
    with_less_on_failure(batch_size(a.n, bytes_each), [&](int batch) { run(a, constants, batch); });
}

}  // namespace cuda
}  // namespace boxwood
