// The expectation of a call on one device: in which order the steps of expectation.h run, and on how many
// images at once.
#include <string.h>

#include <algorithm>
#include <memory>

#include "cuda/expectation_memory.h"
#include "cuda/expectation_shared.h"
#include "cuda/kernels.h"
#include "cuda/libraries.h"

namespace boxwood {
namespace cuda {
namespace {

// Images of a batch at most: enough to fill a device, few enough that reading and computing overlap.
constexpr int most_images = 256;
// Of the memory that is free. The rest is for the libraries and for what cannot be foreseen.
constexpr double usable_memory = 0.9;

// One call, with at most so many images in a batch. All memory is its own, so that it can be planned from
// what is free.
class Expectation {
public:
    Expectation(const ExpectationArgs& args, int most)
        : a(args),
          most_(most),
          sent_before_(a.n + 1),
          blas_(computing_),
          tables_(a, computing_),
          numerator_((size_t)a.k * a.coefficients),
          denominator_((size_t)a.k * a.rings * 3) {
        if (a.slots) store_ = store_of(a.store);
        for (int i = 0; i < a.n; ++i) sent_before_[i + 1] = sent_before_[i] + (stored(i) ? 0 : 1);
        numerator_.clear(computing_);
        denominator_.clear(computing_);
    }

    void run() {
        plan();
        reserve();
        for (int first = 0; first < a.n; first += images_) run_batch(first, std::min(images_, a.n - first));
        numerator_.copy_to((double2*)a.numerator, computing_);
        denominator_.copy_to((double2*)a.denominator, computing_);
        computing_.wait("the expectation");
        take_results();
    }

private:
    const ExpectationArgs& a;
    const int most_;
    std::vector<int> sent_before_;  // [n + 1]: images before this one that are not in store
    Stream computing_, copying_;
    Blas blas_;
    const SharedTables tables_;
    DeviceArray<double2> numerator_, denominator_;
    std::shared_ptr<ImageStore> store_;
    int images_ = 0;          // of a batch
    size_t slice_bytes_ = 0;  // of a slice
    std::unique_ptr<Staging> staging_[2];
    std::unique_ptr<Results> results_;
    int found_first_ = 0, found_ = 0;  // images whose results are on their way
    Batch batch_;
    Slice slice_;
    const Finish computed_{computing_}, copied_{copying_};  // last, so that what they wait for is still there

    bool stored(int i) const { return a.slots && a.slots[i] >= 0; }

    // How many images at once: half of the memory for a batch, half for slices; less of it where fewer images
    // are to be tried.
    void plan() {
        const int wanted = std::min(a.n, most_images);
        const double half = 0.5 * usable_memory * free_memory() * most_ / wanted;
        const size_t each = Batch::bytes_per_image(a, tables_.first(0), sent_before_[a.n] > 0);
        images_ = std::max(1, (int)std::min<double>(most_, half / each));
        slice_bytes_ = (size_t)half;
    }

    void reserve() {
        int sent = 0;  // of one batch at most
        for (int first = 0; first < a.n; first += images_)
            sent = std::max(sent, sent_before_[std::min(a.n, first + images_)] - sent_before_[first]);
        for (auto& staging : staging_) staging.reset(new Staging((size_t)sent * a.samples, images_));
        results_.reset(new Results(a, images_));
        batch_.reserve(a, tables_.first(0), images_, computing_);
    }

    // Copies those images of a batch that are not in store, by way of pinned memory, while the batch before
    // is computed; the one before that, whose memory is used again, has been waited for.
    void stage(int first, int n) {
        Staging& s = *staging_[first / images_ % 2];
        size_t to = 0;
        for (int i = first; i < first + n; ++i) {
            if (stored(i)) {
                s.host_list[i - first] = store_->at(a.slots[i]);
                continue;
            }
            const size_t from = (size_t)sent_before_[i] * a.stride;
            memcpy(s.host_images.data() + to, a.images + 2 * from, a.samples * sizeof(float2));
            memcpy(s.host_ctf.data() + to, a.ctf + from, a.samples * sizeof(float));
            s.host_list[i - first] = {s.images.data() + to, s.ctf.data() + to};
            to += a.samples;
        }
        s.images.copy_from(s.host_images.data(), to, copying_);
        s.ctf.copy_from(s.host_ctf.data(), to, copying_);
        s.list.copy_from(s.host_list.data(), n, copying_);
        s.copied.record(copying_);
    }

    void run_batch(int first, int n) {
        if (first == 0) stage(0, n);
        Staging& s = *staging_[first / images_ % 2];
        s.copied.hold(computing_);
        weigh(tables_.shared(), n, s.list.data(), tables_.group(first), tables_.scale(first),
              batch_.weighted.data(), batch_.ctf_power.data(), computing_);
        norms(tables_.shared(), tables_.whole(first), n, batch_.ctf_power.data(), batch_.norm.data(),
              computing_);
        search_first(first, n);
        batch_.counts.copy_to(results_->counts.data(), (size_t)3 * n, computing_);
        if (first + images_ < a.n) stage(first + images_, std::min(images_, a.n - first - images_));
        computing_.wait("the first pass");
        take_results();
        for (int done = 0; done < n;) {
            const int images = slice_length(done, n);
            run_slice(first, done, images);
            done += images;
        }
        found_first_ = first;
        found_ = n;
    }

