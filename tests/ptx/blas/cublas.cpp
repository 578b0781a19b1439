// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Stands in for cuBLAS on the machine: the functions that examples/language_model calls, as plain loops over the
// machine's memory, in the order of the stream. As cuBLAS does, it refuses a product in a capture for which there is no
// workspace of the caller's, and forgets that when the stream is set.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <cublas_v2.h>

#include <unmask/tensor/float_types.hpp>

#include "../device_memory.hpp"
#include "../runtime/errors.hpp"
#include "../runtime/streams.hpp"

struct cublasContext {
    cudaStream_t stream = nullptr;
    bool has_workspace = false;
};

namespace {

// A matrix in the order of columns, as cuBLAS has it.
struct matrix {
    char* data;
    cudaDataType_t type;
    int rows;
    int columns;
    int stride;
    bool transposed;

    [[nodiscard]] std::size_t bytes() const {
        const auto elements =
            static_cast<std::size_t>(columns - 1) * static_cast<std::size_t>(stride) + static_cast<std::size_t>(rows);
        return elements * (type == CUDA_R_32F ? sizeof(float) : sizeof(unmask::bfloat16));
    }
    [[nodiscard]] std::ptrdiff_t place(int row, int column) const {
        return transposed ? column + std::ptrdiff_t{row} * stride : row + std::ptrdiff_t{column} * stride;
    }
    [[nodiscard]] float get(int row, int column) const {
        const auto at = place(row, column);
        return type == CUDA_R_32F ? reinterpret_cast<const float*>(data)[at]
                                  : static_cast<float>(reinterpret_cast<const unmask::bfloat16*>(data)[at]);
    }
    void set(int row, int column, float value) const {
        const auto at = place(row, column);
        if (type == CUDA_R_32F) {
            reinterpret_cast<float*>(data)[at] = value;
        } else {
            reinterpret_cast<unmask::bfloat16*>(data)[at] = unmask::bfloat16(value);
        }
    }
    // Leads to the machine's view; false: it is no memory of a kernel's.
    bool reach() {
        data = ptx::device_memory::get().reach(data, bytes());
        return data != nullptr;
    }
};

// The matrix that is read as [rows, columns].
matrix operand(const void* data, cudaDataType_t type, cublasOperation_t operation, int rows, int columns, int stride) {
    const bool transposed = operation != CUBLAS_OP_N;
    return {static_cast<char*>(const_cast<void*>(data)),
            type,
            transposed ? columns : rows,
            transposed ? rows : columns,
            stride,
            transposed};
}

void multiply(float alpha, matrix a, matrix b, float beta, matrix c, int inner) {
    if (ptx::has_faulted()) {
        return;
    }
    if (!a.reach() || !b.reach() || !c.reach()) {
        ptx::report(ptx::fault(ptx::fault_kind::address, "cublasGemmEx leaves an allocation"));
        return;
    }
    for (int column = 0; column < c.columns; ++column) {
        for (int row = 0; row < c.rows; ++row) {
            float sum = 0.0F;
            for (int i = 0; i < inner; ++i) {
                sum += a.get(row, i) * b.get(i, column);
            }
            c.set(row, column, alpha * sum + (beta != 0.0F ? beta * c.get(row, column) : 0.0F));
        }
    }
}

} // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
    *handle = new cublasContext;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    *handle = {stream, false};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, std::size_t bytes) {
    handle->has_workspace = ptx::device_memory::get().reach(workspace, bytes) != nullptr;
    return handle->has_workspace ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
const char* cublasGetStatusString(cublasStatus_t status) {
    return status == CUBLAS_STATUS_SUCCESS         ? "CUBLAS_STATUS_SUCCESS"
           : status == CUBLAS_STATUS_INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE"
           : status == CUBLAS_STATUS_NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                                   : "CUBLAS_STATUS_EXECUTION_FAILED";
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t of_a, cublasOperation_t of_b, int m, int n, int k,
                            const void* alpha, const void* a, cudaDataType_t a_type, int a_stride, const void* b,
                            cudaDataType_t b_type, int b_stride, const void* beta, void* c, cudaDataType_t c_type,
                            int c_stride, cublasComputeType_t compute, cublasGemmAlgo_t /*algorithm*/) {
    const bool known = a_type == b_type && compute == CUBLAS_COMPUTE_32F &&
                       (a_type == CUDA_R_32F ? c_type == CUDA_R_32F
                                             : a_type == CUDA_R_16BF && (c_type == CUDA_R_32F || c_type == a_type));
    if (!known) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    const bool fits = m > 0 && n > 0 && k > 0 && a_stride >= (of_a == CUBLAS_OP_N ? m : k) &&
                      b_stride >= (of_b == CUBLAS_OP_N ? k : n) && c_stride >= m;
    const CUstream_st* const stream = ptx::find_stream(handle->stream);
    if (!fits || stream == nullptr) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (stream->capture != nullptr && !handle->has_workspace) {
        return CUBLAS_STATUS_EXECUTION_FAILED; // it would allocate
    }
    const auto run = [=, factor = *static_cast<const float*>(alpha), old = *static_cast<const float*>(beta)] {
        multiply(factor, operand(a, a_type, of_a, m, k, a_stride), operand(b, b_type, of_b, k, n, b_stride), old,
                 operand(c, c_type, CUBLAS_OP_N, m, n, c_stride), k);
    };
    return ptx::add(handle->stream, ptx::node_kind::kernel, run) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                                : CUBLAS_STATUS_EXECUTION_FAILED;
}

} // extern "C"
