// Extraction in batches of particles: one batch's filters come and another's images go while a third is
// worked on.
#include <memory>

#include "cuda/batch.h"
#include "cuda/extract.h"
#include "cuda/kernels.h"
#include "cuda/libraries.h"

namespace boxwood {
namespace cuda {
namespace {

// A batch on its way: what comes with it and what it leaves.
struct Slot {
    PinnedArray<float> filters_here, images_here;
    PinnedArray<int> faults_here;
    DeviceArray<float> filters, images;
    DeviceArray<int> faults;
    Event sent, made, back;
    int first = 0, used = 0;  // particles; none: nothing is on its way

    Slot(size_t filters_size, size_t images_size, int batch)
        : filters_here(filters_size),
          images_here(images_size),
          faults_here(batch),
          filters(filters_size),
          images(images_size),
          faults(batch) {}
};

// All of a call. Streams come first, so that they outlive what they use.
class Extraction {
public:
    Extraction(const ExtractArgs& args, const Micrograph& micrograph, int batch)
        : a_(args),
          micrograph_(micrograph),
          batch_(batch),
          rescaled_(a_.shifts || a_.scaled != a_.box),
          own_filters_(a_.filters && a_.filter_count > 1),
          centres_(2 * (size_t)a_.n),
          shifts_(a_.shifts ? 2 * (size_t)a_.n : 0),
          common_filter_(a_.filters && !own_filters_ ? half_plane(a_.filter_box) : 0),
          levels_(batch),
          boxes_(batch * square(std::max(a_.box, a_.scaled))),
          wide_(a_.filters ? batch * square(a_.filter_box) : 0),
          spectra_(batch *
                   std::max(a_.filters ? half_plane(a_.filter_box) : 0, rescaled_ ? half_plane(a_.box) : 0)),
          cropped_(rescaled_ ? batch * half_plane(a_.scaled) : 0),
          phases_(a_.shifts ? 2 * (size_t)batch * (a_.box / 2 + 1) : 0),
          slots_{{filters_size(), batch * square(a_.window), batch},
                 {filters_size(), batch * square(a_.window), batch}} {
        if (a_.background_radius >= 0) plan_normalisation();
        if (a_.filters) {
            filter_forward_ = plan(a_.filter_box, CUFFT_R2C);
            filter_back_ = plan(a_.filter_box, CUFFT_C2R);
        }
        if (rescaled_) {
            forward_ = plan(a_.box, CUFFT_R2C);
            back_ = plan(a_.scaled, CUFFT_C2R);
        }
    }

    void run() {
        const Finish came(coming_), went(going_), computed(computing_);
        centres_.copy_from(a_.centres, centres_.size(), computing_);
        shifts_.copy_from(a_.shifts, shifts_.size(), computing_);
        common_filter_.copy_from(a_.filters, common_filter_.size(), computing_);
        int turn = 0;
        for (int first = 0; first < a_.n; first += batch_, turn ^= 1) {
            Slot& slot = slots_[turn];
            collect(slot);
            slot.first = first;
            slot.used = std::min(batch_, a_.n - first);
            send_filters(slot);
            work(slot);
            slot.made.record(computing_);
            slot.made.hold(going_);
            slot.images.copy_to(slot.images_here.data(), slot.used * square(a_.window), going_);
            slot.faults.copy_to(slot.faults_here.data(), slot.used, going_);
            slot.back.record(going_);
        }
        for (Slot& slot : slots_) collect(slot);
    }

    // Bytes of the device that a particle needs, with as much for cuFFT as for what it transforms.
    static size_t bytes_each(const ExtractArgs& a) {
        const size_t boxes = std::max(square(a.box), square(a.scaled)),
                     wide = a.filters ? square(a.filter_box) : 0;
        return sizeof(float) * (5 * boxes + 2 * square(a.scaled) + 2 * square(a.window) + 6 * wide);
    }

private:
    const ExtractArgs& a_;
    const Micrograph micrograph_;
    const int batch_;
    const bool rescaled_, own_filters_;
    const Stream coming_, computing_, going_;
    DeviceArray<int> centres_;
    DeviceArray<float> shifts_, common_filter_;
    const DeviceArray<float> levels_, boxes_, wide_;
    const DeviceArray<float2> spectra_, cropped_, phases_;
    Slot slots_[2];
    std::unique_ptr<FftPlan> filter_forward_, filter_back_, forward_, back_;
    Normalisation normalisation_ = {};

    static size_t square(int n) { return (size_t)n * n; }
    static size_t half_plane(int n) { return (size_t)n * (n / 2 + 1); }
    size_t filters_size() const { return own_filters_ ? batch_ * half_plane(a_.filter_box) : 0; }
    std::unique_ptr<FftPlan> plan(int side, cufftType type) const {
        return std::make_unique<FftPlan>(std::vector<int>{side, side}, type, batch_, computing_);
    }

