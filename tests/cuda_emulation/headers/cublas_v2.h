// What src/cuda uses of cuBLAS, with NVIDIA's names and types, for machines that have no cuBLAS to take the
// header of. Where the real header is found it comes first, and the stand-in in cublas.cpp has to agree with
// it.
#pragma once
#include <cuda_runtime.h>
#include <library_types.h>

extern "C" {
typedef struct cublasContext* cublasHandle_t;
typedef enum {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_INTERNAL_ERROR = 14,
    CUBLAS_STATUS_NOT_SUPPORTED = 15
} cublasStatus_t;
typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1, CUBLAS_OP_C = 2 } cublasOperation_t;
typedef enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 } cublasComputeType_t;
typedef enum { CUBLAS_GEMM_DEFAULT = -1 } cublasGemmAlgo_t;
cublasStatus_t cublasCreate_v2(cublasHandle_t* handle);
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle);
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t a_operation, cublasOperation_t b_operation, int m, int n, int k,
    const void* alpha, const void* a, cudaDataType a_type, int a_leading, long long a_stride, const void* b,
    cudaDataType b_type, int b_leading, long long b_stride, const void* beta, void* c, cudaDataType c_type,
    int c_leading, long long c_stride, int batches, cublasComputeType_t compute, cublasGemmAlgo_t algorithm);
const char* cublasGetStatusString(cublasStatus_t status);
}
#define cublasCreate cublasCreate_v2
#define cublasDestroy cublasDestroy_v2
#define cublasSetStream cublasSetStream_v2
