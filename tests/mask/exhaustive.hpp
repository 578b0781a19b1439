// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// Checks every function of a mask policy against `visible`, for all tiles and lengths up to a small size.

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
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

/// The matrix of `visible` on [0, size) × [0, size), with the number of visible pairs of any tile in O(1).
class visible_matrix {
public:
    template <class Mask>
    visible_matrix(const Mask& mask, index_t size) : size_(size), sums_(cells(size + 1)) {
        for (index_t q = 0; q < size; ++q) {
            for (index_t k = 0; k < size; ++k) {
                sum(q + 1, k + 1) = sum(q, k + 1) + sum(q + 1, k) - sum(q, k) + (mask.visible(q, k) ? 1 : 0);
            }
        }
    }

    index_t count(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        return at(q_end, k_end) - at(q_begin, k_end) - at(q_end, k_begin) + at(q_begin, k_begin);
    }
    tile_class classify(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        const index_t visible = count(q_begin, q_end, k_begin, k_end);
        return visible == 0                                       ? tile_class::empty
               : visible == (q_end - q_begin) * (k_end - k_begin) ? tile_class::full
                                                                  : tile_class::partial;
    }

private:
    static std::size_t cells(index_t side) { return static_cast<std::size_t>(side * side); }
    std::size_t cell(index_t q, index_t k) const { return static_cast<std::size_t>(q * (size_ + 1) + k); }
    index_t& sum(index_t q, index_t k) { return sums_[cell(q, k)]; }
    index_t at(index_t q, index_t k) const { return sums_[cell(q, k)]; }

    index_t size_;
    std::vector<index_t> sums_;
};

/// Sorted, not empty, not touching, within [0, length), within capacity.
template <int Capacity>
bool well_formed(const unmask::ranges<Capacity>& list, index_t length) {
    index_t previous_end = -1;
    for (const unmask::range& each : list) {
        if (each.empty() || each.begin <= previous_end || each.begin < 0 || each.end > length) {
            return false;
        }
        previous_end = each.end;
    }
    return list.count >= 0 && list.count <= Capacity;
}

template <class Mask>
void check_tiles(failures& result, const Mask& mask, const visible_matrix& truth, index_t size, promises promised) {
    for (index_t q_begin = 0; q_begin < size; ++q_begin) {
        for (index_t q_end = q_begin + 1; q_end <= size; ++q_end) {
            for (index_t k_begin = 0; k_begin < size; ++k_begin) {
                for (index_t k_end = k_begin + 1; k_end <= size; ++k_end) {
                    const tile_class said = mask.classify(q_begin, q_end, k_begin, k_end);
                    const tile_class is = truth.classify(q_begin, q_end, k_begin, k_end);
                    const bool allowed = said == is || (said == tile_class::partial && !promised.exact_class);
                    result.expect(allowed, "classify", {q_begin, q_end, k_begin, k_end});
                }
            }
        }
    }
}

// key_ranges and query_ranges are each other's transpose: `seen(begin, end, i)` says whether i must be in the ranges
// of [begin, end).
template <class Ranges, class Seen>
void check_ranges(failures& result, const char* what, index_t size, promises promised, Ranges&& ranges_of,
                  Seen&& seen) {
    for (index_t begin = 0; begin < size; ++begin) {
        for (index_t end = begin + 1; end <= size; ++end) {
            for (index_t length = 0; length <= size; ++length) {
                const auto list = ranges_of(begin, end, length);
                result.expect(well_formed(list, length), what, {begin, end, length});
                for (index_t i = 0; i < length; ++i) {
                    const bool right =
                        list.contains(i) == seen(begin, end, i) || (list.contains(i) && !promised.exact_ranges);
                    result.expect(right, what, {begin, end, length, i});
                }
            }
        }
    }
}

template <class Mask>
void check_rows(failures& result, const Mask& mask, index_t size) {
    for (index_t q = 0; q < size; ++q) {
        for (index_t keys = 0; keys <= size; ++keys) {
            const auto list = mask.row(q, keys);
            result.expect(well_formed(list, keys), "row", {q, keys});
            for (index_t k = 0; k < keys; ++k) {
                result.expect(list.contains(k) == mask.visible(q, k), "row", {q, keys, k});
            }
        }
    }
}

// The loops over tiles that kernels run: in order, aligned, each tile once, none that matters left out, and, for an
// exact policy, none that doesn't.
template <class Mask>
void check_visits(failures& result, const Mask& mask, const visible_matrix& truth, index_t size, promises promised) {
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

/// Everything above, on positions [0, size).
template <unmask::mask_policy Mask>
void check_mask(const std::string& name, const Mask& mask, index_t size, promises promised = {}) {
    const visible_matrix truth(mask, size);
    failures result;
    check_tiles(result, mask, truth, size, promised);
    check_ranges(
        result, "key_ranges", size, promised,
        [&](index_t begin, index_t end, index_t keys) { return mask.key_ranges(begin, end, keys); },
        [&](index_t begin, index_t end, index_t k) { return truth.count(begin, end, k, k + 1) > 0; });
    check_ranges(
        result, "query_ranges", size, promised,
        [&](index_t begin, index_t end, index_t queries) { return mask.query_ranges(begin, end, queries); },
        [&](index_t begin, index_t end, index_t q) { return truth.count(q, q + 1, begin, end) > 0; });
    if constexpr (unmask::row_mask_policy<Mask>) {
        check_rows(result, mask, size);
    }
    check_visits(result, mask, truth, size, promised);
    INFO("mask: ", name);
    INFO("first failure: ", result.first);
    CHECK(result.count == 0);
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
