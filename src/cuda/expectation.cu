// The expectation of a batch of images on one device: what is in memory, in which order the steps of
// expectation.h run.
#include <string.h>

#include <algorithm>
#include <memory>

#include "cuda/batch.h"
#include "cuda/expectation.h"
#include "cuda/kernels.h"
#include "cuda/libraries.h"
#include "math/rounding.h"

namespace boxwood {
namespace cuda {
namespace {

// Images of a batch at most: enough to fill a device, few enough that reading and computing overlap.
constexpr int most_images = 256;
// Of the memory that is free. The rest is for the libraries and for what cannot be foreseen.
constexpr double usable_memory = 0.9;

std::vector<float2> roots_of(int n) {
    std::vector<float2> roots(n);
    for (int j = 0; j < n; ++j)
        roots[j] = make_float2((float)cos(2 * M_PI * j / n), (float)-sin(2 * M_PI * j / n));
    return roots;
}

// [samples][offsets] from [offsets][samples]: neighbouring threads are neighbouring offsets.
std::vector<float2> transposed(const float* phases, int offsets, int samples) {
    std::vector<float2> out((size_t)offsets * samples);
    for (int t = 0; t < offsets; ++t)
        for (int j = 0; j < samples; ++j)
            out[(size_t)j * offsets + t] =
                make_float2(phases[2 * ((size_t)t * samples + j)], phases[2 * ((size_t)t * samples + j) + 1]);
    return out;
}

// Places of the harmonics on the host, for all rings or the first few.
struct Order {
    int rings, top, coefficients = 0, samples = 0, longest = 0;
    std::vector<int> first_ring, start, harmonic;
    Order(const ExpectationArgs& a, int ring_count)
        : rings(ring_count), top(a.ring_harmonics[ring_count - 1]) {
        for (int m = 0, ring = 0; m <= top; ++m) {
            while (a.ring_harmonics[ring] < m) ++ring;
            first_ring.push_back(ring);
            start.push_back(coefficients);
            coefficients += rings - ring;
            harmonic.insert(harmonic.end(), rings - ring, m);
        }
        start.push_back(coefficients);
        for (int r = 0; r < rings; ++r) {
            samples += a.ring_samples[r] / 2;
            longest = std::max(longest, a.ring_samples[r]);
        }
    }
};

// Conjugates of the references, rounded as their products need it.
std::vector<float2> factors_of(const ExpectationArgs& a) {
    std::vector<float2> out((size_t)a.k * a.coefficients);
    for (size_t i = 0; i < out.size(); ++i) {
        const float re = a.references[2 * i], im = -a.references[2 * i + 1];
        out[i] = make_float2(rounded(re, a.precision), rounded(im, a.precision));
    }
    return out;
}

// What the host makes for all images of a call. A device that reaches ordinary memory by itself reads it when
// its turn comes, so this stays as long as the call.
struct Tables {
    std::vector<float2> psi_roots, ring_roots, factors, phases, coarse_phases;
    std::vector<int> sample_start{0};
    explicit Tables(const ExpectationArgs& a)
        : psi_roots(roots_of(a.psi)),
          factors(factors_of(a)),
          phases(transposed(a.phases, a.t, a.samples)),
          coarse_phases(transposed(a.coarse_phases, a.coarse_t, a.coarse_samples)) {
        for (int r = 0; r < a.rings; ++r) {
            sample_start.push_back(sample_start.back() + a.ring_samples[r] / 2);
            const std::vector<float2> of_ring = roots_of(a.ring_samples[r]);
            ring_roots.insert(ring_roots.end(), of_ring.begin(), of_ring.end());
        }
    }
};

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
    Results(const ExpectationArgs& a, size_t n)
        : counts(3 * n),
          begin(3 * n),
          best(3 * n),
          top_samples(3 * n * a.top),
          statistics(4 * n),
          of_class(n * a.k),
          of_offset(n * a.t),
          cross(n * a.rings),
          model(n * a.rings),
          top_weights(n * a.top) {}
};

// Rows of `width` numbers each, to where those of a call begin with row `first`.
template <class T>
void put(const PinnedArray<T>& from, int first, int n, int width, T* to) {
    std::copy_n(from.data(), (size_t)n * width, to + (size_t)first * width);
}

// What every image of a batch needs; slices have memory of their own.
struct Batch {
    DeviceArray<float2> weighted, ctf_power, norm, coarse_norm, shifted, products;
    DeviceArray<float> peak, share, least;
    DeviceArray<int> counts, pairs_before, group_number, column_number;
};

struct Slice {
    DeviceArray<float2> shifted, posterior, group_sums, group_low;
    DeviceArray<float> values, peak, mass, inverse, statistics, of_class, of_offset, top_weights, cross,
        model;
    DeviceArray<int> lists, kept, best, top_samples, begin;
};

// One call, with at most so many images in a batch. All memory is its own, so that it can be planned from
// what is free.
class Expectation {
public:
    Expectation(const ExpectationArgs& args, int most)
        : a(args),
          most_(most),
          order_(a, a.rings),
          first_order_(a, a.coarse_t ? a.coarse_rings : a.rings),
          tables_(a),
          sent_before_(a.n + 1),
          blas_(computing_),
          numerator_((size_t)a.k * a.coefficients),
          denominator_((size_t)a.k * a.rings * 3) {
        if (a.slots) store_ = store_of(a.store);
        for (int i = 0; i < a.n; ++i) sent_before_[i + 1] = sent_before_[i] + (stored(i) ? 0 : 1);
        upload();
        numerator_.clear(computing_);
        denominator_.clear(computing_);
        fine_ = {a.t, a.rings, a.samples, a.coefficients, order_.top, start_.data(), phases_.data(), nullptr};
        first_ = a.coarse_t ? Pass{a.coarse_t,
                                   first_order_.rings,
                                   a.coarse_samples,
                                   first_order_.coefficients,
                                   first_order_.top,
                                   first_start_.data(),
                                   coarse_phases_.data(),
                                   nullptr}
                            : fine_;
        first_.coefficients = first_order_.coefficients;
    }

