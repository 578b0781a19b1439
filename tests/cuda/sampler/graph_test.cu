// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A run as a CUDA graph: what its model may do, how often it is called, and what is kept for further runs.

#include <functional>
#include <random>
#include <stdexcept>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/sampler/sampler.cuh>

#include "../attention/device_memory.hpp"
#include "../test_stream.hpp"
#include "against_cpu.hpp"

namespace {

using namespace test;

struct count_parameters {
    const int* rows;
    int* calls; // with rows, and without
};
template <class Parameters> // nvcc 13 fails on one without a name outside of this file that isn't a template
UNMASK_KERNEL(1, 1) void count_kernel(Parameters p) {
    ++p.calls[*p.rows > 0 ? 0 : 1];
}

// Counts the calls that the device makes, and does something else as well.
struct busy_model {
    static constexpr bool on_device = true;
    device_model<float> inner;
    const device_array<int>& device_calls;
    std::function<void(const cuda_executor&)> also{};

    [[nodiscard]] unmask::vocabulary vocabulary() const { return inner.vocabulary(); }
    void denoise(const cuda_executor& exec, const device_canvas& page, const device_rows& rows,
                 tensor_view<float, 2> logits) const {
        detail::launch(&count_kernel<count_parameters>, 1, 1, 0, exec.stream,
                       count_parameters{rows.count, device_calls.data()});
        if (also) {
            also(exec);
        }
        inner.denoise(exec, page, rows, logits);
    }
};

// Whether runs are graphs here.
bool has_loops() {
    int version = 0;
    return CUDART_VERSION >= 12040 && cudaDriverGetVersion(&version) == cudaSuccess && version >= 12040;
}

struct outcome {
    statistics counts;
    int host_calls;
    std::vector<int> device_calls; // with rows, and without
};

// A run like the CPU's, whose model also does something else.
outcome run_beside(const std::function<void(const cuda_executor&)>& also, const cuda_executor& exec = {},
                   const sampler<steps, block_length>& sampler = sampler{steps{9}, block_length{12}}) {
    const device_array<int> device_calls(std::vector<int>(2));
    std::mt19937 random(3);
    canvas page = some_texts(letters, random);
    canvas expected = page;
    const busy_model model{{letters, {5}}, device_calls, also};
    const statistics counts = sampler(exec, model, page, 11);
    CHECK(same_counts(counts, sampler(cpu_executor{1}, host_model<float>{letters, {5}}, expected, 11)));
    CHECK(same_texts(page, expected));
    return {counts, model.inner.calls, device_calls.to_host()};
}

// Attention whose keys are split, so that it needs scratch memory.
struct split_attention {
    static constexpr index_t keys = 3000;
    device_array<float> key{numbers(keys * 64)};
    device_array<float> query{numbers(64)};
    device_array<float> output{std::vector<float>(64)};

    static std::vector<float> numbers(index_t count) {
        std::mt19937 random(1);
        std::vector<float> all(static_cast<std::size_t>(count));
        for (float& each : all) {
            each = static_cast<float>(random() % 256) / 128.0F - 1.0F;
        }
        return all;
    }
    void operator()(const cuda_executor& exec) const {
        const auto rows = [](float* data, index_t count) { return view(data, 1, count, 1, 64); };
        const auto stored = [](const float* data, index_t count) { return view(data, 1, count, 1, 64); };
        attention_forward(cuda_executor_for<>(exec.stream, exec.memory),
                          attention_tensors<float>{stored(query.data(), 1),
                                                   stored(key.data(), keys),
                                                   stored(key.data(), keys),
                                                   rows(output.data(), 1),
                                                   {}},
                          bidirectional{});
    }
};

// Gives memory away again as soon as it is back.
struct forgetful_resource : device_memory_resource {
    int live = 0;
    int most = 0;
    int calls = 0;

    void* allocate(std::size_t bytes, cuda_stream stream) override {
        most = std::max(most, ++live);
        ++calls;
        return detail::allocate_async(bytes, stream);
    }
    void deallocate(void* memory, std::size_t, cuda_stream stream) noexcept override {
        --live;
        detail::free_async(memory, stream);
    }
};

} // namespace

