// The arguments of every kernel that more than one backend has, on the host. Arrays are C-contiguous; shapes
// stand in brackets. Lengths are in pixels unless said otherwise. `threads` means something to the CPU only.
#pragma once
#include <stdint.h>

#include "math/ctf.h"

namespace boxwood {

// CTF of n images at m spatial frequencies: out[n, m].
struct CtfArgs {
    int n, m;
    const double* rows;        // [n, ctf_columns]
    const float* frequencies;  // [m, 2] in 1/Angstrom: x, y
    int mode;                  // CtfMode flags
    int threads;
    float* out;  // [n, m]
};

// Images to samples of their Fourier transform on the half circle: shift by whole pixels, soft mask,
// gridding. out[i, j] = sum_x image(x) exp(-2 pi i positions_j . x / box), x from pixel box/2.
struct PolarArgs {
    int n, box, samples;
    const float* images;     // [n, box, box]
    const int* shifts;       // [n, 2] x, y; or null
    const float* mask;       // [box, box], 0 to 1
    const float* positions;  // [samples, 2] x, y in cycles per box, |position| < box/2, y >= 0
    int threads;
    float* out;    // [n, samples, 2] re, im
    float* power;  // [n] sum of squares of the masked image; or null
};

// The adjoint: out[i, x] = Re sum_j in_j exp(+2 pi i positions_j . x / box).
struct PolarAdjointArgs {
    int n, box, samples;
    const float* samples_in;  // [n, samples, 2]
    const float* positions;   // [samples, 2]
    int threads;
    float* out;  // [n, box, box]
};

// How the inputs of the product of references and images are rounded.
enum Precision { precision_float32, precision_tf32, precision_bf16 };

// Expectation of a batch of images in polar Fourier coordinates, and the sums the maximisation needs.
// The method is in docs/class2d.md; the packed order of coefficients is m outer, ring inner, over
// rings whose harmonics reach m.
struct ExpectationArgs {
    int n;                                 // images
    int k;                                 // classes
    int t;                                 // offsets
    int coarse_t;                          // offsets of the first pass; 0: everything is searched at once
    int coarse_rings;                      // rings of the first pass
    int coarse_samples;                    // half-circle samples of these rings
    int psi;                               // in-plane angles, even, 2^a 3^b 5^c
    int rings;                             // rings in use; ring i has radius i + 1
    int samples;                           // half-circle samples of these rings
    int coefficients;                      // packed harmonics of these rings
    int stride;                            // samples stored per image (>= samples)
    const int* ring_samples;               // [rings] samples of the full circle, multiple of 4
    const int* ring_harmonics;             // [rings] largest harmonic
    const float* images;                   // [n, stride, 2], or without those that a device has in store
    const float* ctf;                      // [n, stride], the same
    const int* slots;                      // [n] place in a device's store, -1: in `images`; or null
    int store;                             // which (cuda/image_store.h), if there are slots
    const int* group;                      // [n] noise group
    const float* weights;                  // [groups, rings]: ring weight / (samples * sigma2)
    const float* scale;                    // [n, 2]: factor of the image, factor of the CTF
    const float* references;               // [k, coefficients, 2]
    const float* power;                    // [k, rings, 3, 2]: harmonics 0, 2, 4 of |reference|^2
    const float* phases;                   // [t, samples, 2]: exp(-2 pi i f . offset / box)
    const float* coarse_phases;            // [coarse_t, coarse_samples, 2]
    const int* parent;                     // [t]: the coarse offset whose neighbour this one is
    const float* log_prior_offset;         // [n, t]
    const float* coarse_log_prior_offset;  // [n, coarse_t]
    const float* log_prior_class;          // [k]
    const float* log_prior_psi;            // [psi]; or null for a flat one
    int hard;                              // 1: all weight on the largest cross / sqrt(norm), priors unused
    float cut;       // (class, offset) pairs whose best log-likelihood is this far below the best are dropped
    float fraction;  // of the posterior over (class, offset) pairs that is kept by either pass
    int top;         // how many of the largest samples to report
    Precision precision;
    int threads;
    int* best;                // [n, 3] class, psi, offset
    int* top_samples;         // [n, top, 3] class, psi, offset
    float* top_weights;       // [n, top] decreasing
    float* statistics;        // [n, 4] log sum, largest probability, entropy, value at best
    float* class_posterior;   // [n, k]
    float* offset_posterior;  // [n, t]
    float* cross;             // [n, rings] sum p Re <reference, image>
    float* model;             // [n, rings] sum p <|reference|^2 CTF^2>
    double* numerator;        // [k, coefficients, 2]
    double* denominator;      // [k, rings, 3, 2]
};

// Laplacian-of-Gaussian picking: the maximum over a bank of filters, on a work_size x work_size map.
// The micrograph is normalised and centred in the square of its longer side n. If it is constant or
// not finite, only mean and sigma are written.
struct LogPickArgs {
    int ny, nx, work_size, filters, threads;
    const float* micrograph;  // [ny, nx]
    const float* outside;     // [n n - ny nx]: the rest of the square, row by row
    const double* variances;  // [filters]: see math/log_filter.h, in (cycles per n pixels)^2
    double outlier_sigma;     // pixels further from the mean become the mean
    double sign;              // -1: particles are dark
    float* best;              // [work_size, work_size]: the largest response
    uint8_t* index;           // [work_size, work_size]: the first filter that gave it
    double *mean, *sigma;     // of the micrograph
};

// Peaks of such a map, by decreasing value (equal ones in the order of the map): each one clears the
// disc around it. Those at or above the ceiling clear theirs, too, but are not reported.
struct LogPeaksArgs {
    int work_size, filters;
    const float* best;       // [work_size, work_size]
    const uint8_t* index;    // [work_size, work_size]
    const uint8_t* allowed;  // [filters]: only pixels of these filters count, for peaks and statistics
    const int64_t* radius2;  // [filters]: a disc is distance^2 < radius2, in pixels of the map
    int y_begin, y_end, x_begin, x_end;  // elsewhere the map is taken as 0
    double adjust, upper;                // threshold and ceiling: mean + this * standard deviation
    double *threshold, *ceiling;         // NaN if no pixel is of an allowed filter
    int32_t* peaks;                      // [at most work_size^2]: y * work_size + x
    int* count;
};

// A plane on a coarser grid: its low frequencies, transformed back; grey values keep their meaning.
struct FourierCropArgs {
    int ny, nx, my, mx;  // my <= ny, mx <= nx, both even
    int threads;
    const float* image;  // [ny, nx]
    float offset;        // subtracted from every pixel
    float* out;          // [my, mx]
};

// Correlations of an image with filters whose transform is h(|k|) exp(i m phi), see math/steerable.h.
struct SteerableArgs {
    int ny, nx, py, px;    // py, px: even sides, at least ny, nx, of the periodic plane; the rest is 0
    int filters, samples;  // samples: entries of a table of h
    int threads;
    const float* image;    // [ny, nx]
    const float* tables;   // [filters, samples]
    const int* orders;     // [filters] m
    const float* weights;  // [filters]
    float* linear;         // [filters of order 0, ny, nx]: their responses
    float* power;          // [ny, nx]: sum over the others of weight |response|^2
};

enum ExtractFault { extract_constant = 1, extract_not_finite = 2 };

// Particles cut out of one micrograph, rescaled in Fourier space and normalised. All sizes are even.
// The order of the steps and their formulas: docs/conventions.md, "Extraction".
struct ExtractArgs {
    int n, ny, nx;
    const float* micrograph;  // [ny, nx]
    const int* centres;       // [n, 2] x, y: the pixel that becomes the origin of the box
    const float* shifts;      // [n, 2] x, y in micrograph pixels: content moves by this; or null
    const float* filters;     // [filter_count, filter_box, filter_box / 2 + 1] of the spectrum; or null
    int filter_count;         // 1 or n
    int filter_box;           // at least box
    float fill;               // grey value outside the micrograph while filtering
    int box, scaled, window;  // sides: cut out; after rescaling; of the output, at most scaled
    float background_radius;  // output pixels farther from the origin are background; < 0: no normalisation
    int ramp;                 // subtract the background's plane
    float white_dust, black_dust;  // standard deviations beyond which a pixel becomes noise; <= 0: off
    int invert;
    uint64_t seed;
    int threads;
    float* out;   // [n, window, window]
    int* faults;  // [n] 0 or ExtractFault; the image of a fault is zero
};

}  // namespace boxwood