    void run() {
        plan();
        reserve_batch();
        for (int first = 0; first < a.n; first += images_) run_batch(first, std::min(images_, a.n - first));
        numerator_.copy_to((double2*)a.numerator, computing_);
        denominator_.copy_to((double2*)a.denominator, computing_);
        computing_.wait("the expectation");
        take_results();
    }

private:
    const ExpectationArgs& a;
    const int most_;
    const Order order_, first_order_;
    const Tables tables_;
    std::vector<int> sent_before_;  // [n + 1]: images before this one that are not in store
    Stream computing_, copying_;
    Blas blas_;
    DeviceArray<int> ring_samples_, ring_harmonics_, first_ring_, start_, harmonic_, first_start_;
    DeviceArray<float2> psi_roots_, references_, factors_, power_;
    DeviceArray<float> log_prior_class_, log_prior_psi_, log_prior_offset_, coarse_log_prior_offset_;
    DeviceArray<float2> phases_, coarse_phases_;
    DeviceArray<int> parent_, group_;
    DeviceArray<float2> scale_;
    DeviceArray<double2> numerator_, denominator_;
    std::shared_ptr<ImageStore> store_;
    DeviceArray<int> sample_start_;
    DeviceArray<float2> ring_roots_;
    DeviceArray<float> weights_;
    Shared shared_{};
    Pass fine_{}, first_{};
    int images_ = 0;          // of a batch
    size_t slice_bytes_ = 0;  // of a slice
    std::unique_ptr<Staging> staging_[2];
    std::unique_ptr<Results> results_;
    int found_first_ = 0, found_ = 0;  // images whose results are on their way
    Batch batch_;
    Slice slice_;
    const Finish computed_{computing_}, copied_{copying_};  // last, so that what they wait for is still there

