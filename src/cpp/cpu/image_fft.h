// Two-dimensional transforms of real square images of even size, one image in each lane.
// Spectra hold columns of constant kx, each contiguous in ky and followed by one unused element:
// without it, sizes that are powers of two put all columns into the same few cache lines.
#pragma once
#include "cpu/fft.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

class ImageFft {
public:
    const int n, stride;  // stride: complex elements from one column to the next

    explicit ImageFft(int size)
        : n(size), stride(size + 1), plan_(size), line_((size_t)2 * size), work_((size_t)2 * size) {}

    size_t spectrum_size() const { return (size_t)2 * stride * (n / 2 + 1); }  // in vectors

    // image [n][n] to the first `columns` columns of the unscaled spectrum.
    void forward(const vfloat* image, int columns, vfloat* spectrum) {
        for (int y = 0; y < n; y += 2) {  // two real rows are one complex row
            const vfloat *even = image + (size_t)y * n, *odd = even + n;
            for (int x = 0; x < n; ++x) {
                line_[2 * x] = even[x];
                line_[2 * x + 1] = odd[x];
            }
            plan_.run<-1>(line_, work_);
            for (int k = 0; k < columns; ++k) {
                const vfloat *p = line_ + 2 * k, *q = line_ + 2 * (k ? n - k : 0);
                vfloat* out = spectrum + 2 * ((size_t)k * stride + y);
                out[0] = 0.5f * (p[0] + q[0]);
                out[1] = 0.5f * (p[1] - q[1]);
                out[2] = 0.5f * (p[1] + q[1]);
                out[3] = 0.5f * (q[0] - p[0]);
            }
        }
        for (int k = 0; k < columns; ++k) plan_.run<-1>(spectrum + 2 * (size_t)k * stride, work_);
    }

    // All n/2 + 1 columns to image [n][n], unscaled; the spectrum is overwritten. Imaginary parts that no
    // real row can have (kx = 0 and n/2, after the transform along y) do not count.
    void inverse(vfloat* spectrum, vfloat* image) {
        const int half = n / 2;
        for (int k = 0; k <= half; ++k) plan_.run<1>(spectrum + 2 * (size_t)k * stride, work_);
        for (int y = 0; y < n; y += 2) {
            for (int k = 0; k <= half; ++k) {
                const vfloat* a = spectrum + 2 * ((size_t)k * stride + y);
                const bool real = k == 0 || k == half;
                const vfloat ai = real ? vfloat{} : a[1], bi = real ? vfloat{} : a[3];
                line_[2 * k] = a[0] - bi;
                line_[2 * k + 1] = ai + a[2];
                if (real) continue;
                line_[2 * (n - k)] = a[0] + bi;
                line_[2 * (n - k) + 1] = a[2] - ai;
            }
            plan_.run<1>(line_, work_);
            vfloat *even = image + (size_t)y * n, *odd = even + n;
            for (int x = 0; x < n; ++x) {
                even[x] = line_[2 * x];
                odd[x] = line_[2 * x + 1];
            }
        }
    }

private:
    Fft<float, vfloat> plan_;
    Buffer<vfloat> line_, work_;
};

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