TEST_CASE("the model is called once for each step, and never for nothing") {
    const outcome run = run_beside({});
    CHECK(run.device_calls[0] == run.counts.calls);
    CHECK(run.device_calls[1] <= run.counts.idle_calls);
    CHECK(run.counts.idle_calls == (has_loops() ? 0 : 1));
    CHECK((run.host_calls == 2 || !has_loops())); // the first step, and the one that is recorded
    const outcome of_one_step = run_beside({}, {}, sampler{steps{1}, block_length{}});
    CHECK(of_one_step.device_calls[0] == 1);
    CHECK(of_one_step.device_calls[1] <= run.counts.idle_calls);
}

TEST_CASE("a model that can't be recorded is called by the host, for nothing once at most") {
    const auto check = [](const std::function<void(const cuda_executor&)>& also) {
        const outcome run = run_beside(also);
        CHECK(run.device_calls[0] == run.counts.calls);
        CHECK(run.device_calls[1] <= 1);
        CHECK(run.counts.idle_calls == 1);
        CHECK(cudaGetLastError() == cudaSuccess);
    };
    SUBCASE("it allocates in the stream's order") {
        check([](const cuda_executor& exec) {
            void* memory = detail::allocate_async(1000, exec.stream);
            detail::free_async(memory, exec.stream);
        });
    }
    SUBCASE("it allocates at once, and looks at no error") {
        check([](const cuda_executor&) {
            void* memory = nullptr;
            (void)cudaMalloc(&memory, 1000);
            (void)cudaFree(memory);
            (void)cudaGetLastError();
        });
    }
    SUBCASE("it waits, and throws an error of its own if it can't") {
        check([](const cuda_executor& exec) {
            if (cudaStreamSynchronize(exec.stream) != cudaSuccess) {
                throw std::runtime_error("can't wait");
            }
        });
    }
}

TEST_CASE("what a model throws at its second call is thrown, and the canvas is as it was") {
    std::mt19937 random(3);
    canvas page = some_texts(letters, random);
    const canvas before = page;
    const device_array<int> device_calls(std::vector<int>(2));
    int calls = 0;
    const busy_model model{{letters, {5}}, device_calls, [&](const cuda_executor&) {
                               if (++calls == 2) {
                                   throw std::runtime_error("enough");
                               }
                           }};
    CHECK_THROWS_WITH_AS(sampler{}(cuda_executor{}, model, page, 11), "enough", std::runtime_error);
    CHECK(same_texts(page, before));
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("a model may call attention with split keys, wherever the scratch memory comes from") {
    const split_attention attention;
    attention({});
    const std::vector<float> wanted = attention.output.to_host();
    const auto check = [&](const cuda_executor& exec) {
        REQUIRE(cudaMemset(attention.output.data(), 0xff, 64 * sizeof(float)) == cudaSuccess);
        const outcome run = run_beside(std::cref(attention), exec);
        CHECK(run.counts.idle_calls == (has_loops() ? 0 : 1));
        CHECK(attention.output.to_host() == wanted);
    };
    check({});
    forgetful_resource memory;
    check({nullptr, &memory});
    CHECK(memory.live == 0);
    CHECK(memory.most >= 2); // the run's, and the call's
    caching_memory_resource cache;
    check({nullptr, &cache});
    check({nullptr, &cache});
    const test_stream stream;
    check({stream.handle, &cache});
}

TEST_CASE("a captured call is refused if its memory would be given away") {
    const split_attention attention;
    forgetful_resource memory;
    const test_stream stream;
    REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    CHECK_THROWS_WITH_AS(attention({stream.handle, &memory}),
                         "cuda_executor: memory is a resource that may give memory away which a captured call still "
                         "uses, expected one that keeps_captured_memory(), as caching_memory_resource does",
                         invalid_argument);
    CHECK(memory.calls == 0);
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess);
    cudaGraphDestroy(graph);
}