    // To the caller what has been found of the batch before, which the host has waited for.
    void take_results() {
        results_->give(a, found_first_, found_);
        found_ = 0;
    }

    // All classes at all offsets of the first pass, and which of them matter.
    void search_first(int image, int n) {
        const Shared& shared = tables_.shared();
        const Pass pass = tables_.first(image);
        const int columns = n * pass.offsets;
        const DeviceArray<float2>& norm = a.coarse_t ? batch_.coarse_norm : batch_.norm;
        if (a.coarse_t) norms(shared, pass, n, batch_.ctf_power.data(), norm.data(), computing_);
        shift_and_transform(shared, pass, tables_.first_order.longest, {columns, nullptr, nullptr},
                            batch_.weighted.data(), shared.precision, batch_.shifted.data(), computing_);
        {
            const Stage stage("multiply", computing_);
            multiply(blas_, shared, pass, std::vector<int>(a.ring_harmonics, a.ring_harmonics + a.rings),
                     tables_.first_order.start, tables_.order.start, columns, batch_.shifted.data(),
                     batch_.products.data());
        }
        search(shared, pass, columns, batch_.products.data(), norm.data(), a.hard && a.coarse_t,
               batch_.peak.data(), batch_.share.data(), computing_);
        Choice choice = batch_.choice();
        choose(shared, n, pass.offsets, a.coarse_t > 0, batch_.peak.data(), choice, computing_);
        count(shared, n, pass.offsets, a.t, tables_.parent(), choice, computing_);
    }

    // As many images as a slice has room for, at least one.
    int slice_length(int from, int n) const {
        Extent extent;
        for (int i = from; i < n; ++i) {
            extent.add(results_->counts.data() + 3 * i);
            const bool too_many = extent.pairs * a.psi > 0x7fffffff;  // kernels number values by int
            if (i == from && too_many)
                throw OutOfMemory("one image has more than 2^31 log-likelihoods to be evaluated at once");
            if (i > from && (too_many || Slice::bytes(a, extent) > slice_bytes_)) return i - from;
        }
        return n - from;
    }

    // The listed pairs of n images of a batch.
    void run_slice(int first, int from, int n) {
        int* const begin = results_->begin.data() + 3 * from;
        Extent extent;
        for (int i = 0; i < n; ++i) {
            begin[3 * i] = (int)extent.columns;
            begin[3 * i + 1] = (int)extent.groups;
            begin[3 * i + 2] = (int)extent.pairs;
            extent.add(results_->counts.data() + 3 * (from + i));
        }
        slice_.reserve(a, n, extent, computing_);
        slice_.begin.copy_from(begin, (size_t)3 * n, computing_);
        evaluate_slice(first, from, n, slice_.pairs(a.k, n, extent));
        slice_.send(a, from, n, *results_, computing_);
    }

    void evaluate_slice(int first, int from, int n, const Pairs& pairs) {
        const Shared& shared = tables_.shared();
        const Pass pass = tables_.whole(first + from);
        const int first_offsets = tables_.first(0).offsets;
        const Choice all = batch_.choice();
        const Choice choice{all.share + (size_t)from * a.k * first_offsets,
                            all.least + from,
                            all.counts + 3 * from,
                            all.pairs_before + (size_t)from * a.k,
                            all.group_number + (size_t)from * a.k,
                            all.column_number + (size_t)from * a.t};
        const float2* weighted = batch_.weighted.data() + (size_t)from * a.samples;
        const float2* ctf_power = batch_.ctf_power.data() + (size_t)from * a.rings * 3;
        const float2* norm = batch_.norm.data() + (size_t)from * a.k * 3;
        Posterior posterior = slice_.found(a.top);
        Sums sums{slice_.posterior.data(), slice_.group_sums.data(), slice_.group_low.data(),
                  numerator_.data(),       denominator_.data(),      slice_.cross.data(),
                  slice_.model.data()};
        list(shared, n, first_offsets, a.t, tables_.parent(), choice, slice_.begin.data(), pairs, computing_);
        if (pairs.count) {  // there is none if no value of these images is a number
            shift_and_transform(shared, pass, tables_.order.longest, pairs.columns, weighted,
                                precision_float32, slice_.shifted.data(), computing_);
            evaluate(shared, pass, pairs, slice_.shifted.data(), norm, posterior, computing_);
        }
        normalise(shared, pass, pairs, posterior, computing_);
        sum_up(shared, pass, pairs, posterior, slice_.shifted.data(), ctf_power, sums, computing_);
    }
};

void check_slots(const ExpectationArgs& a, int device) {
    if (!a.slots) return;
    const std::shared_ptr<ImageStore> store = store_of(a.store);
    bool fits = store->device() == device && store->samples() >= a.samples;
    for (int i = 0; i < a.n; ++i) fits &= a.slots[i] < store->slots();
    if (!fits) throw std::invalid_argument("these images are not in the store");
}

}  // namespace

void expectation(const ExpectationArgs& a, int device) {
    if (a.n == 0) return;
    use_device(device);
    check_slots(a, device);
    with_less_on_failure(std::min(a.n, most_images), [&](int most) { Expectation(a, most).run(); });
}

}  // namespace cuda
}  // namespace boxwood
