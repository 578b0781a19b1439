// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/attention/kv_cache.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/sink/no_sink.hpp>

#include "any_mask.hpp"
#include "calls.hpp"

// What a cache holds is what computing everything again would give, to the last bit, and nothing else can be put there.

namespace {

using namespace unmask;

// A user's mask that is never sure: it sees what is before the end of its block of four.
struct lazy_block {
    constexpr bool visible(index_t q, index_t k) const { return k / 4 <= q / 4; }
    constexpr tile_class classify(index_t, index_t, index_t, index_t) const { return tile_class::partial; }
    constexpr ranges<1> key_ranges(index_t, index_t, index_t keys) const { return ranges<1>({0, keys}); }
    constexpr ranges<1> query_ranges(index_t, index_t, index_t queries) const { return ranges<1>({0, queries}); }
};

} // namespace

template <>
inline constexpr bool unmask::looks_back<lazy_block> = true;

namespace {

struct heads {
    index_t query;
    index_t key;
};

// Random tensors of one sequence for a few layers, with rows of a fused projection: query, key, value.
template <class T>
struct sequence {
    index_t layers, length, query_heads, kv_heads, head_dim;
    std::vector<T> fused;

    sequence(index_t layer_count, index_t positions, heads count, index_t dim, std::mt19937& random)
        : layers(layer_count), length(positions), query_heads(count.query), kv_heads(count.key), head_dim(dim),
          fused(static_cast<std::size_t>(layers * length * pitch())) {
        std::normal_distribution<float> normal;
        for (T& value : fused) {
            value = static_cast<T>(normal(random));
        }
    }

    [[nodiscard]] index_t pitch() const { return (query_heads + 2 * kv_heads) * head_dim; }

