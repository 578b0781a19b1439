// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/attention/detail/overlap.hpp>
#include <unmask/tensor/float_types.hpp>

#include "problem.hpp"

// Which strided views share memory: against the set of their addresses, and in calls whose tensors interleave.

using namespace test;

namespace {

alignas(8) std::byte memory[4096];

template <class T, std::size_t Rank>
tensor_view<T, Rank> view_at(index_t byte, const std::array<index_t, Rank>& extents,
                             const std::array<index_t, Rank>& strides) {
    const auto begin = reinterpret_cast<std::uintptr_t>(memory) + static_cast<std::uintptr_t>(byte);
    return {reinterpret_cast<T*>(begin), extents, strides};
}

// Calls f with the place of every element of a view.
template <class T, std::size_t Rank, class F>
void for_each_place(const tensor_view<T, Rank>& view, const F& f) {
    std::array<index_t, Rank> at{};
    for (index_t i = 0; i < view.size(); ++i) {
        index_t place = 0;
        index_t rest = i;
        for (std::size_t k = 0; k < Rank; ++k) {
            at[k] = rest % view.extents[k];
            rest /= view.extents[k];
            place += at[k] * view.strides[k];
        }
        f(reinterpret_cast<std::uintptr_t>(view.data) + static_cast<std::uintptr_t>(place) * sizeof(T));
    }
}

template <class T, std::size_t Rank>
std::set<std::uintptr_t> bytes_of(const tensor_view<T, Rank>& view) {
    std::set<std::uintptr_t> bytes;
    for_each_place(view, [&](std::uintptr_t place) {
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            bytes.insert(place + i);
        }
    });
    return bytes;
}

template <class A, std::size_t RankA, class B, std::size_t RankB>
void check_pair(const tensor_view<A, RankA>& a, const tensor_view<B, RankB>& b) {
    const auto of_a = bytes_of(a);
    bool common = false;
    for (const std::uintptr_t byte : bytes_of(b)) {
        common = common || of_a.contains(byte);
    }
    if (detail::overlap(a, b) != common || detail::overlap(b, a) != common) {
        CAPTURE(a.extents);
        CAPTURE(a.strides);
        CAPTURE(b.extents);
        CAPTURE(b.strides);
        FAIL("views that ", common ? "overlap" : "don't overlap");
    }
}

template <class T, std::size_t Rank>
void check_alone(const tensor_view<T, Rank>& view) {
    const bool expected = std::ssize(bytes_of(view)) < view.size() * index_t{sizeof(T)};
    if (detail::overlaps_itself(view) != expected) {
        CAPTURE(view.extents);
        CAPTURE(view.strides);
        FAIL("a view that ", expected ? "overlaps itself" : "doesn't overlap itself");
    }
}

} // namespace

