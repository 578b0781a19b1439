// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <stdexcept>
#include <vector>

#include <cuda_runtime_api.h>

namespace test {

// An array in device memory, aligned to 256 bytes. There is none behind its end.
template <class T>
class device_array {
public:
    explicit device_array(const std::vector<T>& values) : device_array(values.size()) {
        expect(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice));
    }
    // With nothing in it.
    explicit device_array(std::size_t size) : size_(size) {
        expect(cudaMalloc(reinterpret_cast<void**>(&data_), size > 0 ? bytes() : sizeof(T)));
    }
    device_array(const device_array&) = delete;
    device_array& operator=(const device_array&) = delete;
    ~device_array() { cudaFree(data_); }

    [[nodiscard]] T* data() const { return data_; }
    [[nodiscard]] std::vector<T> to_host() const {
        std::vector<T> values(size_);
        expect(cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost));
        return values;
    }

private:
    static void expect(cudaError_t code) {
        if (code != cudaSuccess) {
            throw std::runtime_error(cudaGetErrorString(code));
        }
    }
    [[nodiscard]] std::size_t bytes() const { return size_ * sizeof(T); }

    std::size_t size_;
    T* data_ = nullptr;
};

} // namespace test