TEST_CASE("a caching resource gives memory again to the same stream and capture, and to no other") {
    caching_memory_resource cache;
    const test_stream streams[2];
    const auto once = [&](std::size_t bytes, cuda_stream stream) {
        void* const memory = cache.allocate(bytes, stream);
        cache.deallocate(memory, bytes, stream);
        return memory;
    };
    void* const first = once(1000, streams[0].handle);
    CHECK(once(500, streams[0].handle) == first);
    CHECK(once(2000, streams[0].handle) != first);
    void* const other = once(1000, streams[1].handle);
    CHECK(other != first);
    void* const held = cache.allocate(1000, streams[0].handle);
    CHECK(held == first);
    CHECK(cache.allocate(1000, streams[0].handle) != first);

    void* captured[2] = {};
    for (void*& each : captured) {
        cudaGraph_t graph = nullptr;
        REQUIRE(cudaStreamBeginCapture(streams[1].handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        each = once(1000, streams[1].handle);
        CHECK(once(1000, streams[1].handle) == each);
        REQUIRE(cudaStreamEndCapture(streams[1].handle, &graph) == cudaSuccess);
        cudaGraphDestroy(graph);
    }
    CHECK(captured[0] != captured[1]);
    CHECK(captured[0] != other);
    CHECK(once(1000, streams[1].handle) == other);
}

TEST_CASE("a device_sampler records once for all canvases of a shape, and writes what the sampler does") {
    const device_array<int> device_calls(std::vector<int>(2));
    const busy_model model{{letters, {5}}, device_calls};
    const sampler sampler{steps{9}, block_length{12}, categorical{}};
    device_sampler generate(cuda_executor{}, model, sampler);
    const auto check = [&](canvas page, std::uint64_t seed, auto&&... observer) {
        canvas expected = page;
        const statistics counts = generate(page, seed, observer...);
        CHECK(same_counts(counts, sampler(cpu_executor{1}, host_model<float>{letters, {5}}, expected, seed)));
        CHECK(same_texts(page, expected));
    };
    const auto page_of = [](std::vector<token_t> prompt, index_t length) {
        canvas page(letters);
        page.add(prompt, length);
        page.add({}, 30);
        return page;
    };
    check(page_of({}, 36), 1); // a run that is new calls the model twice: for the first step, and to record it
    CHECK((model.inner.calls == 2 || !has_loops()));
    check(page_of({}, 36), 2);           // another seed
    check(page_of({3, 4, 5, 6}, 32), 3); // fewer masked
    check(page_of({3, 4, 5, 6, 7}, 31), 3);
    check(page_of({}, 36), 4); // as many as at first
    CHECK((model.inner.calls == 2 || !has_loops()));
    check(page_of({}, 35), 5); // shorter
    CHECK((model.inner.calls == 4 || !has_loops()));
    canvas done = page_of({}, 35); // nothing to do
    generate(done, 6);
    check(done, 7);
    CHECK((model.inner.calls == 4 || !has_loops()));

    std::vector<told> story;
    check(page_of({}, 35), 8, listener{story}); // watched, it is another graph
    CHECK((model.inner.calls == 6 || !has_loops()));
    check(page_of({9}, 34), 9, listener{story});
    CHECK((model.inner.calls == 6 || !has_loops()));
    CHECK(!story.empty());
    CHECK((device_calls.to_host()[1] == 0 || !has_loops()));
}

TEST_CASE("a device_sampler goes on after a run that failed or was ended") {
    device_model<float> model{letters, {5}};
    const sampler sampler{steps{9}, block_length{12}, categorical{}};
    device_sampler generate(cuda_executor{}, model, sampler);
    std::mt19937 random(8);
    const canvas texts = some_texts(letters, random);
    const auto check = [&] {
        canvas page = texts;
        canvas expected = texts;
        std::vector<told> stories[2];
        generate(page, 12, listener{stories[0]});
        sampler(cpu_executor{1}, host_model<float>{letters, {5}}, expected, 12, listener{stories[1]});
        CHECK(same_texts(page, expected));
        CHECK(stories[0] == stories[1]);
    };
    check();
    canvas page = texts;
    std::vector<told> story;
    CHECK(generate(page, 12, listener{story, 2}).stopped_early);
    CHECK(page.masked() > 0);
    check();
    page = texts;
    CHECK_THROWS_AS(generate(page, 12, [](const sampler_step&) { throw std::runtime_error("enough"); }),
                    std::runtime_error);
    CHECK(same_texts(page, texts));
    check();
}
