// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>

#include <unmask/error.cuh>
#include <unmask/executor/cuda_executor.cuh>

namespace language_model {

using unmask::index_t;

/// Throws unmask::cuda_error if a call failed.
inline void expect_success(cudaError_t code, const char* call) {
    if (code != cudaSuccess) {
        throw unmask::cuda_error(call, code);
    }
}

/// An array in the device's memory.
template <class E>
class device_array {
public:
    explicit device_array(index_t size) : size_(size) {
        if (size > 0) {
            expect_success(cudaMalloc(&data_, bytes()), "cudaMalloc");
        }
    }
    explicit device_array(const std::vector<E>& elements) : device_array(std::ssize(elements)) { write(elements); }
    device_array(const device_array&) = delete;
    device_array& operator=(const device_array&) = delete;
    ~device_array() { (void)cudaFree(data_); }

    [[nodiscard]] E* data() const { return static_cast<E*>(data_); }
    [[nodiscard]] index_t size() const { return size_; }
    [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(E); }

    /// Copies the whole array; returns when that is done. Nothing else may be using it.
    void write(const std::vector<E>& elements) const {
        expect_success(cudaMemcpy(data_, elements.data(), bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
    }
    [[nodiscard]] std::vector<E> read() const {
        std::vector<E> elements(static_cast<std::size_t>(size_));
        expect_success(cudaMemcpy(elements.data(), data_, bytes(), cudaMemcpyDeviceToHost), "cudaMemcpy");
        return elements;
    }

private:
    index_t size_;
    void* data_ = nullptr;
};

/// The device's memory for a workspace: as host_memory.
class device_memory {
public:
    template <class E>
    E* take(const std::vector<E>& elements) {
        const auto kept = std::make_shared<device_array<E>>(elements);
        all_.push_back(kept);
        return kept->data();
    }

private:
    std::vector<std::shared_ptr<void>> all_;
};

/// Memory of one call, in the order of its stream.
template <class E>
class scratch_array {
public:
    /// exec.memory is not null.
    scratch_array(const unmask::cuda_executor& exec, index_t size)
        : exec_(exec), bytes_(static_cast<std::size_t>(size) * sizeof(E)),
          data_(static_cast<E*>(exec.memory->allocate(bytes_, exec.stream))) {}
    /// With a copy of the elements, which stay until the stream has got there.
    scratch_array(const unmask::cuda_executor& exec, const std::vector<E>& elements)
        : scratch_array(exec, std::ssize(elements)) {
        expect_success(cudaMemcpyAsync(data_, elements.data(), bytes_, cudaMemcpyHostToDevice, exec.stream),
                       "cudaMemcpyAsync");
    }
    scratch_array(const scratch_array&) = delete;
    scratch_array& operator=(const scratch_array&) = delete;
    ~scratch_array() { exec_.memory->deallocate(data_, bytes_, exec_.stream); }

    [[nodiscard]] E* data() const { return data_; }

private:
    unmask::cuda_executor exec_;
    std::size_t bytes_;
    E* data_;
};

} // namespace language_model