    // `count` positions from `begin` on of heads [first, first + some) of a layer.
    [[nodiscard]] tensor_view<const T, 4> part(index_t layer, index_t begin, index_t count, index_t first,
                                               index_t some) const {
        return {fused.data() + (layer * length + begin) * pitch() + first * head_dim,
                {1, count, some, head_dim},
                {length * pitch(), pitch(), head_dim, 1}};
    }
    [[nodiscard]] auto query(index_t layer, index_t begin, index_t end) const {
        return part(layer, begin, end - begin, 0, query_heads);
    }
    [[nodiscard]] auto key(index_t layer, index_t begin, index_t end) const {
        return part(layer, begin, end - begin, query_heads, kv_heads);
    }
    [[nodiscard]] auto value(index_t layer, index_t begin, index_t end) const {
        return part(layer, begin, end - begin, query_heads + kv_heads, kv_heads);
    }
};

template <class T>
void forward(const attention_tensors<T>& tensors, const test::any_mask& mask, const attention_options& options = {}) {
    test::cpu_calls<T, test::any_mask, no_sink>::forward(cpu_executor{1}, tensors, mask, no_sink{}, options);
}

// Attention of every layer over the whole sequence: [layers, length, heads, head_dim].
template <class T, class Mask>
std::vector<T> at_once(const sequence<T>& s, const Mask& mask) {
    const index_t row = s.query_heads * s.head_dim;
    std::vector<T> output(static_cast<std::size_t>(s.layers * s.length * row));
    for (index_t layer = 0; layer < s.layers; ++layer) {
        forward(attention_tensors<T>{s.query(layer, 0, s.length), s.key(layer, 0, s.length),
                                     s.value(layer, 0, s.length),
                                     view(output.data() + layer * s.length * row, index_t{1}, s.length, s.query_heads,
                                          s.head_dim)},
                mask);
    }
    return output;
}

// The same, block after block through a cache: `ends` are where blocks end. Each block is written twice, first with
// wrong keys and values, as a block is whose tokens still change.
template <class T, class Mask>
std::vector<T> through_cache(const sequence<T>& s, const Mask& mask, const std::vector<index_t>& ends) {
    const index_t row = s.query_heads * s.head_dim;
    std::vector<T> output(static_cast<std::size_t>(s.layers * s.length * row));
    kv_cache<T, Mask> cache(mask, s.layers, s.kv_heads, s.head_dim);
    index_t begin = 0;
    for (const index_t end : ends) {
        for (const bool draft : {true, false}) {
            for (index_t layer = 0; layer < s.layers; ++layer) {
                const auto key = draft ? s.value(layer, begin, end) : s.key(layer, begin, end);
                cache.write(layer, begin, key, s.value(layer, begin, end));
                forward(attention_tensors<T>{s.query(layer, begin, end), cache.key(layer, end), cache.value(layer, end),
                                             view(output.data() + (layer * s.length + begin) * row, index_t{1},
                                                  end - begin, s.query_heads, s.head_dim)},
                        cache.mask(), {.query_offset = begin});
            }
        }
        cache.keep(end);
        begin = end;
    }
    return output;
}

std::vector<index_t> blocks_of(index_t first, index_t size, index_t length) {
    std::vector<index_t> ends;
    for (index_t end = first + size; end < length; end += size) {
        ends.push_back(end);
    }
    ends.push_back(first + (length - first + size - 1) / size * size); // whole, so as to be kept
    return ends;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class T>
void check_exact(heads count, index_t head_dim, std::mt19937& random) {
    CAPTURE(count.query);
    CAPTURE(count.key);
    {
        const sequence<T> s(2, 96, count, head_dim, random);
        CHECK(same_bits(at_once(s, block{16}), through_cache(s, block{16}, blocks_of(0, 16, 96))));
        CHECK(same_bits(at_once(s, block{16}), through_cache(s, block{16}, {32, 48, 96})));
        CHECK(same_bits(at_once(s, causal{}), through_cache(s, causal{}, {7, 8, 40, 41, 96})));
        CHECK(!same_bits(at_once(s, block{16}), at_once(s, causal{})));
    }
    {
        const sequence<T> s(2, 97, count, head_dim, random); // a sink and six blocks
        const extra_sink<block> mask{block{16}, 0, 1};
        CHECK(same_bits(at_once(s, mask), through_cache(s, mask, blocks_of(1, 16, 97))));
        auto with_sink_alone = blocks_of(1, 16, 97);
        with_sink_alone.insert(with_sink_alone.begin(), 1);
        CHECK(same_bits(at_once(s, mask), through_cache(s, mask, with_sink_alone)));
    }
}

// A cache of one layer, one head, dimension 2, that holds `length` positions of which `kept` are final.
template <class Mask>
kv_cache<float, Mask> filled(const Mask& mask, index_t length, index_t kept = 0) {
    kv_cache<float, Mask> cache(mask, 1, 1, 2);
    const std::vector<float> values(static_cast<std::size_t>(2 * length), 1.0F);
    const auto rows = view(values.data(), index_t{1}, length, index_t{1}, index_t{2});
    cache.write(0, 0, rows, rows);
    cache.keep(kept);
    return cache;
}

// Whether `keep` and `truncate` take every end of [0, length] just if no position before it sees one from it on.
template <class Mask>
void check_ends(const char* name, const Mask& mask, index_t length) {
    CAPTURE(name);
    for (index_t end = 0; end <= length; ++end) {
        bool whole = true;
        for (index_t q = 0; q < end; ++q) {
            for (index_t k = end; k < 2 * length; ++k) {
                whole = whole && !mask.visible(q, k);
            }
        }
        CAPTURE(end);
        auto cache = filled(mask, length);
        if (whole) {
            CHECK_NOTHROW(cache.keep(end));
            CHECK(cache.length() == end);
            for (index_t less = 0; less < end; ++less) { // truncation is held to the same
                auto shorter = cache;
                bool cut = false;
                for (index_t q = 0; q < less; ++q) {
                    for (index_t k = less; k < 2 * length; ++k) {
                        cut = cut || mask.visible(q, k);
                    }
                }
                if (cut) {
                    CHECK_THROWS_AS(shorter.truncate(less), invalid_argument);
                    CHECK(shorter.length() == end);
                } else {
                    CHECK_NOTHROW(shorter.truncate(less));
                    CHECK(shorter.length() == less);
                    CHECK_THROWS_AS((void)shorter.key(0, less + 1), invalid_argument);
                }
            }
        } else {
            CHECK_THROWS_AS(cache.keep(end), invalid_argument);
            CHECK(cache.length() == 0);
        }
    }
}

} // namespace

TEST_CASE("looks_back: which masks an exact cache is for") {
    static_assert(looks_back<causal> && looks_back<block> && looks_back<prefix> && looks_back<lazy_block>);
    static_assert(!looks_back<bidirectional> && !looks_back<sliding_window> && !looks_back<document> &&
                  !looks_back<block_diffusion> && !looks_back<shadow_block>);
    static_assert(looks_back<decltype(causal{} && sliding_window{3, 3})> &&
                  looks_back<decltype(sliding_window{3, 3} && block{4})> &&
                  !looks_back<decltype(bidirectional{} && sliding_window{3, 3})>);
    static_assert(looks_back<decltype(causal{} || block{4})> && !looks_back<decltype(causal{} || bidirectional{})>);
    static_assert(looks_back<extra_sink<block>> && !looks_back<extra_sink<bidirectional>> &&
                  looks_back<extra_sink<extra_sink<decltype(causal{} || block{4})>>>);
    static_assert(!looks_back<decltype(!causal{})> && !looks_back<decltype(!bidirectional{})>);
    const predicate causal_by_hand([](index_t q, index_t k) { return k <= q; });
    static_assert(!looks_back<decltype(causal_by_hand)>);
}

TEST_CASE("decoding blocks through a cache is one forward pass over everything, bit for bit") {
    std::mt19937 random(51); // the seed
    check_exact<float>({2, 2}, 32, random);
    check_exact<float>({6, 2}, 24, random);
    check_exact<float>({4, 1}, 64, random);
    check_exact<bfloat16>({4, 4}, 32, random);
    check_exact<bfloat16>({4, 2}, 64, random);
}

TEST_CASE("only whole blocks are kept") {
    check_ends("block{4}", block{4}, 13);
    check_ends("causal", causal{}, 5);
    check_ends("prefix{3}", prefix{3}, 7);
    check_ends("extra_sink{block{3}}", extra_sink{block{3}}, 8);
    check_ends("extra_sink{block{3}, 0, 2}", extra_sink{block{3}, 0, 2}, 9);
    check_ends("a sink that comes late", extra_sink{causal{}, 5}, 8);
    check_ends("a sink that is still to come", extra_sink{causal{}, 12}, 8);
    check_ends("block{2} || block{3}", block{2} || block{3}, 13);
    check_ends("block{4} && sliding_window{9, 1}", block{4} && sliding_window{9, 1}, 9);
    check_ends("lazy_block", lazy_block{}, 13);
}

TEST_CASE("a cache takes positions in order and does not change what is final") {
    const std::vector<float> values(16, 2.0F);
    const auto rows = [&](index_t count) { return view(values.data(), index_t{1}, count, index_t{1}, index_t{2}); };
    auto cache = filled(block{4}, 8, 4);
    CHECK_THROWS_WITH_AS(cache.write(0, 3, rows(4), rows(4)),
                         "kv_cache::write: begin is 3, expected at least 4: what comes before is final",
                         invalid_argument);
    CHECK_THROWS_WITH_AS(
        cache.write(0, 9, rows(4), rows(4)),
        "key_value_store::write: begin is 9, expected between 0 and 8, the positions that layer 0 holds",
        invalid_argument);
    CHECK_THROWS_AS(cache.write(1, 4, rows(4), rows(4)), invalid_argument);
    CHECK_THROWS_AS(cache.write(0, 4, rows(4), rows(3)), invalid_argument);
    CHECK_THROWS_WITH_AS(cache.keep(12), "kv_cache::keep: end is 12, expected at most 8, what every layer holds",
                         invalid_argument);
    CHECK_THROWS_AS(cache.keep(0), invalid_argument);
    CHECK_THROWS_WITH_AS(cache.keep(6),
                         "kv_cache::keep: end is 6, expected the end of a block (position 4 sees position 6)",
                         invalid_argument);
    CHECK_THROWS_AS(cache.truncate(8), invalid_argument);
    CHECK_THROWS_AS(cache.truncate(-1), invalid_argument);
    CHECK(cache.length() == 4);
    CHECK(cache.key(0, 8)(0, 7, 0, 0) == 1.0F); // nothing was written
    CHECK_NOTHROW(cache.write(0, 4, rows(4), rows(4)));
    CHECK(cache.key(0, 8)(0, 3, 0, 0) == 1.0F);
    CHECK(cache.value(0, 8)(0, 4, 0, 1) == 2.0F);
    CHECK_THROWS_AS((kv_cache<float, block>(block{0}, 1, 1, 2)), invalid_argument);
    CHECK_THROWS_AS((kv_cache<float, block>(block{4}, 0, 1, 2)), invalid_argument);
    CHECK_THROWS_AS((kv_cache<float, block>(block{4}, 1, 0, 2)), invalid_argument);
    CHECK_THROWS_AS((kv_cache<float, block>(block{4}, 1, 1, 0)), invalid_argument);
}

TEST_CASE("all layers must have a block before it is final") {
    const std::vector<float> values(8, 3.0F);
    const auto rows = view(values.data(), index_t{1}, index_t{4}, index_t{1}, index_t{2});
    kv_cache<float, block> cache(block{4}, 3, 1, 2);
    cache.write(0, 0, rows, rows);
    cache.write(2, 0, rows, rows);
    CHECK_THROWS_AS(cache.keep(4), invalid_argument);
    cache.write(1, 0, rows, rows);
    CHECK_NOTHROW(cache.keep(4));
}

TEST_CASE("a store holds what was written last, at every position, and grows or not as told") {
    std::mt19937 random(52); // the seed
    key_value_store<float> store(2, 2, 3);
    std::vector<std::vector<float>> twin(2); // [positions, kv_heads · head_dim] of keys; values are their negatives
    store.reserve(40);
    const float* memory = nullptr;
    for (int round = 0; round < 60; ++round) {
        const index_t layer = static_cast<index_t>(random() % 2);
        auto& held = twin[static_cast<std::size_t>(layer)];
        const auto length = static_cast<index_t>(held.size() / 6);
        const index_t begin = static_cast<index_t>(random()) % (length + 1);
        const index_t count = std::min<index_t>(static_cast<index_t>(random() % 6), 40 - begin);
        std::vector<float> key(static_cast<std::size_t>(count * 6));
        std::vector<float> value;
        for (float& each : key) {
            each = static_cast<float>(random() % 1000);
            value.push_back(-each);
        }
        store.write(layer, begin, view(std::as_const(key).data(), index_t{1}, count, index_t{2}, index_t{3}),
                    view(std::as_const(value).data(), index_t{1}, count, index_t{2}, index_t{3}));
        held.resize(std::max(held.size(), static_cast<std::size_t>((begin + count) * 6)));
        std::copy(key.begin(), key.end(), held.begin() + begin * 6);
        if (round % 20 == 19) {
            store.truncate(11);
            for (auto& each : twin) {
                each.resize(std::min<std::size_t>(each.size(), 66));
            }
        }
        index_t shortest = 40;
        for (index_t i = 0; i < 2; ++i) {
            const auto& expected = twin[static_cast<std::size_t>(i)];
            const auto positions = static_cast<index_t>(expected.size() / 6);
            shortest = std::min(shortest, positions);
            REQUIRE(store.length(i) == positions);
            const auto keys = store.key(i, positions);
            const auto values = store.value(i, positions);
            CHECK(std::equal(expected.begin(), expected.end(), keys.data));
            CHECK(std::equal(expected.begin(), expected.end(), values.data, [](float a, float b) { return a == -b; }));
            CHECK(keys.extents == std::array<index_t, 4>{1, positions, 2, 3});
        }
        CHECK(store.length() == shortest);
        const float* now = store.length(0) > 0 ? store.key(0, 0).data : memory;
        CHECK((memory == nullptr || now == memory)); // room was made for all of it
        memory = now;
    }
    CHECK_THROWS_AS(store.reserve(-1), invalid_argument);
    CHECK_THROWS_AS(store.truncate(-1), invalid_argument);
    CHECK_THROWS_AS((void)store.key(2, 0), invalid_argument);
    CHECK_THROWS_AS((void)store.value(0, store.length(0) + 1), invalid_argument);
    CHECK_THROWS_AS((void)store.length(-1), invalid_argument);
    key_value_store<float> copy = store; // a value
    copy.truncate(0);
    CHECK(copy.length() == 0);
    CHECK(store.length() > 0);
}
