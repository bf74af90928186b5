// Images to polar Fourier coordinates and back, by Kaiser-Bessel gridding on a twofold padded grid.
// Definition and accuracy: docs/class2d.md, "The polar grid".
//
// As many images as a vector has lanes are worked on at once, one in each lane, so that nothing is
// shuffled but on the way in and out.
#include "cpu/fft.h"
#include "cpu/kernels.h"
#include "math/kaiser_bessel.h"

namespace boxwood {
namespace BOXWOOD_SIMD {
namespace {

typedef Fft<float, vfloat> Plan;

struct Complex {
    vfloat re, im;
};

// Where each sample falls on the padded grid: first of the four taps along x and y, and their weights.
struct Taps {
    Buffer<int> x, y;
    Buffer<float> wx, wy;

    Taps(const float* positions, int n) : x(n), y(n), wx((size_t)4 * n), wy((size_t)4 * n) {
        for (int j = 0; j < n; ++j) {
            const float px = 2 * positions[2 * j], py = 2 * positions[2 * j + 1];
            x[j] = (int)floorf(px) - 1;
            y[j] = (int)floorf(py) - 1;
            for (int i = 0; i < 4; ++i) {
                wx[4 * j + i] = px - (x[j] + i);
                wy[4 * j + i] = py - (y[j] + i);
            }
        }
        for (int i = 0; i < 4 * n; i += lanes) {  // a Buffer has room for whole vectors
            store(wx + i, kaiser_bessel(load(wx + i)));
            store(wy + i, kaiser_bessel(load(wy + i)));
        }
    }
};

// The padded half planes of one worker's images: ky = -margin .. half + margin, kx = -half - margin .. half
// + margin. What lies beyond the half plane repeats the inside, so that taps need not wrap.
class HalfPlanes {
public:
    static constexpr int margin = 2;

    explicit HalfPlanes(int box_px)
        : box_(box_px),
          pad_(2 * box_px),
          half_(box_px),
          width_(pad_ + 2 * margin + 1),
          stride_(box_ | 1),
          plan_(pad_),
          line_(pad_),
          work_(pad_),
          columns_((size_t)(half_ + 1) * stride_),
          cells_((size_t)(half_ + 1 + 2 * margin) * width_) {}

    Complex* cell(int kx, int ky) { return cells_ + (size_t)(ky + margin) * width_ + kx + half_ + margin; }

    void clear() { memset(cells_, 0, sizeof(Complex) * (half_ + 1 + 2 * margin) * width_); }

    // image: [box][box], pixel box/2 is the origin.
    void forward(const vfloat* image) {
        const int centre = box_ / 2;
        // Along y: two real columns as real and imaginary part.
        for (int x = 0; x < box_; x += 2) {
            const bool two = x + 1 < box_;
            memset(line_, 0, sizeof(Complex) * pad_);
            for (int y = 0; y < box_; ++y) {
                Complex& c = line_[y < centre ? y - centre + pad_ : y - centre];
                c.re = image[(size_t)y * box_ + x];
                if (two) c.im = image[(size_t)y * box_ + x + 1];
            }
            run<-1>();
            for (int ky = 0; ky <= half_; ++ky) {
                const Complex p = line_[ky], q = line_[ky ? pad_ - ky : 0];
                Complex* c = columns_ + (size_t)ky * stride_ + x;
                c[0] = {0.5f * (p.re + q.re), 0.5f * (p.im - q.im)};
                if (two) c[1] = {0.5f * (p.im + q.im), 0.5f * (q.re - p.re)};
            }
        }
        for (int ky = 0; ky <= half_; ++ky) {
            const Complex* in = columns_ + (size_t)ky * stride_;
            memset(line_, 0, sizeof(Complex) * pad_);
            memcpy(line_, in + centre, sizeof(Complex) * (box_ - centre));
            memcpy(line_ + pad_ - centre, in, sizeof(Complex) * centre);
            run<-1>();
            memcpy(cell(0, ky), line_, sizeof(Complex) * half_);
            memcpy(cell(-half_, ky), line_ + half_, sizeof(Complex) * half_);
            for (int d = 0; d <= margin; ++d) *cell(half_ + d, ky) = *cell(d - half_, ky);
            for (int d = 1; d <= margin; ++d) *cell(-half_ - d, ky) = *cell(half_ - d, ky);
        }
        for (int d = 1; d <= margin; ++d)
            for (int kx = -half_ - margin; kx <= half_ + margin; ++kx) {
                *cell(kx, -d) = conjugate(*cell(-kx, d));
                *cell(kx, half_ + d) = conjugate(*cell(-kx, half_ - d));
            }
    }

