// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Says in one sentence what keeps a type from being a mask policy, or what an optional member is missing.
template <class Mask>
constexpr void check_mask_policy() {
    constexpr bool has_classify = requires(const Mask& mask, index_t i) { mask.classify(i, i, i, i); };
    constexpr bool has_key_ranges = requires(const Mask& mask, index_t i) { mask.key_ranges(i, i, i); };
    constexpr bool names_classify = has_classify || requires { &Mask::classify; };
    constexpr bool names_key_ranges = has_key_ranges || requires { &Mask::key_ranges; };
    if constexpr (mask_policy<Mask>) {
        constexpr bool names_query_ranges = requires { &Mask::query_ranges; };
        constexpr bool names_row = requires { &Mask::row; };
        static_assert(
            query_ranges_mask_policy<Mask> || !names_query_ranges,
            "unmask: mask.query_ranges(k_begin, k_end, queries) must be const and return an unmask::ranges<R>");
        static_assert(row_mask_policy<Mask> || !names_row,
                      "unmask: mask.row(q, keys) must be const and return an unmask::ranges<C>");
    } else if constexpr (!has_visible<Mask> && function_of_positions<Mask>) {
        static_assert(never<Mask>, "unmask: a function of (q, k) is a mask as unmask::predicate(function)");
    } else if constexpr (!has_visible<Mask>) {
        static_assert(never<Mask>,
                      "unmask: a mask needs bool visible(index_t q, index_t k) const: see unmask::mask_policy");
    } else if constexpr (!std::is_trivially_copyable_v<Mask>) {
        static_assert(never<Mask>, "unmask: a mask must be trivially copyable: numbers and pointers, no containers");
    } else if constexpr (!names_classify && !names_key_ranges) {
        static_assert(never<Mask>,
                      "unmask: a mask with `visible` alone runs as unmask::predicate(mask), which skips no "
                      "tile; to skip some, add classify and key_ranges: see unmask::mask_policy");
    } else if constexpr (!names_classify) {
        static_assert(never<Mask>,
                      "unmask: the mask has no member classify(q_begin, q_end, k_begin, k_end); if it always "
                      "returns unmask::tile_class::partial, it is right");
    } else if constexpr (!names_key_ranges) {
        static_assert(never<Mask>,
                      "unmask: the mask has no member key_ranges(q_begin, q_end, keys); if it always returns "
                      "unmask::ranges<1>({0, keys}), it is right");
    } else if constexpr (!requires(const Mask& mask, index_t i) {
                             { mask.classify(i, i, i, i) } -> std::same_as<tile_class>;
                         }) {
        static_assert(never<Mask>,
                      "unmask: mask.classify(q_begin, q_end, k_begin, k_end) must be const, take four index_t "
                      "and return an unmask::tile_class");
    } else {
        static_assert(never<Mask>,
                      "unmask: mask.key_ranges(q_begin, q_end, keys) must be const, take three index_t and "
                      "return an unmask::ranges<R>");
    }
}

// Takes the place of a type that is no mask in a mask around it, and says why it isn't one. It is a mask: there are no
// errors after that.
template <class Wrong>
struct not_a_mask {
    constexpr not_a_mask(const Wrong& /*given*/) { check_mask_policy<Wrong>(); }

    UNMASK_HOST_DEVICE constexpr bool visible(index_t /*q*/, index_t /*k*/) const { return true; }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t /*q_begin*/, index_t /*q_end*/, index_t /*k_begin*/,
                                                     index_t /*k_end*/) const {
        return tile_class::full;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t /*q_end*/, index_t keys) const {
        return ranges<1>({0, keys});
    }
};

template <class Inner>
using mask_or_error = std::conditional_t<mask_policy<Inner>, Inner, not_a_mask<Inner>>;

} // namespace detail
UNMASK_NAMESPACE_END