    void upload() {
        int groups = 0;
        for (int i = 0; i < a.n; ++i) groups = std::max(groups, a.group[i] + 1);
        const auto send = [&](auto& there, const auto& here) {
            there.send(here.data(), here.size(), computing_);
        };
        ring_samples_.send(a.ring_samples, a.rings, computing_);
        ring_harmonics_.send(a.ring_harmonics, a.rings, computing_);
        send(sample_start_, tables_.sample_start);
        send(first_ring_, order_.first_ring);
        send(start_, order_.start);
        send(harmonic_, order_.harmonic);
        send(first_start_, first_order_.start);
        send(ring_roots_, tables_.ring_roots);
        send(psi_roots_, tables_.psi_roots);
        references_.send((const float2*)a.references, (size_t)a.k * a.coefficients, computing_);
        send(factors_, tables_.factors);
        power_.send((const float2*)a.power, (size_t)a.k * a.rings * 3, computing_);
        log_prior_class_.send(a.log_prior_class, a.k, computing_);
        log_prior_psi_.send(a.log_prior_psi, a.log_prior_psi ? a.psi : 0, computing_);
        log_prior_offset_.send(a.log_prior_offset, (size_t)a.n * a.t, computing_);
        coarse_log_prior_offset_.send(a.coarse_log_prior_offset, (size_t)a.n * a.coarse_t, computing_);
        send(phases_, tables_.phases);
        send(coarse_phases_, tables_.coarse_phases);
        parent_.send(a.parent, a.coarse_t ? a.t : 0, computing_);
        group_.send(a.group, a.n, computing_);
        scale_.send((const float2*)a.scale, a.n, computing_);
        weights_.send(a.weights, (size_t)groups * a.rings, computing_);
        shared_ = {a.k,
                   a.psi,
                   a.rings,
                   a.samples,
                   a.coefficients,
                   order_.top,
                   a.hard != 0,
                   a.precision,
                   a.cut,
                   a.fraction,
                   ring_samples_.data(),
                   ring_harmonics_.data(),
                   sample_start_.data(),
                   first_ring_.data(),
                   start_.data(),
                   harmonic_.data(),
                   ring_roots_.data(),
                   psi_roots_.data(),
                   references_.data(),
                   factors_.data(),
                   power_.data(),
                   weights_.data(),
                   log_prior_class_.data(),
                   log_prior_psi_.data()};
    }

    bool stored(int i) const { return a.slots && a.slots[i] >= 0; }

    // Bytes of a batch per image: of what stays, and of the first pass.
    size_t bytes_per_image() const {
        const size_t columns = first_.offsets, pairs = columns * a.k;
        const size_t staged = sent_before_[a.n] ? 2 * 12 : 0;
        return (size_t)a.samples * (staged + 8) + 2 * sizeof(Image) + (size_t)a.rings * 24 +
               (size_t)a.k * 48 + columns * first_.coefficients * 8 +
               pairs * ((first_.top_harmonic + 1) * 8 + 8) + (size_t)a.k * 8 + (size_t)a.t * 4;
    }

    // Bytes of a slice with so many columns, groups and pairs.
    size_t slice_bytes(size_t columns, size_t groups, size_t pairs) const {
        return columns * ((size_t)a.coefficients * 8 + 8) + groups * ((size_t)a.coefficients * 8 + 24 + 16) +
               pairs * ((size_t)a.psi * 4 + (size_t)(a.psi / 2 + 1) * 8 + 20);
    }

    // How many images at once: half of the memory for a batch, half for slices; less of it where fewer images
    // are to be tried.
    void plan() {
        const int wanted = std::min(a.n, most_images);
        const double bytes = usable_memory * free_memory() * most_ / wanted;
        images_ = std::max(1, (int)std::min<double>(most_, 0.5 * bytes / bytes_per_image()));
        slice_bytes_ = (size_t)(0.5 * bytes);
    }

    void reserve_batch() {
        const size_t n = images_, columns = n * first_.offsets, pairs = columns * a.k;
        int sent = 0;  // of one batch at most
        for (int first = 0; first < a.n; first += images_)
            sent = std::max(sent, sent_before_[std::min(a.n, first + images_)] - sent_before_[first]);
        for (auto& staging : staging_) staging.reset(new Staging((size_t)sent * a.samples, n));
        results_.reset(new Results(a, n));
        batch_.weighted.reserve(n * a.samples, computing_);
        batch_.ctf_power.reserve(n * a.rings * 3, computing_);
        batch_.norm.reserve(n * a.k * 3, computing_);
        if (a.coarse_t) batch_.coarse_norm.reserve(n * a.k * 3, computing_);
        batch_.shifted.reserve(columns * first_.coefficients, computing_);
        batch_.products.reserve(pairs * (first_.top_harmonic + 1), computing_);
        batch_.peak.reserve(pairs, computing_);
        batch_.share.reserve(pairs, computing_);
        batch_.least.reserve(n, computing_);
        batch_.counts.reserve(3 * n, computing_);
        batch_.pairs_before.reserve(n * a.k, computing_);
        batch_.group_number.reserve(n * a.k, computing_);
        batch_.column_number.reserve(n * a.t, computing_);
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
        weigh(shared_, n, s.list.data(), group_.data() + first, scale_.data() + first, batch_.weighted.data(),
              batch_.ctf_power.data(), computing_);
        norms(shared_, fine_, n, batch_.ctf_power.data(), batch_.norm.data(), computing_);
        const Choice choice = search_first(first, n);
        batch_.counts.copy_to(results_->counts.data(), (size_t)3 * n, computing_);
        if (first + images_ < a.n) stage(first + images_, std::min(images_, a.n - first - images_));
        computing_.wait("the first pass");
        take_results();
        for (int done = 0; done < n;) {
            const int images = slice_length(done, n);
            run_slice(first, done, images, choice);
            done += images;
        }
        found_first_ = first;
        found_ = n;
    }

