// Memory that the expectation needs for the images it works on at once: how much it is, and what lies where.
#pragma once
#include "cuda/expectation.h"

namespace boxwood {
namespace cuda {

// Images on their way to the device, those that it does not have in store.
struct Staging {
    PinnedArray<float2> host_images;
    PinnedArray<float> host_ctf;
    PinnedArray<Image> host_list;
    DeviceArray<float2> images;
    DeviceArray<float> ctf;
    DeviceArray<Image> list;  // of all images of the batch
    Event copied;
    Staging(size_t samples, size_t n)
        : host_images(samples), host_ctf(samples), host_list(n), images(samples), ctf(samples), list(n) {}
};

// What goes between the host and a batch besides images. None of it is in ordinary memory: the host would
// wait for such a copy, and for all that is before it in its stream.
struct Results {
    PinnedArray<int> counts, begin, best, top_samples;
    PinnedArray<float> statistics, of_class, of_offset, cross, model, top_weights;
    Results(const ExpectationArgs&, size_t n);
    // To the caller, for n images from one of the call's on.
    void give(const ExpectationArgs&, int first, int n) const;
};

// What every image of a batch needs; slices have memory of their own.
struct Batch {
    DeviceArray<float2> weighted, ctf_power, norm, coarse_norm, shifted, products;
    DeviceArray<float> peak, share, least;
    DeviceArray<int> counts, pairs_before, group_number, column_number;

    // Bytes per image: of what stays, and of the first pass.
    static size_t bytes_per_image(const ExpectationArgs&, const Pass& first, bool staged);
    void reserve(const ExpectationArgs&, const Pass& first, size_t n, const Stream&);
    Choice choice() const;
};

// What is to be evaluated of the images of a slice.
struct Extent {
    size_t columns = 0, groups = 0, pairs = 0;
    void add(const int* counts);  // of an image: columns, groups, pairs
};

struct Slice {
    DeviceArray<float2> shifted, posterior, group_sums, group_low;
    DeviceArray<float> values, peak, mass, inverse, statistics, of_class, of_offset, top_weights, cross,
        model;
    DeviceArray<int> lists, kept, best, top_samples, begin;

    static size_t bytes(const ExpectationArgs&, const Extent&);
    void reserve(const ExpectationArgs&, size_t n, const Extent&, const Stream&);
    Pairs pairs(int k, int n, const Extent&) const;
    Posterior found(int top) const;
    // Of n images to where those of a batch begin with `from`.
    void send(const ExpectationArgs&, size_t from, size_t n, const Results&, const Stream&) const;
};

}  // namespace cuda
}  // namespace boxwood
