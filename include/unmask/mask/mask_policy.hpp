// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// The most positions that a sequence has, with those before a query offset: 2^62. All positions are below it, so masks
/// may add two of them.
inline constexpr index_t most_positions = index_t{1} << 62;

/// What a mask says about a whole tile of queries × keys.
enum class tile_class {
    empty,   ///< no query sees any key: the tile is never loaded
    partial, ///< some do: visibility is tested element by element. Always a correct answer.
    full,    ///< every query sees every key: no mask code runs
};

/// A parameter of a mask policy that is out of bounds; none if `parameter` is null.
struct mask_fault {
    const char* parameter = nullptr; ///< for instance "block.size"
    index_t was = 0;                 ///< its value
    const char* expected = nullptr;  ///< for instance "at least 1"

    /// Whether there is one.
    constexpr explicit operator bool() const { return parameter != nullptr; }
};

namespace detail {
template <class Type>
inline constexpr bool is_ranges = false;
template <int Capacity>
inline constexpr bool is_ranges<ranges<Capacity>> = true;
template <class Type>
concept some_ranges = is_ranges<std::remove_cvref_t<Type>>;

template <class Type>
concept has_visible = requires(const Type& mask, index_t i) {
    { mask.visible(i, i) } -> std::convertible_to<bool>;
};
template <class Type>
concept function_of_positions = requires(const Type& function, index_t i) {
    { function(i, i) } -> std::convertible_to<bool>;
};
} // namespace detail

/// A mask policy: which query positions may attend which key positions.
///
/// A small trivially copyable value whose functions are constexpr and cost O(1) (or O(log length)); parameters are
/// members, so nothing is recompiled when one changes.
///
/// The meaning is one function. Everything else agrees with it (audit checks that):
///
///   `bool visible(q, k)`: may query position q attend key position k?
///
/// Two more are required, because without them a mask could skip nothing:
///
///   `tile_class classify(q_begin, q_end, k_begin, k_end)` for a non-empty tile: `empty` only if nothing in it is
///   visible, `full` only if everything is, `partial` whenever you like.
///
///   `ranges<R> key_ranges(q_begin, q_end, keys)`: within [0, keys), every key that a query of [q_begin, q_end) sees is
///   in one of the ranges. What is outside is never loaded, so tight is fast. `ranges<1>({0, keys})` is always right.
///
/// Two are optional, and change nothing but speed:
///
///   `ranges<C> row(q, keys)`: the keys of [0, keys) that q sees, and no others. Kernels then mask a partial tile by
///   filling ranges instead of asking `visible` for every element: see row_mask_policy.
///
///   `ranges<R> query_ranges(k_begin, k_end, queries)`: the transpose of key_ranges, which attention_received asks for.
///   Without it, all queries.
///
/// And one is for parameters that can be wrong: `mask_fault fault() const`. Attention calls it first, and throws what
/// it reports.
///
/// Positions are absolute, not negative and below most_positions; begin < end, except that keys and queries may be 0. A
/// policy of your own:
///
///     struct even_keys { // only even positions are seen
///         constexpr bool visible(unmask::index_t, unmask::index_t k) const { return k % 2 == 0; }
///         constexpr auto classify(unmask::index_t, unmask::index_t, unmask::index_t, unmask::index_t) const {
///             return unmask::tile_class::partial;
///         }
///         constexpr auto key_ranges(unmask::index_t, unmask::index_t, unmask::index_t keys) const {
///             return unmask::ranges<1>({0, keys});
///         }
///     };
///
/// A type with `visible` alone becomes a mask policy as `predicate(mask)`. For a mask on the GPU, its functions are
/// UNMASK_HOST_DEVICE, too.
template <class M>
concept mask_policy = std::is_trivially_copyable_v<M> && detail::has_visible<M> && requires(const M& mask, index_t i) {
    { mask.classify(i, i, i, i) } -> std::same_as<tile_class>;
    { mask.key_ranges(i, i, i) } -> detail::some_ranges;
};

/// A mask policy with `row`, which lists the visible keys of one row exactly.
template <class M>
concept row_mask_policy = mask_policy<M> && requires(const M& mask, index_t i) {
    { mask.row(i, i) } -> detail::some_ranges;
};

/// A mask policy with `query_ranges`, which bounds the queries that see some keys.
template <class M>
concept query_ranges_mask_policy = mask_policy<M> && requires(const M& mask, index_t i) {
    { mask.query_ranges(i, i, i) } -> detail::some_ranges;
};

namespace detail {

// What a policy, or one inside it, says about its parameters.
template <mask_policy M>
constexpr mask_fault fault_of(const M& mask) {
    if constexpr (requires {
                      { mask.fault() } -> std::same_as<mask_fault>;
                  }) {
        return mask.fault();
    } else {
        return {};
    }
}

// The queries that may see some keys, whether the policy bounds them or not.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable // a mask that is for the host alone is asked on the host alone
#endif
template <mask_policy M>
UNMASK_HOST_DEVICE constexpr auto query_ranges_of(const M& mask, index_t k_begin, index_t k_end, index_t queries) {
    if constexpr (query_ranges_mask_policy<M>) {
        return mask.query_ranges(k_begin, k_end, queries);
    } else {
        return ranges<1>({0, queries});
    }
}

// The class of a tile that is made of smaller ones.
struct tile_pieces {
    bool visible = false;
    bool hidden = false;

    UNMASK_HOST_DEVICE constexpr void add(tile_class piece) {
        visible = visible || piece != tile_class::empty;
        hidden = hidden || piece != tile_class::full;
    }
    UNMASK_HOST_DEVICE constexpr tile_class whole() const {
        return !visible ? tile_class::empty : hidden ? tile_class::partial : tile_class::full;
    }
};

} // namespace detail

UNMASK_NAMESPACE_END
