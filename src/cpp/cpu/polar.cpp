// Images to polar Fourier coordinates and back, by Kaiser-Bessel gridding on a twofold padded grid.
// Definition and accuracy: docs/class2d.md, "The polar grid".
#include "cpu/fft.h"
#include "cpu/kernels.h"
#include "math/kaiser_bessel.h"

namespace boxwood {
namespace BOXWOOD_SIMD {
namespace {

typedef Fft<float, vfloat> Plan;

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
                wx[4 * j + i] = kaiser_bessel(px - (x[j] + i));
                wy[4 * j + i] = kaiser_bessel(py - (y[j] + i));
            }
        }
    }
};

// One worker's padded half plane: coefficients of kx = -pad/2 .. pad/2 (stored modulo pad) and
// ky = -margin .. pad/2 + margin, interleaved complex. Rows of negative ky mirror positive ones.
struct Plane {
    static constexpr int margin = 2;
    const int box, pad, half, rows, groups;
    Plan plan;
    Buffer<vfloat> line, work;
    Buffer<float> columns;  // [box][pad/2+1][re, im]: transformed along y only
    Buffer<float> cells;    // [pad][rows][re, im]

    explicit Plane(int box_px)
        : box(box_px),
          pad(2 * box_px),
          half(box_px),
          rows(half + 1 + 2 * margin),
          groups((half + lanes) / lanes),
          plan(pad),
          line((size_t)2 * pad),
          work((size_t)2 * pad),
          columns((size_t)box * groups * lanes * 2),
          cells((size_t)pad * rows * 2) {}

    float* cell(int kx, int ky) {
        return cells + 2 * ((size_t)((kx % pad + pad) % pad) * rows + ky + margin);
    }

    // image: [box][box], pixel box/2 is the origin.
    void forward(const float* image) {
        const int centre = box / 2, stride = groups * lanes;
        memset(columns, 0, sizeof(float) * box * stride * 2);
        // Along y: two real columns per lane, as real and imaginary part.
        for (int x0 = 0; x0 < box; x0 += 2 * lanes) {
            memset(line, 0, sizeof(vfloat) * 2 * pad);
            for (int y = 0; y < box; ++y) {
                float* cellp = (float*)(line + 2 * ((y - centre + pad) % pad));
                const int n = box - x0 < 2 * lanes ? box - x0 : 2 * lanes;
                memcpy(cellp, image + (size_t)y * box + x0, sizeof(float) * n);
            }
            plan.run<-1>(line, work);
            const float* spectrum = (const float*)(vfloat*)line;
            for (int i = 0; i < lanes; ++i)
                for (int ky = 0; ky <= half; ++ky) {
                    const float* p = spectrum + (size_t)ky * 2 * lanes + i;
                    const float* q = spectrum + (size_t)((pad - ky) % pad) * 2 * lanes + i;
                    const float pr = p[0], pi = p[lanes], qr = q[0], qi = q[lanes];
                    if (x0 + i < box) {
                        float* c = columns + ((size_t)(x0 + i) * stride + ky) * 2;
                        c[0] = 0.5f * (pr + qr);
                        c[1] = 0.5f * (pi - qi);
                    }
                    if (x0 + lanes + i < box) {
                        float* c = columns + ((size_t)(x0 + lanes + i) * stride + ky) * 2;
                        c[0] = 0.5f * (pi + qi);
                        c[1] = 0.5f * (qr - pr);
                    }
                }
        }
        // Along x, lanes = ky.
        for (int g = 0; g < groups; ++g) {
            memset(line, 0, sizeof(vfloat) * 2 * pad);
            for (int x = 0; x < box; ++x) {
                float* out = (float*)(line + 2 * ((x - centre + pad) % pad));
                const float* in = columns + ((size_t)x * stride + g * lanes) * 2;
                for (int i = 0; i < lanes; ++i) {
                    out[i] = in[2 * i];
                    out[lanes + i] = in[2 * i + 1];
                }
            }
            plan.run<-1>(line, work);
            const float* spectrum = (const float*)(vfloat*)line;
            for (int kx = 0; kx < pad; ++kx)
                for (int i = 0; i < lanes && g * lanes + i <= half; ++i) {
                    float* c = cell(kx, g * lanes + i);
                    c[0] = spectrum[(size_t)kx * 2 * lanes + i];
                    c[1] = spectrum[(size_t)kx * 2 * lanes + lanes + i];
                }
        }
        mirror();
    }

    // Fills the margins from Friedel symmetry.
    void mirror() {
        for (int kx = 0; kx < pad; ++kx)
            for (int d = 1; d <= margin; ++d) {
                const float* low = cell(-kx, d);
                float* c = cell(kx, -d);
                c[0] = low[0];
                c[1] = -low[1];
                const float* high = cell(-kx, half - d);  // ky = half + d is -(half - d)
                c = cell(kx, half + d);
                c[0] = high[0];
                c[1] = -high[1];
            }
    }

