#include <map>
#include <mutex>

#include "cuda/batch.h"
#include "cuda/image_store.h"
#include "cuda/kernels.h"

namespace boxwood {
namespace cuda {
namespace {

constexpr double stored_memory = 0.5;  // of what is free

std::mutex lock;
std::map<int, std::shared_ptr<ImageStore>> stores;
int last_number = 0;

}  // namespace

ImageStore::ImageStore(int most, int samples, int device) : samples_(samples), device_(device) {
    use_device(device);
    const size_t bytes = (size_t)samples * (sizeof(float2) + sizeof(float));
    int n = (int)std::min<double>(most, stored_memory * free_memory() / bytes);
    for (; n > 0; n /= 2) {
        try {
            transforms_ = DeviceArray<float2>((size_t)n * samples);
            ctf_ = DeviceArray<float>((size_t)n * samples);
            slots_ = n;
            return;
        } catch (const OutOfMemory&) {
            transforms_ = DeviceArray<float2>();
        }
    }
}

void ImageStore::put(const int* slots, int n, const float2* transforms, const float* ctf) {
    use_device(device_);
    const Stream stream;
    Upload upload(stream);
    const Finish finish(stream);
    // Images whose slots follow one another go together.
    for (int first = 0, next; first < n; first = next) {
        for (next = first + 1; next < n && slots[next] == slots[next - 1] + 1;) ++next;
        const size_t from = (size_t)first * samples_, to = (size_t)slots[first] * samples_,
                     count = (size_t)(next - first) * samples_;
        upload.send(transforms + from, count, transforms_.data() + to);
        upload.send(ctf + from, count, ctf_.data() + to);
    }
    stream.wait("storing images");
}

int make_image_store(int most, int samples, int device) {
    const auto store = std::make_shared<ImageStore>(most, samples, device);
    const std::lock_guard<std::mutex> hold(lock);
    stores[++last_number] = store;
    return last_number;
}

StoreShape image_store_shape(int store) {
    const std::shared_ptr<ImageStore> found = store_of(store);
    return {found->slots(), found->samples()};
}

void put_images(int store, const int* slots, int n, const float* transforms, const float* ctf) {
    store_of(store)->put(slots, n, (const float2*)transforms, ctf);
}

std::shared_ptr<ImageStore> store_of(int number) {
    const std::lock_guard<std::mutex> hold(lock);
    const auto found = stores.find(number);
    if (found == stores.end()) throw StoreReleased("image store " + std::to_string(number) + " was released");
    return found->second;
}

void release_image_store(int number) {
    std::shared_ptr<ImageStore> last;  // goes when the lock does not hold any more
    const std::lock_guard<std::mutex> hold(lock);
    const auto found = stores.find(number);
    if (found == stores.end()) return;
    last = std::move(found->second);
    stores.erase(found);
}

}  // namespace cuda
}  // namespace boxwood
