// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A few calls of attention's backward pass on the device against the CPU, with tails in every direction, full tiles and
// grouped heads. Exits with 1 if a gradient differs: see plant.py.

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/error.cuh>
#include <unmask/mask/causal.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>

namespace {

using namespace unmask;

constexpr index_t heads = 4;
constexpr index_t kv_heads = 2;
constexpr index_t dim = 64;

// A tensor on the host and on the device, of the same numbers until one of them is computed.
template <class T>
struct both {
    std::vector<T> host;
    T* device = nullptr;

    explicit both(index_t size) : host(static_cast<std::size_t>(size)) {
        static unsigned state = 1;
        for (T& x : host) {
            state = state * 1664525U + 1013904223U;
            x = T(static_cast<float>(static_cast<int>(state >> 16)) / 32768.0F - 1.0F);
        }
        (void)cudaMalloc(reinterpret_cast<void**>(&device), host.size() * sizeof(T));
        upload();
    }
    both(const both&) = delete;
    both& operator=(const both&) = delete;
    ~both() { (void)cudaFree(device); }

    void upload() const { (void)cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice); }

    // Whether what the device computed is what the host did, and says so if not.
    [[nodiscard]] bool is_same(const char* call, const char* name) const {
        std::vector<T> got(host.size());
        (void)cudaMemcpy(got.data(), device, got.size() * sizeof(T), cudaMemcpyDeviceToHost);
        float largest = 0.0F;
        for (const T& x : host) {
            largest = std::fmax(largest, std::fabs(static_cast<float>(x)));
        }
        int wrong = 0;
        for (std::size_t i = 0; i < got.size(); ++i) { // NaN is wrong
            const float apart = std::fabs(static_cast<float>(got[i]) - static_cast<float>(host[i]));
            wrong += apart < 0.01F * largest ? 0 : 1;
        }
        if (wrong > 0) {
            std::printf("%s: %d of %zu numbers of %s differ\n", call, wrong, got.size(), name);
        }
        return wrong == 0;
    }
};

struct problem {
    index_t queries;
    index_t keys;
    both<bfloat16> query{queries * heads * dim}, key{keys * kv_heads * dim}, value{keys * kv_heads * dim};
    both<bfloat16> output{queries * heads * dim}, d_output{queries * heads * dim};
    both<bfloat16> d_query{queries * heads * dim}, d_key{keys * kv_heads * dim}, d_value{keys * kv_heads * dim};
    both<float> log_sum_exp{heads * queries};
    both<float> sink_logits{heads}, sink_keys{kv_heads * dim}, sink_values{kv_heads * dim};
    both<float> d_logits{heads}, d_keys{kv_heads * dim}, d_values{kv_heads * dim};

    problem(index_t query_length, index_t key_length) : queries(query_length), keys(key_length) {}

    // `at` chooses a tensor's memory.
    template <class At>
    attention_tensors<bfloat16> tensors(const At& at) {
        return {.query = view(at(query), 1, queries, heads, dim),
                .key = view(at(key), 1, keys, kv_heads, dim),
                .value = view(at(value), 1, keys, kv_heads, dim),
                .output = view(at(output), 1, queries, heads, dim),
                .log_sum_exp = view(at(log_sum_exp), 1, heads, queries)};
    }
    template <class Sink, class At>
    Sink sink(const At& at) {
        if constexpr (Sink::has_key) {
            return {view(at(sink_keys), kv_heads, dim), view(at(sink_values), kv_heads, dim)};
        } else {
            return {view(at(sink_logits), heads)};
        }
    }
    template <class Sink, class At>
    attention_gradients<bfloat16> gradients(const At& at) {
        attention_gradients<bfloat16> all{.output = view(at(d_output), 1, queries, heads, dim),
                                          .query = view(at(d_query), 1, queries, heads, dim),
                                          .key = view(at(d_key), 1, keys, kv_heads, dim),
                                          .value = view(at(d_value), 1, keys, kv_heads, dim)};
        if constexpr (Sink::has_key) {
            all.sink_keys = view(at(d_keys), kv_heads, dim);
            all.sink_values = view(at(d_values), kv_heads, dim);
        } else {
            all.sink_logits = view(at(d_logits), heads);
        }
        return all;
    }
};

template <class Sink, class Executor = cuda_executor_for<dim>>
bool is_same(const char* call, problem& p, const attention_options& options) {
    const auto on_host = [](auto& of) { return of.host.data(); };
    const auto on_device = [](auto& of) { return of.device; };
    const cpu_executor cpu{1};
    attention_forward(cpu, p.tensors(on_host), causal{}, p.sink<Sink>(on_host), options);
    p.output.upload();
    p.log_sum_exp.upload();
    attention_backward(cpu, p.tensors(on_host), p.gradients<Sink>(on_host), causal{}, p.sink<Sink>(on_host), options);
    attention_backward(Executor{}, p.tensors(on_device), p.gradients<Sink>(on_device), causal{},
                       p.sink<Sink>(on_device), options);
    if (cudaDeviceSynchronize() != cudaSuccess) {
        return false; // the machine has said why
    }
    bool same = p.d_query.is_same(call, "d_query");
    same = p.d_key.is_same(call, "d_key") && same;
    same = p.d_value.is_same(call, "d_value") && same;
    if constexpr (Sink::has_key) {
        same = p.d_keys.is_same(call, "the sink's d_key") && same;
        return p.d_values.is_same(call, "the sink's d_value") && same;
    } else {
        return p.d_logits.is_same(call, "the sink's d_logit") && same;
    }
}

} // namespace

int main() {
    problem capped(75, 150);
    problem offset(130, 230);
    problem unordered(75, 150);
    try {
        const bool first = is_same<key_value_sink>("capped", capped, {.scale = 0.3F, .soft_cap = 1.0F});
        const bool second = is_same<logit_sink>("offset", offset, {.query_offset = 100});
        const bool third =
            is_same<key_value_sink, nondeterministic<cuda_executor_for<dim>>>("in any order", unordered, {});
        return first && second && third ? 0 : 1;
    } catch (const cuda_error& error) { // after a fault
        std::puts(error.what());
        return 1;
    }
}
