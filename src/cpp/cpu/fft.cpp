#include "cpu/fft.h"

#include "cpu/kernels.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

template <class T, class V>
static void transform_all(const FftArgs& a, const T* in, T* out) {
    constexpr int width = sizeof(V) / sizeof(T);
    const Fft<T, V> fft(a.n);
    const int groups = (a.count + width - 1) / width;
    parallel_for(groups, a.threads, [&](int group, int) {
        Buffer<V> data(2 * (size_t)a.n), work(2 * (size_t)a.n);
        const int first = group * width, used = a.count - first < width ? a.count - first : width;
        for (int i = 0; i < 2 * a.n; ++i) {
            data[i] = V{};
            for (int lane = 0; lane < used; ++lane)
                data[i][lane] = in[((size_t)(first + lane) * a.n) * 2 + i];
        }
        if (a.sign < 0)
            fft.template run<-1>(data, work);
        else
            fft.template run<1>(data, work);
        for (int i = 0; i < 2 * a.n; ++i)
            for (int lane = 0; lane < used; ++lane)
                out[((size_t)(first + lane) * a.n) * 2 + i] = data[i][lane];
    });
}

void fft(const FftArgs& a) {
    if (a.in_double)
        transform_all<double, vdouble>(a, a.in_double, a.out_double);
    else
        transform_all<float, vfloat>(a, a.in_float, a.out_float);
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