    // The adjoint of forward: image[x] = Re sum over the whole plane cells exp(+2 pi i k x / pad), where
    // cells hold what the samples of the half circle spread; the other half is their conjugate.
    void adjoint(float* image) {
        const int centre = box / 2, stride = groups * lanes;
        // Fold the margins back. What falls on ky < 0 belongs to the conjugate cell.
        for (int kx = 0; kx < pad; ++kx)
            for (int d = 1; d <= margin; ++d) {
                float* low = cell(-kx, d);
                const float* c = cell(kx, -d);
                low[0] += c[0];
                low[1] -= c[1];
                float* high = cell(-kx, half - d);
                c = cell(kx, half + d);
                high[0] += c[0];
                high[1] -= c[1];
            }
        for (int g = 0; g < groups; ++g) {
            memset(line, 0, sizeof(vfloat) * 2 * pad);
            for (int kx = 0; kx < pad; ++kx) {
                float* out = (float*)(line + 2 * kx);
                for (int i = 0; i < lanes && g * lanes + i <= half; ++i) {
                    const float* c = cell(kx, g * lanes + i);
                    out[i] = c[0];
                    out[lanes + i] = c[1];
                }
            }
            plan.run<1>(line, work);
            for (int x = 0; x < box; ++x) {
                const float* in = (const float*)(line + 2 * ((x - centre + pad) % pad));
                float* out = columns + ((size_t)x * stride + g * lanes) * 2;
                for (int i = 0; i < lanes; ++i) {
                    out[2 * i] = in[i];
                    out[2 * i + 1] = in[lanes + i];
                }
            }
        }
        // Along y only the real part is wanted: a transform of the conjugate-symmetric completion.
        for (int x0 = 0; x0 < box; x0 += lanes) {
            memset(line, 0, sizeof(vfloat) * 2 * pad);
            for (int i = 0; i < lanes && x0 + i < box; ++i)
                for (int ky = 0; ky <= half; ++ky) {
                    const float* c = columns + ((size_t)(x0 + i) * stride + ky) * 2;
                    ((float*)(line + 2 * ky))[i] = c[0];
                    ((float*)(line + 2 * ky))[lanes + i] = c[1];
                }
            plan.run<1>(line, work);
            for (int y = 0; y < box; ++y) {
                const float* in = (const float*)(line + 2 * ((y - centre + pad) % pad));
                for (int i = 0; i < lanes && x0 + i < box; ++i) image[(size_t)y * box + x0 + i] = in[i];
            }
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

// Integer shift with zeros moving in, then the soft mask: the background's mean, weighted by where the
// mask takes away, goes first, so that only the (unused) zero frequency sees it.
void shift_and_mask(const float* in, int box, const int* shift, const float* mask, float* out) {
    const int dx = shift ? shift[0] : 0, dy = shift ? shift[1] : 0;
    double sum = 0, weight = 0;
    for (int y = 0; y < box; ++y)
        for (int x = 0; x < box; ++x) {
            const int sx = x - dx, sy = y - dy;
            const bool inside = sx >= 0 && sx < box && sy >= 0 && sy < box;
            const float v = inside ? in[(size_t)sy * box + sx] : 0.0f;
            const float gone = 1.0f - mask[(size_t)y * box + x];
            out[(size_t)y * box + x] = v;
            sum += gone * v;
            weight += gone;
        }
    const float background = weight > 0 ? (float)(sum / weight) : 0.0f;
    for (int i = 0; i < box * box; ++i) out[i] = (out[i] - background) * mask[i];
}

}  // namespace

void polar_transform(const PolarArgs& a) {
    const Taps taps(a.positions, a.samples);
    const Deapodisation deapodise(a.box);
    const int pixels = a.box * a.box, chunk = 8, tasks = (a.n + chunk - 1) / chunk;
    parallel_for(tasks, a.threads, [&](int task, int) {
        Plane plane(a.box);
        Buffer<float> image(pixels);
        for (int i = task * chunk; i < a.n && i < (task + 1) * chunk; ++i) {
            shift_and_mask(a.images + (size_t)i * pixels, a.box, a.shifts ? a.shifts + 2 * i : nullptr,
                           a.mask, image);
            double power = 0;
            for (int y = 0; y < a.box; ++y)
                for (int x = 0; x < a.box; ++x) {
                    float& v = image[(size_t)y * a.box + x];
                    power += (double)v * v;
                    v *= deapodise.factor[x] * deapodise.factor[y];
                }
            if (a.power) a.power[i] = (float)power;
            plane.forward(image);
            float* out = a.out + (size_t)i * a.samples * 2;
            for (int j = 0; j < a.samples; ++j) {
                float re = 0, im = 0;
                for (int ix = 0; ix < 4; ++ix) {
                    const float* c = plane.cell(taps.x[j] + ix, taps.y[j]);
                    float r = 0, m = 0;
                    for (int iy = 0; iy < 4; ++iy) {
                        r += taps.wy[4 * j + iy] * c[2 * iy];
                        m += taps.wy[4 * j + iy] * c[2 * iy + 1];
                    }
                    re += taps.wx[4 * j + ix] * r;
                    im += taps.wx[4 * j + ix] * m;
                }
                out[2 * j] = re;
                out[2 * j + 1] = im;
            }
        }
    });
}

void polar_adjoint(const PolarAdjointArgs& a) {
    const Taps taps(a.positions, a.samples);
    const Deapodisation deapodise(a.box);
    parallel_for(a.n, a.threads, [&](int i, int) {
        Plane plane(a.box);
        memset(plane.cells, 0, sizeof(float) * 2 * plane.pad * plane.rows);
        const float* in = a.samples_in + (size_t)i * a.samples * 2;
        for (int j = 0; j < a.samples; ++j)
            for (int ix = 0; ix < 4; ++ix) {
                float* c = plane.cell(taps.x[j] + ix, taps.y[j]);
                for (int iy = 0; iy < 4; ++iy) {
                    const float w = taps.wx[4 * j + ix] * taps.wy[4 * j + iy];
                    c[2 * iy] += w * in[2 * j];
                    c[2 * iy + 1] += w * in[2 * j + 1];
                }
            }
        float* image = a.out + (size_t)i * a.box * a.box;
        plane.adjoint(image);
        for (int y = 0; y < a.box; ++y)
            for (int x = 0; x < a.box; ++x)
                image[(size_t)y * a.box + x] *= deapodise.factor[x] * deapodise.factor[y];
    });
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood
