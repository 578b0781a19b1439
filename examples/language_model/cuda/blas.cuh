// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>

#include <cublas_v2.h>

#include <unmask/tensor/float_types.hpp>

#include "device_memory.cuh"
#include "matrix.hpp"

namespace language_model {

using namespace examples;

/// Matrix products on the GPU, by cuBLAS: of float, without TF32, or of bfloat16, with sums in float. The memory that
/// cuBLAS works in is its own, so that products can be recorded in a CUDA graph, and the same products give the same
/// bits.
class device_blas {
public:
    device_blas() : workspace_(workspace_bytes) { expect(cublasCreate(&handle_), "cublasCreate"); }
    device_blas(const device_blas&) = delete;
    device_blas& operator=(const device_blas&) = delete;
    ~device_blas() { (void)cublasDestroy(handle_); }

    /// From here on, products are enqueued on this stream.
    void use(cudaStream_t stream) {
        expect(cublasSetStream(handle_, stream), "cublasSetStream"); // which takes the workspace away
        expect(cublasSetWorkspace(handle_, workspace_.data(), workspace_.bytes()), "cublasSetWorkspace");
    }

    /// output = input · weight, + output if it `adds`.
    template <class T, class Output>
    void multiply(const matrix_of<T>& input, const matrix_of<T>& weight, const matrix_of<Output>& output,
                  bool adds) const {
        product(CUBLAS_OP_N, input, CUBLAS_OP_N, weight, output, adds);
    }
    /// d_input = d_output · weightᵀ
    template <class T>
    void multiply_by_transposed(const matrix_of<T>& d_output, const matrix_of<T>& weight,
                                const matrix_of<T>& d_input) const {
        product(CUBLAS_OP_N, d_output, CUBLAS_OP_T, weight, d_input, false);
    }
    /// d_weight += inputᵀ · d_output
    template <class T>
    void add_transposed_product(const matrix_of<T>& input, const matrix_of<T>& d_output, const matrix& d_weight) const {
        product(CUBLAS_OP_T, input, CUBLAS_OP_N, d_output, d_weight, true);
    }

private:
    static constexpr index_t workspace_bytes = 32 << 20; // what NVIDIA recommends for compute capability 9.0

    static void expect(cublasStatus_t status, const char* call) {
        if (status != CUBLAS_STATUS_SUCCESS) {
            throw std::runtime_error(std::string(call) + ": " + cublasGetStatusString(status));
        }
    }

    template <class T>
    static constexpr cudaDataType_t type_of() {
        static_assert(std::is_same_v<T, float> || std::is_same_v<T, unmask::bfloat16>);
        return std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;
    }

    // c = a · b. To cuBLAS, which reads matrices column by column, ours are transposed: cᵀ = bᵀ · aᵀ.
    template <class T, class Output>
    void product(cublasOperation_t of_a, const matrix_of<T>& a, cublasOperation_t of_b, const matrix_of<T>& b,
                 const matrix_of<Output>& c, bool adds) const {
        const float one = 1.0F;
        const float old = adds ? 1.0F : 0.0F;
        const index_t inner = of_a == CUBLAS_OP_N ? a.extents[1] : a.extents[0];
        const auto narrow = [](index_t value) { return static_cast<int>(value); };
        expect(cublasGemmEx(handle_, of_b, of_a, narrow(c.extents[1]), narrow(c.extents[0]), narrow(inner), &one,
                            b.data, type_of<T>(), narrow(b.strides[0]), a.data, type_of<T>(), narrow(a.strides[0]),
                            &old, c.data, type_of<Output>(), narrow(c.strides[0]), CUBLAS_COMPUTE_32F,
                            CUBLAS_GEMM_DEFAULT),
               "cublasGemmEx");
    }

    cublasHandle_t handle_ = nullptr;
    device_array<char> workspace_;
};

} // namespace language_model
