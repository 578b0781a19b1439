// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Tensors whose elements are more than 2^32 apart, for which no GPU has the memory: the machine's is sparse.

#include <cstddef>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/causal.hpp>

namespace {

using namespace unmask;

constexpr index_t far_apart = (index_t{1} << 32) + 64;

struct strides {
    index_t sequence, position, head;
};

// A tensor with the same numbers twice: in device memory with wide strides, and on the host without gaps.
template <class T>
class spread_tensor {
public:
    spread_tensor(index_t length, index_t dim, const strides& wide)
        : values_(static_cast<std::size_t>(2 * length * 2 * dim)) {
        const index_t elements = wide.sequence + (length - 1) * wide.position + wide.head + dim;
        REQUIRE(cudaMalloc(reinterpret_cast<void**>(&data_), static_cast<std::size_t>(elements) * sizeof(T)) ==
                cudaSuccess);
        device_ = {data_, {2, length, 2, dim}, {wide.sequence, wide.position, wide.head, 1}};
    }
    spread_tensor(const spread_tensor&) = delete;
    spread_tensor& operator=(const spread_tensor&) = delete;
    ~spread_tensor() { cudaFree(data_); }

    void fill(unsigned& state) {
        for (T& x : values_) {
            state = state * 1664525U + 1013904223U;
            x = T(static_cast<float>(static_cast<int>(state >> 16)) / 32768.0F - 1.0F);
        }
        for_rows([&](T* row, T* on_device) { copy(on_device, row, cudaMemcpyHostToDevice); });
    }
    // How many numbers on the device are not close to the host's.
    [[nodiscard]] int wrong() {
        int result = 0;
        std::vector<T> got(static_cast<std::size_t>(dim()));
        for_rows([&](const T* row, const T* on_device) {
            copy(got.data(), on_device, cudaMemcpyDeviceToHost);
            for (std::size_t d = 0; d < got.size(); ++d) {
                const double apart = static_cast<double>(static_cast<float>(got[d]) - static_cast<float>(row[d]));
                result += apart < 0.01 && apart > -0.01 ? 0 : 1;
            }
        });
        return result;
    }
    [[nodiscard]] tensor_view<T, 4> device() const { return device_; }
    [[nodiscard]] tensor_view<T, 4> host() { return view(values_.data(), 2, device_.extents[1], 2, dim()); }

private:
    [[nodiscard]] index_t dim() const { return device_.extents[3]; }
    void copy(T* to, const T* from, cudaMemcpyKind kind) const {
        REQUIRE(cudaMemcpy(to, from, static_cast<std::size_t>(dim()) * sizeof(T), kind) == cudaSuccess);
    }
    template <class F>
    void for_rows(const F& f) {
        T* row = values_.data();
        for (index_t sequence = 0; sequence < 2; ++sequence) {
            for (index_t position = 0; position < device_.extents[1]; ++position) {
                for (index_t head = 0; head < 2; ++head) {
                    f(row, device_.pointer(sequence, position, head));
                    row += dim();
                }
            }
        }
    }

    std::vector<T> values_;
    T* data_ = nullptr;
    tensor_view<T, 4> device_;
};

template <class T, class Mask>
void check_strides(index_t dim, index_t length, const strides& wide, const Mask& mask) {
    spread_tensor<T> query(length, dim, wide);
    spread_tensor<T> key(length, dim, wide);
    spread_tensor<T> value(length, dim, wide);
    spread_tensor<T> output(length, dim, wide);
    unsigned state = 3;
    for (auto* const each : {&query, &key, &value}) {
        each->fill(state);
    }
    attention_tensors<T> tensors{
        .query = query.device(), .key = key.device(), .value = value.device(), .output = output.device()};
    attention_forward(cuda_executor{}, tensors, mask);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    tensors = {.query = query.host(), .key = key.host(), .value = value.host(), .output = output.host()};
    attention_forward(cpu_executor{1}, tensors, mask);
    CHECK(output.wrong() == 0);
}

} // namespace

TEST_CASE("sequences, heads and positions that are more than 2^31 elements apart") {
    check_strides<bfloat16>(64, 70, {far_apart, 128, 64}, causal{});
    check_strides<bfloat16>(64, 70, {4096 * 64, 64, far_apart}, causal{});
    check_strides<bfloat16>(64, 70, {128, index_t{1} << 27, 64}, causal{});
    check_strides<bfloat16>(64, 9, {128, far_apart, 64}, bidirectional{});
}

TEST_CASE("the same in float") {
    check_strides<float>(40, 9, {128, far_apart, 64}, causal{});
    check_strides<float>(40, 70, {far_apart * 2, 64, far_apart}, causal{});
}
