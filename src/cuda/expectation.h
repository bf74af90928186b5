// The steps of the expectation on a device and what they share; expectation.cu runs them, docs/class2d.md has
// the equations, docs/cuda.md the plan. Images are worked on in batches; of a batch,
//   weigh, shift_and_transform   Y of every image at every offset of the first pass,
//   multiply                     Z = conj(A) Y for all classes: one batched matrix product per run of
//   harmonics, search                       Z to all angles, and their largest value and sum of exponentials,
//   choose, list                 the (class, offset) pairs that matter, as lists;
// and of slices of it, as many images as have room,
//   shift_and_transform, evaluate   the values of the listed pairs at all angles,
//   normalise                    the posterior and what is asked of it,
//   posterior_harmonics, sum_groups …   the sums for the maximisation.
#pragma once
#include <cublas_v2.h>

#include "cuda/image_store.h"
#include "cuda/runtime.h"
#include "math/arguments.h"

namespace boxwood {
namespace cuda {

constexpr float impossible = -1e30f;
constexpr int threads_per_block = 256;

// What all images of a call share, in device memory.
struct Shared {
    int k, psi, rings, samples, coefficients, top_harmonic;
    bool hard;
    Precision precision;
    float cut, fraction;
    const int *ring_samples, *ring_harmonics, *sample_start;  // [rings]
    const int *first_ring, *start;                            // [top_harmonic + 2], in all rings
    const int* harmonic;                                      // [coefficients]
    const float2* ring_roots;  // exp(-2 pi i j/n) of ring r, from 2 sample_start[r]
    const float2* psi_roots;   // [psi]
    const float2* references;  // [k][coefficients]
    const float2* factors;     // their conjugates, as they are multiplied
    const float2* power;       // [k][rings][3]
    const float *weights, *log_prior_class, *log_prior_psi;  // the last may be null
};

// Offsets that are searched, and on how many rings.
struct Pass {
    int offsets, rings, samples, coefficients, top_harmonic;
    const int* start;        // [top_harmonic + 1], in these rings
    const float2* phases;    // [samples][offsets]
    const float* log_prior;  // [images][offsets]
};

// A column is one image at one offset: column image * offsets + offset, or as listed.
struct Columns {
    int count;
    int *image, *offset;  // or null
};

// Pairs of a class and a column that are evaluated, ordered by image, class and offset; a group is those of
// one image and class. Each image has an even number of places; the last may count nowhere.
struct Pairs {
    int count, groups, images;
    Columns columns;
    int *of_class, *column;          // [count]
    int *group_image, *group_class;  // [groups]
    int *group_begin, *group_end;    // [groups]: pairs
    int* group_of;                   // [images][k], -1: none
    int *image_begin, *image_end;    // [images]: pairs
    int *first_group, *group_count;  // [images]
};

// One entry of every list per image of a batch.
struct Choice {
    float* share;        // [images][k][offsets of the first pass]
    float* least;        // [images]: what counts
    int* counts;         // [images][3]: columns, groups, pairs
    int* pairs_before;   // [images][k]
    int* group_number;   // [images][k], -1: none
    int* column_number;  // [images][offsets], -1: none
};

struct Posterior {
    float* values;      // [pairs][psi]: log-likelihoods, later posterior times the sum
    float* peak;        // [pairs]
    float* mass;        // [pairs]
    int* kept;          // [pairs]
    float* inverse;     // [images]: 1 / sum
    int* best;          // [images][3]
    float* statistics;  // [images][4]
    float *of_class, *of_offset;
    int top;
    int* top_samples;
    float* top_weights;
};

struct Sums {
    float2* posterior;     // [psi/2 + 1][pairs]
    float2* group_sums;    // [groups][coefficients]
    float2* group_low;     // [groups][3]
    double2* numerator;    // [k][coefficients]
    double2* denominator;  // [k][rings][3]
    float *cross, *model;  // [images][rings]
};

// Lanes of a block whose columns need so many bytes each: 32, or fewer where shared memory would run short.
inline int lanes_for(size_t bytes_per_lane) {
    int lanes = 32;
    while (lanes > 8 && lanes * bytes_per_lane > ordinary_shared_bytes) lanes /= 2;
    while (lanes > 1 && lanes * bytes_per_lane > most_shared_bytes) lanes /= 2;
    return lanes;
}

// expectation_shift.cu
void weigh(const Shared&, int images, const Image* list, const int* group, const float2* scale,
           float2* weighted, float2* ctf_power, const Stream&);
void norms(const Shared&, const Pass&, int images, const float2* ctf_power, float2* norm, const Stream&);
void shift_and_transform(const Shared&, const Pass&, int longest_ring, const Columns&, const float2* weighted,
                         Precision, float2* shifted, const Stream&);
// expectation_likelihood.cu
void multiply(cublasHandle_t, const Shared&, const Pass&, const std::vector<int>& ring_harmonics,
              const std::vector<int>& pass_start, const std::vector<int>& start, int columns,
              const float2* shifted, float2* products);
void search(const Shared&, const Pass&, int columns, const float2* products, const float2* norm,
            bool correlation_to_value, float* peak, float* mass, const Stream&);
void evaluate(const Shared&, const Pass&, const Pairs&, const float2* shifted, const float2* norm, Posterior&,
              const Stream&);
void posterior_harmonics(const Shared&, const Pairs&, const Posterior&, Sums&, const Stream&);
// expectation_choose.cu
void choose(const Shared&, int images, int offsets, bool by_fraction, const float* peak, Choice&,
            const Stream&);
void count(const Shared&, int images, int coarse_offsets, int offsets, const int* parent, Choice&,
           const Stream&);
void list(const Shared&, int images, int coarse_offsets, int offsets, const int* parent, const Choice&,
          const int* begin, const Pairs&, const Stream&);
// expectation_posterior.cu
void normalise(const Shared&, const Pass&, const Pairs&, Posterior&, const Stream&);
// expectation_sums.cu
void sum_up(const Shared&, const Pass&, const Pairs&, const Posterior&, const float2* shifted,
            const float2* ctf_power, Sums&, const Stream&);

}  // namespace cuda
}  // namespace boxwood
