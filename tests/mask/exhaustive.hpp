// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// Checks every function of a mask policy against `visible`, for all tiles and lengths up to a small size.

#include <initializer_list>
#include <string>

#include <doctest/doctest.h>

#include <unmask/mask/audit.hpp>
#include <unmask/mask/detail/visible_counts.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/tiles.hpp>

namespace mask_test {

using unmask::index_t;
using unmask::tile_class;

/// What a policy promises beyond being correct.
struct promises {
    bool exact_class = true;  ///< classify never says partial of an empty or full tile
    bool exact_ranges = true; ///< key_ranges and query_ranges hold nothing that is not seen
};

constexpr promises correct_only{false, false};

/// Failures are counted and only the first is described: a doctest check for each case would be slow.
struct failures {
    long count = 0;
    std::string first{};

    void expect(bool condition, const char* what, std::initializer_list<index_t> where) {
        if (condition) {
            return;
        }
        if (count++ == 0) {
            first = what;
            for (const index_t number : where) {
                first += " " + std::to_string(number);
            }
        }
    }
};

// The loops over tiles that kernels run: in order, aligned, each tile once, none that matters left out, and, for an
// exact policy, none that doesn't.
template <class Mask>
void check_visits(failures& result, const Mask& mask, const unmask::detail::visible_counts& truth, index_t size,
                  promises promised) {
    for (const index_t tile : {index_t{1}, index_t{3}, index_t{4}}) {
        for (index_t begin = 0; begin < size; ++begin) {
            for (index_t end = begin + 1; end <= size; end += 2) {
                for (index_t first = 0; first < size; first += 2) {
                    // first = 0 is the only origin that keys have; queries start at any offset.
                    const auto walk = [&](bool over_keys, const char* what) {
                        index_t next = first; // begin of the next tile not yet accounted for
                        const auto truth_of = [&](index_t a, index_t b) {
                            return over_keys ? truth.classify(begin, end, a, b) : truth.classify(a, b, begin, end);
                        };
                        const auto skip_to = [&](index_t stop) {
                            for (; next < stop; next += tile) {
                                const index_t cut = next + tile < size ? next + tile : size;
                                result.expect(truth_of(next, cut) == tile_class::empty, what, {begin, end, next});
                            }
                        };
                        const auto visit = [&](index_t a, index_t b, tile_class kind) {
                            skip_to(a);
                            const tile_class is = truth_of(a, b);
                            const bool kind_right =
                                promised.exact_class ? kind == is : kind == is || kind == tile_class::partial;
                            const bool needed = is != tile_class::empty || !promised.exact_class;
                            const bool whole = a == next && b == (a + tile < size ? a + tile : size);
                            result.expect(kind_right && needed && whole, what, {begin, end, a, b});
                            next = a + tile;
                        };
                        if (over_keys) {
                            unmask::for_each_key_tile(mask, begin, end, size, tile, visit);
                        } else {
                            unmask::for_each_query_tile(mask, begin, end, first, size, tile, visit);
                        }
                        skip_to(size);
                    };
                    if (first == 0) {
                        walk(true, "for_each_key_tile");
                    }
                    walk(false, "for_each_query_tile");
                }
            }
        }
    }
}

/// A mask against its `visible`, on positions [0, size): its functions, by audit, and the loops over tiles.
template <unmask::mask_policy Mask>
void check_mask(const std::string& name, const Mask& mask, index_t size, promises promised = {}) {
    const unmask::mask_audit report = unmask::audit(mask, size, size, 4);
    const unmask::detail::visible_counts truth(mask, size, size);
    failures visits;
    check_visits(visits, mask, truth, size, promised);
    INFO("mask: ", name);
    INFO("audit: ", report.text());
    INFO("first failure of the loops: ", visits.first);
    CHECK(report.correct());
    CHECK((report.loose_classes == 0 || !promised.exact_class));
    CHECK((report.loose_ranges == 0 || !promised.exact_ranges));
    CHECK(visits.count == 0);
}

/// "name{1, 2}", for messages.
inline std::string call(const std::string& name, std::initializer_list<index_t> parameters) {
    std::string text = name + "{";
    for (const index_t each : parameters) {
        text += (text.back() == '{' ? "" : ", ") + std::to_string(each);
    }
    return text + "}";
}

} // namespace mask_test