    // To the caller what has been found of the batch before, which the host has waited for.
    void take_results() {
        const Results& r = *results_;
        put(r.best, found_first_, found_, 3, a.best);
        put(r.statistics, found_first_, found_, 4, a.statistics);
        put(r.of_class, found_first_, found_, a.k, a.class_posterior);
        put(r.of_offset, found_first_, found_, a.t, a.offset_posterior);
        put(r.cross, found_first_, found_, a.rings, a.cross);
        put(r.model, found_first_, found_, a.rings, a.model);
        put(r.top_samples, found_first_, found_, 3 * a.top, a.top_samples);
        put(r.top_weights, found_first_, found_, a.top, a.top_weights);
        found_ = 0;
    }

    // All classes at all offsets of the first pass, and which of them matter.
    Choice search_first(int first, int n) {
        Choice choice{batch_.share.data(),        batch_.least.data(),        batch_.counts.data(),
                      batch_.pairs_before.data(), batch_.group_number.data(), batch_.column_number.data()};
        const DeviceArray<float2>& norm = a.coarse_t ? batch_.coarse_norm : batch_.norm;
        const int columns = n * first_.offsets;
        first_.log_prior = (a.coarse_t ? coarse_log_prior_offset_ : log_prior_offset_).data() +
                           (size_t)first * first_.offsets;
        if (a.coarse_t)
            norms(shared_, first_, n, batch_.ctf_power.data(), batch_.coarse_norm.data(), computing_);
        shift_and_transform(shared_, first_, first_order_.longest, {columns, nullptr, nullptr},
                            batch_.weighted.data(), shared_.precision, batch_.shifted.data(), computing_);
        {
            const Stage stage("multiply", computing_);
            multiply(blas_, shared_, first_, std::vector<int>(a.ring_harmonics, a.ring_harmonics + a.rings),
                     first_order_.start, order_.start, columns, batch_.shifted.data(),
                     batch_.products.data());
        }
        search(shared_, first_, columns, batch_.products.data(), norm.data(), a.hard && a.coarse_t,
               batch_.peak.data(), batch_.share.data(), computing_);
        choose(shared_, n, first_.offsets, a.coarse_t > 0, batch_.peak.data(), choice, computing_);
        count(shared_, n, first_.offsets, a.t, parent_.data(), choice, computing_);
        return choice;
    }

    // As many images as a slice has room for, at least one.
    int slice_length(int from, int n) const {
        const PinnedArray<int>& counts = results_->counts;
        size_t columns = 0, groups = 0, pairs = 0;
        for (int i = from; i < n; ++i) {
            columns += counts[3 * i];
            groups += counts[3 * i + 1];
            pairs += (counts[3 * i + 2] + 1) / 2 * 2;
            const bool too_many = pairs * a.psi > 0x7fffffff;  // kernels number the values of an image by int
            if (i == from && too_many)
                throw OutOfMemory("one image has more than 2^31 log-likelihoods to be evaluated at once");
            if (i > from && (too_many || slice_bytes(columns, groups, pairs) > slice_bytes_)) return i - from;
        }
        return n - from;
    }

    // The listed pairs of some images of a batch.
    void run_slice(int first, int from, int images, const Choice& choice) {
        const PinnedArray<int>&counts = results_->counts, &begin = results_->begin;
        int columns = 0, groups = 0, pairs = 0;
        for (int i = from; i < from + images; ++i) {
            begin[3 * i] = columns;
            begin[3 * i + 1] = groups;
            begin[3 * i + 2] = pairs;
            columns += counts[3 * i];
            groups += counts[3 * i + 1];
            pairs += (counts[3 * i + 2] + 1) / 2 * 2;
        }
        reserve_slice(images, columns, groups, pairs);
        evaluate_slice(first, from, images, columns, groups, pairs, choice);
    }