    // The adjoint of forward: image[x] = Re sum over cells exp(+2 pi i k x / pad).
    void adjoint(vfloat* image) {
        const int centre = box_ / 2;
        fold();
        for (int ky = 0; ky <= half_; ++ky) {
            memcpy(line_, cell(0, ky), sizeof(Complex) * half_);
            memcpy(line_ + half_, cell(-half_, ky), sizeof(Complex) * half_);
            run<1>();
            Complex* out = columns_ + (size_t)ky * stride_;
            memcpy(out + centre, line_, sizeof(Complex) * (box_ - centre));
            memcpy(out, line_ + pad_ - centre, sizeof(Complex) * centre);
        }
        // Along y only real parts are wanted: two columns, completed to real ones, as real and imaginary
        // part.
        for (int x = 0; x < box_; x += 2) {
            const bool two = x + 1 < box_;
            for (int ky = 0; ky <= half_; ++ky) {
                const Complex* c = columns_ + (size_t)ky * stride_ + x;
                const Complex a = c[0], b = two ? c[1] : Complex{};
                if (ky == 0 || ky == half_) {
                    line_[ky] = {a.re, b.re};
                } else {
                    line_[ky] = {0.5f * (a.re - b.im), 0.5f * (a.im + b.re)};
                    line_[pad_ - ky] = {0.5f * (a.re + b.im), 0.5f * (b.re - a.im)};
                }
            }
            run<1>();
            for (int y = 0; y < box_; ++y) {
                const Complex c = line_[y < centre ? y - centre + pad_ : y - centre];
                image[(size_t)y * box_ + x] = c.re;
                if (two) image[(size_t)y * box_ + x + 1] = c.im;
            }
        }
    }

private:
    const int box_, pad_, half_, width_;
    const int stride_;  // of columns_; odd, or a power of two would put a column into one set of the cache
    Plan plan_;
    Buffer<Complex> line_, work_;
    Buffer<Complex> columns_;  // [half + 1][stride]: transformed along y only
    Buffer<Complex> cells_;    // [half + 1 + 2 margin][width]

    static BOXWOOD_INLINE Complex conjugate(Complex a) { return {a.re, -a.im}; }
    static BOXWOOD_INLINE void add(Complex* to, Complex a) {
        to->re += a.re;
        to->im += a.im;
    }

    template <int sign>
    void run() {
        plan_.run<sign>((vfloat*)(Complex*)line_, (vfloat*)(Complex*)work_);
    }