    void plan_normalisation() {
        Normalisation& how = normalisation_;
        how.background = BackgroundRegion::beyond(a_.window, a_.background_radius);
        const PlaneMoments moments = how.background.moments();
        how.each = (float)(1.0 / moments.n);
        double inverse[3][3] = {};
        invert_plane(moments, inverse);
        for (int i = 0; i < 9; ++i) how.inverse[i / 3][i % 3] = (float)inverse[i / 3][i % 3];
        how.ramp = a_.ramp;
        how.invert = a_.invert;
        how.white_dust = a_.white_dust;
        how.black_dust = a_.black_dust;
        how.seed = a_.seed;
    }

    void send_filters(Slot& slot) {
        if (!own_filters_) return;
        const size_t each = half_plane(a_.filter_box), size = slot.used * each;
        memcpy(slot.filters_here.data(), a_.filters + slot.first * each, size * sizeof(float));
        slot.filters.copy_from(slot.filters_here.data(), size, coming_);
        // What a batch that is not full has no filter for is multiplied by another's.
        for (int i = slot.used; i < batch_; ++i)
            check(cudaMemcpyAsync(slot.filters.data() + i * each, slot.filters.data(), each * sizeof(float),
                                  cudaMemcpyDeviceToDevice, coming_),
                  "extract");
        slot.sent.record(coming_);
        slot.sent.hold(computing_);
    }

    void work(Slot& slot) {
        const Particles particles = {batch_, slot.used, centres_.data() + 2 * (size_t)slot.first,
                                     levels_.data(), slot.faults.data()};
        find_levels(micrograph_, a_.box, particles, computing_);
        if (a_.filters)
            filter(slot, particles);
        else
            cut(micrograph_, a_.box, nullptr, particles, boxes_.data(), computing_);
        if (rescaled_) {
            const float2* phases = nullptr;
            if (a_.shifts) {
                find_phases(a_.box, shifts_.data() + 2 * (size_t)slot.first, particles, phases_.data(),
                            computing_);
                phases = phases_.data();
            }
            transform("transform", computing_,
                      [&] { return cufftExecR2C(*forward_, boxes_.data(), spectra_.data()); });
            rescale(a_.box, a_.scaled, batch_, phases, spectra_.data(), cropped_.data(), computing_);
            transform("transform back", computing_,
                      [&] { return cufftExecC2R(*back_, cropped_.data(), boxes_.data()); });
        }
        if (a_.background_radius >= 0)
            normalise(normalisation_, a_.scaled, particles, boxes_.data(), slot.images.data(), computing_);
        else
            crop(a_.scaled, a_.window, a_.invert, particles, boxes_.data(), slot.images.data(), computing_);
    }

    void filter(const Slot& slot, const Particles& particles) {
        const int wide = a_.filter_box;
        const float* factors = own_filters_ ? slot.filters.data() : common_filter_.data();
        cut(micrograph_, wide, &a_.fill, particles, wide_.data(), computing_);
        transform("transform to filter", computing_,
                  [&] { return cufftExecR2C(*filter_forward_, wide_.data(), spectra_.data()); });
        multiply(wide, factors, !own_filters_, batch_, spectra_.data(), computing_);
        transform("transform back filtered", computing_,
                  [&] { return cufftExecC2R(*filter_back_, spectra_.data(), wide_.data()); });
        cut_filtered(micrograph_, wide, a_.box, factors, !own_filters_, particles, wide_.data(),
                     boxes_.data(), computing_);
    }

    // Waits for a batch and puts it where it belongs.
    void collect(Slot& slot) {
        if (slot.used == 0) return;
        slot.back.wait("extract");
        const size_t size = square(a_.window);
        memcpy(a_.out + slot.first * size, slot.images_here.data(), slot.used * size * sizeof(float));
        memcpy(a_.faults + slot.first, slot.faults_here.data(), slot.used * sizeof(int));
        slot.used = 0;
    }
};

}  // namespace

void extract(const ExtractArgs& a, int device) {
    if (a.n == 0) return;
    const Turn turn(device);
    const Stream copying;
    const DeviceArray<float> pixels((size_t)a.ny * a.nx);
    {
        Upload upload(copying);
        const Finish finish(copying);
        upload.send(a.micrograph, pixels.size(), pixels.data());
        copying.wait("extract");
    }
    const Micrograph micrograph = {a.ny, a.nx, pixels.data()};
    with_less_on_failure(batch_size(a.n, Extraction::bytes_each(a)),
                         [&](int batch) { Extraction(a, micrograph, batch).run(); });
}

}  // namespace cuda
}  // namespace boxwood
