// Polar images and CTFs that stay on a device from call to call, so that an expectation need not be sent
// them.
#pragma once
#include <memory>

#include "cuda/runtime.h"

namespace boxwood {
namespace cuda {

// What an image of a batch is made of, in device memory.
struct Image {
    const float2* transform;  // [samples]
    const float* ctf;         // [samples]
};

class ImageStore {
public:
    // Slots for `most` images of so many samples, or as many as half of the free memory holds, which may be
    // none: the rest is for the kernels.
    ImageStore(int most, int samples, int device);
    int slots() const { return slots_; }
    int samples() const { return samples_; }
    int device() const { return device_; }
    // Fills slots from host arrays (n, samples).
    void put(const int* slots, int n, const float2* transforms, const float* ctf);
    Image at(int slot) const {
        const size_t first = (size_t)slot * samples_;
        return {transforms_.data() + first, ctf_.data() + first};
    }

private:
    int slots_ = 0, samples_, device_;
    DeviceArray<float2> transforms_;
    DeviceArray<float> ctf_;
};

// By the number that make_image_store gave; one that is in use when it is released goes when that ends.
std::shared_ptr<ImageStore> store_of(int number);  // throws StoreReleased if there is none

}  // namespace cuda
}  // namespace boxwood