    // Brings what was spread beyond the half plane back to where it belongs.
    void fold() {
        for (int d = 1; d <= margin; ++d)
            for (int kx = -half_ - margin; kx <= half_ + margin; ++kx) {
                add(cell(-kx, d), conjugate(*cell(kx, -d)));
                add(cell(-kx, half_ - d), conjugate(*cell(kx, half_ + d)));
            }
        for (int ky = 0; ky <= half_; ++ky) {
            for (int d = 0; d <= margin; ++d) add(cell(d - half_, ky), *cell(half_ + d, ky));
            for (int d = 1; d <= margin; ++d) add(cell(half_ - d, ky), *cell(-half_ - d, ky));
        }
    }
};

// 1 / (transform of the gridding kernel) at every pixel of a line of the image.
struct Deapodisation {
    Buffer<float> factor;
    explicit Deapodisation(int box) : factor(box) {
        for (int x = 0; x < box; ++x)
            factor[x] = 1.0f / kaiser_bessel_transform((float)(x - box / 2) / (2 * box));
    }
};

// An image into one lane of `out`, shifted by whole pixels with zeros moving in.
void shift_into_lane(const float* in, int box, const int* shift, float* out) {
    const int dx = shift ? shift[0] : 0, dy = shift ? shift[1] : 0;
    for (int y = 0; y < box; ++y) {
        const int sy = y - dy;
        for (int x = 0; x < box; ++x) {
            const int sx = x - dx;
            const bool inside = sx >= 0 && sx < box && sy >= 0 && sy < box;
            out[((size_t)y * box + x) * lanes] = inside ? in[(size_t)sy * box + sx] : 0.0f;
        }
    }
}

// The soft mask: the background's mean, weighted by where the mask takes away, goes first, so that only the
// (unused) zero frequency sees it. Returns the sum of squares. Sums are taken row by row, which keeps
// their roundings small.
vfloat apply_mask(vfloat* image, int box, const float* mask) {
    vfloat sum = {};
    float weight = 0;
    for (int y = 0; y < box; ++y) {
        vfloat row = {};
        float row_weight = 0;
        for (int x = 0; x < box; ++x) {
            const float gone = 1.0f - mask[(size_t)y * box + x];
            row += gone * image[(size_t)y * box + x];
            row_weight += gone;
        }
        sum += row;
        weight += row_weight;
    }
    const vfloat background = weight > 0 ? sum / weight : vfloat{};
    vfloat power = {};
    for (int y = 0; y < box; ++y) {
        vfloat row = {};
        for (int x = 0; x < box; ++x) {
            vfloat& v = image[(size_t)y * box + x];
            v = (v - background) * mask[(size_t)y * box + x];
            row += v * v;
        }
        power += row;
    }
    return power;
}

void multiply(vfloat* image, int box, const float* factor) {
    for (int y = 0; y < box; ++y)
        for (int x = 0; x < box; ++x) image[(size_t)y * box + x] *= factor[y] * factor[x];
}

// Groups of `lanes` images that one task works on.
constexpr int groups_per_task = 4;

// Calls body(first image, number of images, half planes, image memory) for every group.
template <class Body>
void for_groups(int n, int box, int threads, const Body& body) {
    const int per_task = groups_per_task * lanes;
    parallel_for((n + per_task - 1) / per_task, threads, [&](int task, int) {
        HalfPlanes planes(box);
        Buffer<vfloat> image((size_t)box * box);
        for (int first = task * per_task; first < n && first < (task + 1) * per_task; first += lanes)
            body(first, n - first < lanes ? n - first : lanes, planes, image);
    });
}

}  // namespace

void polar_transform(const PolarArgs& a) {
    const Taps taps(a.positions, a.samples);
    const Deapodisation deapodise(a.box);
    const size_t pixels = (size_t)a.box * a.box;
    for_groups(a.n, a.box, a.threads, [&](int first, int count, HalfPlanes& planes, vfloat* image) {
        memset(image, 0, sizeof(vfloat) * pixels);
        for (int l = 0; l < count; ++l)
            shift_into_lane(a.images + (first + l) * pixels, a.box,
                            a.shifts ? a.shifts + 2 * (first + l) : nullptr, (float*)image + l);
        const vfloat power = apply_mask(image, a.box, a.mask);
        if (a.power)
            for (int l = 0; l < count; ++l) a.power[first + l] = power[l];
        multiply(image, a.box, deapodise.factor);
        planes.forward(image);
        for (int j = 0; j < a.samples; ++j) {
            vfloat re = {}, im = {};
            for (int iy = 0; iy < 4; ++iy) {
                const Complex* c = planes.cell(taps.x[j], taps.y[j] + iy);
                vfloat r = {}, m = {};
                for (int ix = 0; ix < 4; ++ix) {
                    r += taps.wx[4 * j + ix] * c[ix].re;
                    m += taps.wx[4 * j + ix] * c[ix].im;
                }
                re += taps.wy[4 * j + iy] * r;
                im += taps.wy[4 * j + iy] * m;
            }
            for (int l = 0; l < count; ++l) {
                float* out = a.out + ((size_t)(first + l) * a.samples + j) * 2;
                out[0] = re[l];
                out[1] = im[l];
            }
        }
    });
}

void polar_adjoint(const PolarAdjointArgs& a) {
    const Taps taps(a.positions, a.samples);
    const Deapodisation deapodise(a.box);
    const size_t pixels = (size_t)a.box * a.box;
    for_groups(a.n, a.box, a.threads, [&](int first, int count, HalfPlanes& planes, vfloat* image) {
        planes.clear();
        for (int j = 0; j < a.samples; ++j) {
            vfloat re = {}, im = {};
            for (int l = 0; l < count; ++l) {
                const float* in = a.samples_in + ((size_t)(first + l) * a.samples + j) * 2;
                re[l] = in[0];
                im[l] = in[1];
            }
            for (int iy = 0; iy < 4; ++iy) {
                Complex* c = planes.cell(taps.x[j], taps.y[j] + iy);
                for (int ix = 0; ix < 4; ++ix) {
                    const float w = taps.wx[4 * j + ix] * taps.wy[4 * j + iy];
                    c[ix].re += w * re;
                    c[ix].im += w * im;
                }
            }
        }
        planes.adjoint(image);
        multiply(image, a.box, deapodise.factor);
        for (int l = 0; l < count; ++l)
            for (size_t i = 0; i < pixels; ++i) a.out[(first + l) * pixels + i] = image[i][l];
    });
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