    void reserve_slice(size_t n, size_t columns, size_t groups, size_t pairs) {
        slice_.shifted.reserve(columns * a.coefficients, computing_);
        slice_.posterior.reserve(pairs * (a.psi / 2 + 1), computing_);
        slice_.group_sums.reserve(groups * a.coefficients, computing_);
        slice_.group_low.reserve(groups * 3, computing_);
        slice_.values.reserve(pairs * a.psi, computing_);
        slice_.peak.reserve(pairs, computing_);
        slice_.mass.reserve(pairs, computing_);
        slice_.kept.reserve(pairs, computing_);
        slice_.lists.reserve(2 * columns + 2 * pairs + 4 * groups + n * a.k + 4 * n, computing_);
        slice_.begin.reserve(3 * n, computing_);
        slice_.inverse.reserve(n, computing_);
        slice_.statistics.reserve(4 * n, computing_);
        slice_.of_class.reserve(n * a.k, computing_);
        slice_.of_offset.reserve(n * a.t, computing_);
        slice_.best.reserve(3 * n, computing_);
        slice_.top_samples.reserve(3 * n * a.top, computing_);
        slice_.top_weights.reserve(n * a.top, computing_);
        slice_.cross.reserve(n * a.rings, computing_);
        slice_.model.reserve(n * a.rings, computing_);
    }

    Pairs pairs_in(int images, int columns, int groups, int pairs) const {
        int* next = slice_.lists.data();
        const auto take = [&](size_t n) {
            int* const part = next;
            next += n;
            return part;
        };
        Pairs p{};
        p.count = pairs;
        p.groups = groups;
        p.images = images;
        p.columns = {columns, take(columns), take(columns)};
        p.of_class = take(pairs);
        p.column = take(pairs);
        p.group_image = take(groups);
        p.group_class = take(groups);
        p.group_begin = take(groups);
        p.group_end = take(groups);
        p.group_of = take((size_t)images * a.k);
        p.image_begin = take(images);
        p.image_end = take(images);
        p.first_group = take(images);
        p.group_count = take(images);
        return p;
    }

    void evaluate_slice(int first, int from, int n, int columns, int groups, int pair_count,
                        const Choice& all) {
        const Choice choice{all.share + (size_t)from * a.k * first_.offsets,
                            all.least + from,
                            all.counts + 3 * from,
                            all.pairs_before + (size_t)from * a.k,
                            all.group_number + (size_t)from * a.k,
                            all.column_number + (size_t)from * a.t};
        const size_t place = first + from;
        const float2* weighted = batch_.weighted.data() + (size_t)from * a.samples;
        const float2* ctf_power = batch_.ctf_power.data() + (size_t)from * a.rings * 3;
        const float2* norm = batch_.norm.data() + (size_t)from * a.k * 3;
        const Pairs pairs = pairs_in(n, columns, groups, pair_count);
        Posterior posterior{slice_.values.data(),      slice_.peak.data(),
                            slice_.mass.data(),        slice_.kept.data(),
                            slice_.inverse.data(),     slice_.best.data(),
                            slice_.statistics.data(),  slice_.of_class.data(),
                            slice_.of_offset.data(),   a.top,
                            slice_.top_samples.data(), slice_.top_weights.data()};
        Sums sums{slice_.posterior.data(), slice_.group_sums.data(), slice_.group_low.data(),
                  numerator_.data(),       denominator_.data(),      slice_.cross.data(),
                  slice_.model.data()};
        fine_.log_prior = log_prior_offset_.data() + place * a.t;
        slice_.begin.copy_from(results_->begin.data() + 3 * from, (size_t)3 * n, computing_);
        list(shared_, n, first_.offsets, a.t, parent_.data(), choice, slice_.begin.data(), pairs, computing_);
        if (pair_count) {  // there is none if no value of these images is a number
            shift_and_transform(shared_, fine_, order_.longest, pairs.columns, weighted, precision_float32,
                                slice_.shifted.data(), computing_);
            evaluate(shared_, fine_, pairs, slice_.shifted.data(), norm, posterior, computing_);
        }
        normalise(shared_, fine_, pairs, posterior, computing_);
        sum_up(shared_, fine_, pairs, posterior, slice_.shifted.data(), ctf_power, sums, computing_);

        const Results& r = *results_;
        const auto send = [&](const auto& there, const auto& here, size_t width) {
            there.copy_to(here.data() + from * width, n * width, computing_);
        };
        send(slice_.best, r.best, 3);
        send(slice_.statistics, r.statistics, 4);
        send(slice_.of_class, r.of_class, a.k);
        send(slice_.of_offset, r.of_offset, a.t);
        send(slice_.cross, r.cross, a.rings);
        send(slice_.model, r.model, a.rings);
        send(slice_.top_samples, r.top_samples, 3 * a.top);
        send(slice_.top_weights, r.top_weights, a.top);
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
