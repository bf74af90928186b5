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

}  // namespace cuda
}  // namespace boxwood
