// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <unmask/mask/document.hpp>
#include <unmask/mask/mask_policy.hpp>

#include "../support/mask_list.hpp"

// Every mask policy behind one type.

namespace test {

using namespace unmask;

// One of some masks. (std::variant is not callable in device code.)
template <class First, class... Rest>
union mask_union {
    First first;
    mask_union<Rest...> rest;

    template <class Mask>
    constexpr explicit mask_union(const Mask& mask) : rest(mask) {}
    constexpr explicit mask_union(const First& mask) : first(mask) {}

    template <class Mask>
    static constexpr int index_of() {
        if constexpr (std::same_as<Mask, First>) {
            return 0;
        } else {
            return 1 + mask_union<Rest...>::template index_of<Mask>();
        }
    }
    template <class Visit>
    UNMASK_HOST_DEVICE auto visit(int index, const Visit& with) const {
        return index == 0 ? with(first) : rest.visit(index - 1, with);
    }
};
template <class Only>
union mask_union<Only> {
    Only first;

    constexpr explicit mask_union(const Only& mask) : first(mask) {}

    template <class Mask>
    static constexpr int index_of() {
        static_assert(std::same_as<Mask, Only>);
        return 0;
    }
    template <class Visit>
    UNMASK_HOST_DEVICE auto visit(int /*index*/, const Visit& with) const {
        return with(first);
    }
};

template <class List>
struct union_of;
template <class... Listed>
struct union_of<std::tuple<Listed...>> {
    using type = mask_union<typename Listed::policy...>;
};

// One type for all policies of mask_list, so that the kernels are compiled once for each sink and element type and
// still run every policy's own functions.
struct any_mask {
    using masks = union_of<decltype(mask_list(0, {}))>::type;
    masks policy;
    int index;

    template <mask_policy Mask>
    any_mask(const Mask& mask) : policy(mask), index(masks::index_of<Mask>()) {}

    UNMASK_HOST_DEVICE bool visible(index_t q, index_t k) const {
        return policy.visit(index, [&](const auto& mask) { return mask.visible(q, k); });
    }
    UNMASK_HOST_DEVICE tile_class classify(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        return policy.visit(index, [&](const auto& mask) { return mask.classify(q_begin, q_end, k_begin, k_end); });
    }
    UNMASK_HOST_DEVICE ranges<8> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return policy.visit(index, [&](const auto& mask) { return widened(mask.key_ranges(q_begin, q_end, keys)); });
    }
    UNMASK_HOST_DEVICE ranges<8> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return policy.visit(
            index, [&](const auto& mask) { return widened(detail::query_ranges_of(mask, k_begin, k_end, queries)); });
    }
    UNMASK_HOST_DEVICE ranges<8> row(index_t q, index_t keys) const {
        return policy.visit(index, [&](const auto& mask) { return widened(mask.row(q, keys)); });
    }

private:
    template <int Capacity>
    UNMASK_HOST_DEVICE static ranges<8> widened(const ranges<Capacity>& narrow) {
        ranges<8> result;
        for (const range& each : narrow) {
            result.append(each);
        }
        return result;
    }
};
static_assert(row_mask_policy<any_mask>);

// The masks of mask_list with their names.
inline std::vector<std::pair<std::string, any_mask>> masks(index_t length, std::span<const range> documents) {
    const auto in_a_row = [](const auto&... listed) {
        return std::vector<std::pair<std::string, any_mask>>{{listed.name, listed.tested}...};
    };
    return std::apply(in_a_row, mask_list(length, documents));
}

// Consecutive documents of the lengths 1, 30, 2, 65, 1, 30, …
inline std::vector<range> some_documents(index_t total) {
    std::vector<index_t> lengths;
    for (index_t sum = 0, i = 0; sum < total; ++i) {
        constexpr index_t cycle[] = {1, 30, 2, 65};
        lengths.push_back(std::min(cycle[i % 4], total - sum));
        sum += lengths.back();
    }
    return document_ranges(lengths);
}

} // namespace test
