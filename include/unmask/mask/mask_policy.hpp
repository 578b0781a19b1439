// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// What a mask says about a whole tile of queries × keys.
enum class tile_class {
    empty,   ///< no query sees any key: the tile is never loaded
    partial, ///< some do: visibility is tested element by element. Always a correct answer.
    full,    ///< every query sees every key: no mask code runs
};

/// A parameter of a mask policy that is out of bounds; none if `parameter` is null.
struct mask_fault {
    const char* parameter = nullptr; ///< for instance "block.size"
    index_t was = 0;
    const char* expected = nullptr; ///< for instance "at least 1"

    constexpr explicit operator bool() const { return parameter != nullptr; }
};

namespace detail {
template <class Type>
inline constexpr bool is_ranges = false;
template <int Capacity>
inline constexpr bool is_ranges<ranges<Capacity>> = true;
template <class Type>
concept some_ranges = is_ranges<std::remove_cvref_t<Type>>;
} // namespace detail

/// A mask policy: which query positions may attend which key positions.
///
/// A small trivially copyable value whose functions are constexpr and cost O(1) (or O(log length)); parameters are
/// members, so nothing is recompiled when one changes. It needs
///
///   1. `bool visible(q, k)`, the meaning: may query position q attend key position k? Everything else agrees with it.
///   2. `tile_class classify(q_begin, q_end, k_begin, k_end)` for a non-empty tile: `empty` only if nothing in it is
///      visible, `full` only if everything is, `partial` whenever you like.
///   3. `ranges<R> key_ranges(q_begin, q_end, keys)`: within [0, keys), every key that a query of [q_begin, q_end)
///      sees is in one of the ranges. What is outside is never loaded, so tight is fast.
///   4. `ranges<R> query_ranges(k_begin, k_end, queries)`: the transpose, for the backward pass.
///
/// Positions are absolute and not negative; begin < end, except that keys and queries may be 0. `detail` aside, all of
/// these are yours to call. A policy of your own:
///
///     struct even_keys { // only even positions are seen
///         constexpr bool visible(index_t, index_t k) const { return k % 2 == 0; }
///         constexpr tile_class classify(index_t, index_t, index_t, index_t) const { return tile_class::partial; }
///         constexpr auto key_ranges(index_t, index_t, index_t keys) const { return ranges<1>({0, keys}); }
///         constexpr auto query_ranges(index_t, index_t, index_t queries) const { return ranges<1>({0, queries}); }
///     };
///
/// (For a mask on the GPU its functions are UNMASK_HOST_DEVICE, too.) A policy whose parameters can be wrong may have
/// one more member, `mask_fault fault() const`; the attention functions call it first and throw what it reports.
template <class M>
concept mask_policy = std::is_trivially_copyable_v<M> && requires(const M& mask, index_t i) {
    { mask.visible(i, i) } -> std::convertible_to<bool>;
    { mask.classify(i, i, i, i) } -> std::same_as<tile_class>;
    { mask.key_ranges(i, i, i) } -> detail::some_ranges;
    { mask.query_ranges(i, i, i) } -> detail::some_ranges;
};

/// A mask policy that can also list the visible keys of one row exactly:
///
///   5. `ranges<C> row(q, keys)`: the keys of [0, keys) that q sees, and no others.
///
/// Kernels then mask a partial tile by filling ranges instead of asking `visible` for every element.
template <class M>
concept row_mask_policy = mask_policy<M> && requires(const M& mask, index_t i) {
    { mask.row(i, i) } -> detail::some_ranges;
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