TEST_CASE("overlap is what the sets of addresses say: all small views of two dimensions") {
    for (index_t extent = 1; extent <= 3; ++extent) {
        for (index_t inner = 1; inner <= 3; ++inner) {
            for (index_t stride = 0; stride <= 6; ++stride) {
                for (index_t inner_stride = 0; inner_stride <= 4; ++inner_stride) {
                    const auto a = view_at<float, 2>(200, {extent, inner}, {stride, inner_stride});
                    check_alone(a);
                    for (index_t other = 0; other <= 6; ++other) {
                        for (index_t offset = -8; offset <= 8; ++offset) {
                            check_pair(a, view_at<float, 2>(200 + 4 * offset, {3, 2}, {other, 1}));
                            check_pair(a, view_at<float, 2>(200 + 4 * offset, {inner, extent}, {2, other}));
                            check_pair(a, view_at<bfloat16, 2>(200 + 2 * offset, {2, 3}, {other, 2}));
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("overlap is what the sets of addresses say: views of up to four dimensions, and of other elements") {
    std::mt19937 random(3);
    const auto below = [&](index_t end) { return static_cast<index_t>(random() % static_cast<unsigned>(end)); };
    for (int i = 0; i < 20000; ++i) {
        // Half of them have strides of a buffer, which interleave; half have any.
        const bool regular = i % 2 == 0;
        const index_t parts = 1 + below(4);
        const std::array<index_t, 4> extents{1 + below(2), 1 + below(3), 1 + below(3), 1 + below(3)};
        const index_t head = extents[3] * parts + below(2);
        const index_t row = extents[2] * head + below(2);
        const std::array<index_t, 4> strides = regular
                                                   ? std::array<index_t, 4>{extents[1] * row, row, head, 1}
                                                   : std::array<index_t, 4>{below(40), below(20), below(12), below(3)};
        const auto a = view_at<float, 4>(1000, extents, strides);
        check_alone(a);
        check_pair(a, view_at<float, 4>(1000 + 4 * extents[3] * below(parts), extents, strides));
        check_pair(a, view_at<float, 4>(800 + 4 * below(100), extents, strides));
        check_pair(a, view_at<float, 3>(800 + 4 * below(100), {1 + below(3), 1 + below(3), 1 + below(4)},
                                        {below(30), below(10), 1}));
        check_pair(a, view_at<bfloat16, 4>(800 + 2 * below(200), extents, {below(60), below(30), 2 * head, below(3)}));
        check_pair(a, view_at<bfloat16, 1>(800 + 2 * below(200), {1 + below(5)}, {1 + below(4)}));
    }
}

TEST_CASE("empty views overlap nothing; large ones are told apart as fast") {
    const auto nothing = view_at<float, 2>(0, {0, 4}, {4, 1});
    const auto something = view_at<float, 2>(0, {2, 4}, {4, 1});
    CHECK(!detail::overlap(nothing, something));
    CHECK(!detail::overlap(something, tensor_view<float, 2>{}));
    CHECK(!detail::overlaps_itself(nothing));
    // The parts of [batch, length, heads, 3, head_dim]; nobody touches the memory.
    const std::array<index_t, 4> extents{64, 131072, 96, 128};
    const std::array<index_t, 4> strides{index_t{131072} * 96 * 384, 96 * 384, 384, 1};
    for (const index_t apart : {index_t{128}, index_t{256}, index_t{127}, index_t{-127}, index_t{384 - 127}}) {
        const auto query = view_at<bfloat16, 4>(1024, extents, strides);
        const auto key = view_at<bfloat16, 4>(1024 + 2 * apart, extents, strides);
        CHECK(!detail::overlaps_itself(query));
        CHECK(detail::overlap(query, key) == (apart % 128 != 0));
    }
    // [batch, heads, length, head_dim] beside [batch, length, heads, head_dim].
    const auto by_head = view_at<float, 4>(1024, {2, 1000, 8, 64}, {512 * 2000, 64, 64 * 1000, 1});
    CHECK(!detail::overlaps_itself(by_head));
    CHECK(!detail::overlap(by_head, view_at<float, 4>(1024 + 4 * 512000, {2, 1000, 8, 64}, {512 * 2000, 512, 64, 1})));
    CHECK(detail::overlap(by_head, view_at<float, 4>(1024 + 4 * 511999, {2, 1000, 8, 64}, {512 * 2000, 512, 64, 1})));
    // Strides without order: it may be wrong, on the safe side, but not slow.
    const auto odd = view_at<float, 4>(0, {9001, 9002, 9003, 2}, {10007, 10009, 10037, 3});
    CHECK(detail::overlap(odd, view_at<float, 4>(4, {9001, 9002, 9003, 2}, {10039, 10061, 10067, 3})));
}

namespace {

// The tensors of a problem as parts of one buffer: [batch, length, heads, parts, head_dim].
template <class T>
struct interleaved {
    static constexpr index_t parts = 5;
    shape size;
    std::vector<T> buffer;

    explicit interleaved(const shape& s)
        : size(s), buffer(static_cast<std::size_t>(s.batch * s.query_length * s.heads * parts * s.head_dim), T(7.0F)) {}

    tensor_view<T, 4> part(index_t number) {
        const index_t head = parts * size.head_dim;
        return {buffer.data() + number * size.head_dim,
                {size.batch, size.query_length, size.heads, size.head_dim},
                {size.query_length * size.heads * head, size.heads * head, head, 1}};
    }
    static tensor_view<const T, 4> read(const tensor_view<T, 4>& view) {
        return {view.data, view.extents, view.strides};
    }
};

template <class T>
void copy(const tensor_view<const T, 4>& from, const tensor_view<T, 4>& to) {
    for (index_t b = 0; b < to.extents[0]; ++b) {
        for (index_t i = 0; i < to.extents[1]; ++i) {
            for (index_t h = 0; h < to.extents[2]; ++h) {
                std::copy_n(from.pointer(b, i, h), to.extents[3], to.pointer(b, i, h));
            }
        }
    }
}

// To the last bit.
template <class T>
bool same(const tensor_view<T, 4>& a, const tensor_view<T, 4>& b) {
    bool result = true;
    for (index_t i = 0; i < a.extents[0]; ++i) {
        for (index_t j = 0; j < a.extents[1]; ++j) {
            for (index_t k = 0; k < a.extents[2]; ++k) {
                const auto bytes = static_cast<std::size_t>(a.extents[3]) * sizeof(T);
                result = result && std::memcmp(a.pointer(i, j, k), b.pointer(i, j, k), bytes) == 0;
            }
        }
    }
    return result;
}

} // namespace

TEST_CASE_TEMPLATE("tensors and gradients that interleave by head give what separate ones give", T, float, bfloat16,
                   float16) {
    using calls = cpu_calls<T, any_mask, no_sink>;
    std::mt19937 random(4);
    for (const index_t head_dim : {5, 32}) {
        const shape size{2, 7, 7, 3, 3, head_dim};
        problem<T> p(size, random);
        const std::vector<index_t> lengths{7, 4};
        const attention_options options{.query_lengths = lengths, .key_lengths = lengths};
        const attention_tensors<T> apart = p.tensors();
        const attention_gradients<T> gradients = p.gradients(no_sink{});
        calls::forward(cpu_executor{2}, apart, causal{}, no_sink{}, options);
        calls::backward(cpu_executor{2}, apart, gradients, causal{}, no_sink{}, options);

        interleaved<T> in(size); // query, key, value, output, and a part that nobody may write
        copy<T>(apart.query, in.part(0));
        copy<T>(apart.key, in.part(1));
        copy<T>(apart.value, in.part(2));
        problem<T> other = p.fresh();
        attention_tensors<T> mixed = other.tensors();
        mixed.query = in.read(in.part(0));
        mixed.key = in.read(in.part(1));
        mixed.value = in.read(in.part(2));
        mixed.output = in.part(3);
        calls::forward(cpu_executor{2}, mixed, causal{}, no_sink{}, options);
        CHECK(same(in.part(3), apart.output));

        interleaved<T> out(size); // the gradients of query, key and value
        attention_gradients<T> mixed_gradients = other.gradients(no_sink{});
        mixed_gradients.query = out.part(0);
        mixed_gradients.key = out.part(1);
        mixed_gradients.value = out.part(2);
        calls::backward(cpu_executor{2}, mixed, mixed_gradients, causal{}, no_sink{}, options);
        CHECK(same(out.part(0), gradients.query));
        CHECK(same(out.part(1), gradients.key));
        CHECK(same(out.part(2), gradients.value));
        for (interleaved<T>* buffer : {&in, &out}) {
            const std::vector<T> untouched(buffer->buffer.size(), T(7.0F));
            interleaved<T> all = *buffer;
            all.buffer = untouched;
            CHECK(same(buffer->part(4), all.part(4)));
        }
    }
}
