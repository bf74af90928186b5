// A stand-in for cuBLAS: matrix products in column-major order, checked as cuBLAS checks them. Inputs are
// rounded to TF32 where that is asked for.
#include <cublas_v2.h>

#include <complex>

#include "emulation.h"

using namespace cuda_emulation;

struct cublasContext {
    cudaStream_t stream;
    int device;
};

namespace {

typedef std::complex<float> Complex;

// Ten bits of mantissa, to the nearest or else the even one.
float rounded(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(x));
    if ((bits & 0x7f800000u) != 0x7f800000u) bits += 0xfffu + (bits >> 13 & 1);
    bits &= ~0x1fffu;
    memcpy(&x, &bits, sizeof(x));
    return x;
}
Complex rounded(Complex x) { return {rounded(x.real()), rounded(x.imag())}; }
float conjugate(float x) { return x; }
Complex conjugate(Complex x) { return std::conj(x); }

struct Matrix {
    cublasOperation_t operation;
    const void* data;
    int leading;
    long long stride;
    bool fits(int rows, int columns, int batches, size_t element, int device) const {
        const bool straight = operation == CUBLAS_OP_N;
        const int stored_rows = straight ? rows : columns, stored_columns = straight ? columns : rows;
        const size_t last =
            (size_t)(batches - 1) * stride + (size_t)(stored_columns - 1) * leading + stored_rows;
        return leading >= stored_rows && leading > 0 && stride >= 0 &&
               allocated(data, last * element, device);
    }
    template <class T>
    T at(long long batch, int row, int column) const {
        const T* matrix = (const T*)data + batch * stride;
        const bool straight = operation == CUBLAS_OP_N;
        const T value = matrix[straight ? row + (size_t)column * leading : column + (size_t)row * leading];
        return operation == CUBLAS_OP_C ? conjugate(value) : value;
    }
};

template <class T>
cudaError_t multiply(const Matrix& a, const Matrix& b, const Matrix& c, int m, int n, int k, T alpha, T beta,
                     int batches, bool tf32) {
    for (int batch = 0; batch < batches; ++batch)
        for (int column = 0; column < n; ++column)
            for (int row = 0; row < m; ++row) {
                T sum = 0;
                for (int i = 0; i < k; ++i) {
                    const T x = a.at<T>(batch, row, i), y = b.at<T>(batch, i, column);
                    sum += tf32 ? rounded(x) * rounded(y) : x * y;
                }
                T& out = ((T*)c.data)[batch * c.stride + row + (size_t)column * c.leading];
                out = beta == T(0) ? alpha * sum : alpha * sum + beta * out;
            }
    return cudaSuccess;
}

// Like the library, asks for errors of the runtime after a launch, whoever left them.
cublasStatus_t submitted(cublasHandle_t handle, std::function<cudaError_t()> run) {
    const cudaError_t status = submit(handle->stream, std::move(run));
    return status || cudaGetLastError() ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    // This is what cuBLAS says where it has no memory for itself, too.
    if (library_fails() || device(current_device()).lost) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = new cublasContext{nullptr, current_device()};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    // It may still have to do with the stream before.
    if (handle->stream && !stream_of(handle->stream)) return CUBLAS_STATUS_INTERNAL_ERROR;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t a_operation, cublasOperation_t b_operation, int m, int n, int k,
    const void* alpha, const void* a, cudaDataType a_type, int a_leading, long long a_stride, const void* b,
    cudaDataType b_type, int b_leading, long long b_stride, const void* beta, void* c, cudaDataType c_type,
    int c_leading, long long c_stride, int batches, cublasComputeType_t compute, cublasGemmAlgo_t) {
    const std::lock_guard<std::recursive_mutex> hold(lock);
    if (a_type != b_type || a_type != c_type || (a_type != CUDA_R_32F && a_type != CUDA_C_32F) ||
        (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (m < 0 || n < 0 || k < 0 || batches < 0) return CUBLAS_STATUS_INVALID_VALUE;
    if (m == 0 || n == 0 || batches == 0) return CUBLAS_STATUS_SUCCESS;
    if (library_fails())
        return settings.failure_status ? (cublasStatus_t)settings.failure_status
                                        : CUBLAS_STATUS_ALLOC_FAILED;
    const Matrix first{a_operation, a, a_leading, a_stride}, second{b_operation, b, b_leading, b_stride},
        result{CUBLAS_OP_N, c, c_leading, c_stride};
    const size_t element = a_type == CUDA_C_32F ? sizeof(Complex) : sizeof(float);
    const bool apart = batches == 1 || c_stride >= (long long)c_leading * (n - 1) + m;
    if (!apart || !first.fits(m, k, batches, element, handle->device) ||
        !second.fits(k, n, batches, element, handle->device) ||
        !result.fits(m, n, batches, element, handle->device))
        return CUBLAS_STATUS_INVALID_VALUE;
    const bool tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if (a_type == CUDA_C_32F) {
        const Complex x = *(const Complex*)alpha, y = *(const Complex*)beta;
        return submitted(handle,
                         [=] { return multiply(first, second, result, m, n, k, x, y, batches, tf32); });
    } else {
        const float x = *(const float*)alpha, y = *(const float*)beta;
        return submitted(handle,
                         [=] { return multiply(first, second, result, m, n, k, x, y, batches, tf32); });
    }
}

const char* cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
        case CUBLAS_STATUS_SUCCESS: return "no error";
        case CUBLAS_STATUS_NOT_INITIALIZED: return "the library was not initialized";
        case CUBLAS_STATUS_ALLOC_FAILED: return "the resource allocation failed";
        case CUBLAS_STATUS_INVALID_VALUE: return "an unsupported value or parameter was passed";
        case CUBLAS_STATUS_INTERNAL_ERROR: return "an internal operation failed";
        case CUBLAS_STATUS_EXECUTION_FAILED: return "the function failed to launch on the GPU";
        case CUBLAS_STATUS_NOT_SUPPORTED: return "the functionality is not supported";
        default: return "a status the emulation never returns";
    }
}

}  // extern "C"
