// What kernels throw.
#pragma once
#include <stdexcept>

namespace boxwood {
namespace cuda {

struct CudaError : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct OutOfMemory : CudaError {
    using CudaError::CudaError;
};
// Images that were in a store are not there any more; nothing is wrong with the device.
struct StoreReleased : CudaError {
    using CudaError::CudaError;
};

}  // namespace cuda
}  // namespace boxwood
