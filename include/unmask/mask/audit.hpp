// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/detail/check.hpp>
#include <unmask/mask/detail/check_policy.hpp>
#include <unmask/mask/detail/visible_counts.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/mask/tiles.hpp>

UNMASK_NAMESPACE_BEGIN

/// A place where a mask policy contradicts its own `visible`.
struct mask_contradiction {
    std::string function;           ///< "classify", "key_ranges", "query_ranges" or "row"
    std::vector<index_t> arguments; ///< of the call
    std::string answer;             ///< for instance "empty", "full" or "[0, 4) [6, 8)"
    index_t query = -1; ///< with `key`, a pair of which `visible` says otherwise; −1: the ranges are malformed
    index_t key = -1;   ///< see query
    std::string text;   ///< all of that in a sentence
};

/// The findings of audit about a mask policy.
struct mask_audit {
    std::optional<mask_contradiction> contradiction{}; ///< the first, if there is any
    index_t contradictions = 0;                        ///< number of answers that contradict `visible`
    index_t answers = 0;                               ///< number of answers that were checked

    index_t loose_classes = 0; ///< answers `partial` for a tile that is full or empty: correct, and slower than need be
    index_t loose_ranges = 0;  ///< answers of key_ranges and query_ranges that hold a position that is not seen

    index_t tile = 0;              ///< side of the tiles that the numbers below count
    index_t full_tiles = 0;        ///< visited without asking `visible`
    index_t partial_tiles = 0;     ///< visited, and masked element by element
    index_t partial_but_full = 0;  ///< partial tiles of which everything is visible
    index_t partial_but_empty = 0; ///< partial tiles of which nothing is
    index_t visited_scores = 0;    ///< pairs of query and key in the tiles that are visited
    index_t visible_scores = 0;    ///< those of them that are visible

    /// True if nothing contradicts `visible`.
    [[nodiscard]] bool correct() const { return !contradiction; }
    /// The share of partial tiles that are full or empty in truth: 0 is tight.
    [[nodiscard]] double loose_share() const {
        return partial_tiles == 0
                   ? 0.0
                   : static_cast<double>(partial_but_full + partial_but_empty) / static_cast<double>(partial_tiles);
    }
    /// Scores computed for each visible one: 1 is tight. Infinite if some are computed and none is visible.
    [[nodiscard]] double visited_per_visible() const {
        return visited_scores == 0   ? 1.0
               : visible_scores == 0 ? std::numeric_limits<double>::infinity()
                                     : static_cast<double>(visited_scores) / static_cast<double>(visible_scores);
    }
    /// The findings in a sentence or two.
    [[nodiscard]] std::string text() const;
};

namespace detail {

inline std::string text_of(tile_class kind) {
    return kind == tile_class::empty ? "empty" : kind == tile_class::full ? "full" : "partial";
}

template <int Capacity>
std::string text_of(const ranges<Capacity>& list) {
    std::string text;
    for (int i = 0; i < list.count && i < Capacity; ++i) {
        text += (text.empty() ? "[" : " [") + std::to_string(list[i].begin) + ", " + std::to_string(list[i].end) + ")";
    }
    return text.empty() ? "nothing" : text;
}

// Sorted, not empty, not touching, within [0, length), within capacity.
template <int Capacity>
bool well_formed(const ranges<Capacity>& list, index_t length) {
    if (list.count < 0 || list.count > Capacity) {
        return false;
    }
    index_t previous_end = -1;
    for (const range& each : list) {
        if (each.empty() || each.begin <= previous_end || each.begin < 0 || each.end > length) {
            return false;
        }
        previous_end = each.end;
    }
    return true;
}

// The pieces of an axis that are asked about: all of a short one, of a long one some sizes that kernels use.
inline std::vector<range> audited_pieces(index_t length) {
    std::vector<range> pieces;
    if (length <= 64) {
        for (index_t begin = 0; begin < length; ++begin) {
            for (index_t end = begin + 1; end <= length; ++end) {
                pieces.push_back({begin, end});
            }
        }
        return pieces;
    }
    const auto add = [&](index_t first, index_t size) {
        for (index_t begin = first; begin < length; begin += size) {
            pieces.push_back({begin, smaller(begin + size, length)});
        }
    };
    add(0, 1);
    add(0, 16);
    add(7, 16);
    add(0, 64);
    add(0, length);
    return pieces;
}
inline std::vector<index_t> audited_lengths(index_t length) {
    if (length > 64) {
        return {0, length / 2, length - 1, length};
    }
    std::vector<index_t> lengths;
    for (index_t each = 0; each <= length; ++each) {
        lengths.push_back(each);
    }
    return lengths;
}

// Asks one mask and writes down what it says that is wrong.
template <class Mask>
class mask_auditor {
public:
    mask_auditor(const Mask& mask, index_t queries, index_t keys, mask_audit& report)
        : mask_(mask), truth_(mask, queries, keys), queries_(queries), keys_(keys), report_(report) {}

    void check_classify() {
        const std::vector<range> key_pieces = audited_pieces(keys_);
        for (const range& q : audited_pieces(queries_)) {
            for (const range& k : key_pieces) {
                const tile_class said = mask_.classify(q.begin, q.end, k.begin, k.end);
                const tile_class is = truth_.classify(q.begin, q.end, k.begin, k.end);
                ++report_.answers;
                report_.loose_classes += said == tile_class::partial && is != tile_class::partial ? 1 : 0;
                if (said != is && said != tile_class::partial && report_.contradictions++ == 0) {
                    const bool visible = said == tile_class::empty; // there is such a pair in the tile
                    write_down("classify", {q.begin, q.end, k.begin, k.end}, text_of(said), visible, q, k);
                }
            }
        }
    }
    void check_key_ranges() {
        for (const range& q : audited_pieces(queries_)) {
            for (const index_t keys : audited_lengths(keys_)) {
                check_list("key_ranges", {q.begin, q.end, keys}, mask_.key_ranges(q.begin, q.end, keys), keys, false,
                           [&](index_t k) { return pair_of{q, {k, k + 1}}; });
            }
        }
    }
    void check_query_ranges() {
        for (const range& k : audited_pieces(keys_)) {
            for (const index_t queries : audited_lengths(queries_)) {
                check_list("query_ranges", {k.begin, k.end, queries}, mask_.query_ranges(k.begin, k.end, queries),
                           queries, false, [&](index_t q) { return pair_of{{q, q + 1}, k}; });
            }
        }
    }
    void check_row() {
        for (index_t q = 0; q < queries_; ++q) {
            for (const index_t keys : audited_lengths(keys_)) {
                check_list("row", {q, keys}, mask_.row(q, keys), keys, true,
                           [&](index_t k) { return pair_of{{q, q + 1}, {k, k + 1}}; });
            }
        }
    }
    void measure_tiles() {
        const index_t tile = report_.tile;
        report_.visible_scores = truth_.count(0, queries_, 0, keys_);
        for (index_t q = 0; q < queries_; q += tile) {
            const index_t q_end = smaller(q + tile, queries_);
            for_each_key_tile(mask_, q, q_end, keys_, tile, [&](index_t k, index_t k_end, tile_class kind) {
                const tile_class is = truth_.classify(q, q_end, k, k_end);
                const bool partial = kind == tile_class::partial;
                report_.full_tiles += partial ? 0 : 1;
                report_.partial_tiles += partial ? 1 : 0;
                report_.partial_but_full += partial && is == tile_class::full ? 1 : 0;
                report_.partial_but_empty += partial && is == tile_class::empty ? 1 : 0;
                report_.visited_scores += (q_end - q) * (k_end - k);
            });
        }
    }

private:
    struct pair_of {
        range queries, keys;
    };

    // A list of positions of [0, length) must hold those of which any pair is visible, and if `exact`, no others.
    template <int Capacity, class Pairs>
    void check_list(const char* function, std::initializer_list<index_t> arguments, const ranges<Capacity>& list,
                    index_t length, bool exact, const Pairs& pairs_of) {
        ++report_.answers;
        if (!well_formed(list, length)) {
            if (report_.contradictions++ == 0) {
                write_down(function, arguments, text_of(list));
                report_.contradiction->text +=
                    ", but ranges are sorted, not empty, apart, and within [0, " + std::to_string(length) + ")";
            }
            return;
        }
        bool loose = false;
        for (index_t i = 0; i < length; ++i) {
            const pair_of pairs = pairs_of(i);
            const bool seen =
                truth_.count(pairs.queries.begin, pairs.queries.end, pairs.keys.begin, pairs.keys.end) > 0;
            const bool listed = list.contains(i);
            if ((seen && !listed) || (exact && listed && !seen)) {
                if (report_.contradictions++ == 0) {
                    write_down(function, arguments, text_of(list), seen, pairs.queries, pairs.keys);
                }
                return;
            }
            loose = loose || (listed && !seen);
        }
        report_.loose_ranges += loose ? 1 : 0;
    }

    void write_down(const char* function, std::initializer_list<index_t> arguments, const std::string& answer) {
        std::string call = std::string(function) + "(";
        for (const index_t each : arguments) {
            call += (call.back() == '(' ? "" : ", ") + std::to_string(each);
        }
        report_.contradiction = {function, arguments, answer, -1, -1, call + ") says " + answer};
    }
    // And a pair of these queries and keys of which `visible` says `visible`.
    void write_down(const char* function, std::initializer_list<index_t> arguments, const std::string& answer,
                    bool visible, const range& queries, const range& keys) {
        write_down(function, arguments, answer);
        mask_contradiction& found = *report_.contradiction;
        for (index_t q = queries.begin; q < queries.end && found.query < 0; ++q) {
            for (index_t k = keys.begin; k < keys.end && found.query < 0; ++k) {
                if (mask_.visible(q, k) == visible) {
                    found.query = q;
                    found.key = k;
                }
            }
        }
        found.text += ", but visible(" + std::to_string(found.query) + ", " + std::to_string(found.key) + ") is " +
                      (visible ? "true" : "false");
    }

    const Mask& mask_;
    visible_counts truth_;
    index_t queries_;
    index_t keys_;
    mask_audit& report_;
};

} // namespace detail

inline std::string mask_audit::text() const {
    const auto count = [](index_t number, const char* what) { return std::to_string(number) + what; };
    std::string text = contradiction ? contradiction->text + " (the first of " +
                                           count(contradictions, " contradictions in ") + count(answers, " answers)")
                                     : "no contradiction in " + count(answers, " answers");
    text += "; visits " + count(full_tiles, " full and ") + count(partial_tiles, " partial tiles of ") +
            count(tile, " × ") + count(tile, ", ") +
            count(partial_but_full + partial_but_empty, " of which are full or empty in truth; computes ");
    std::string share = std::to_string(visited_per_visible());
    share.resize(share.find('.') == std::string::npos ? share.size() : share.find('.') + 3); // two decimals
    return text + share + " scores for each visible one";
}

/// Checks every function of a mask policy against its `visible`, on queries [0, query_length) and keys [0, key_length),
/// and measures how tight it is on tiles of `tile` × `tile`. For the tests of a policy of your own:
///
///     const unmask::mask_audit report = unmask::audit(my_mask{3}, 40, 40);
///     REQUIRE_MESSAGE(report.correct(), report.text());
///
/// On a side of at most 64 positions it asks about every piece and every length: a report without a contradiction is
/// then a proof for these lengths and parameters. On a longer side it asks about pieces of 1, 16 and 64 positions, the
/// whole side, and four lengths; audit a short side with smaller parameters as well. Optional functions are checked if
/// the policy has them.
///
/// Cost: one call of `visible` per pair of positions and one of `classify` per pair of pieces: about 0.1 s for 64 × 64
/// and 1 s for 4096 × 4096. Memory: 4 bytes per pair of positions. Throws invalid_argument if a parameter of the mask
/// is out of bounds, a length is negative, `tile` is less than 1, or query_length · key_length is above 2²⁴.
template <class Mask>
[[nodiscard]] mask_audit audit(const Mask& mask, index_t query_length, index_t key_length, index_t tile = 64) {
    mask_audit report;
    detail::check_mask_policy<Mask>();
    if constexpr (mask_policy<Mask>) {
        detail::check_mask("audit", mask);
        const auto expect = [](bool condition, const char* argument, index_t was, const char* expected) {
            if (!condition) {
                throw invalid_argument("audit", argument, std::to_string(was), expected);
            }
        };
        constexpr index_t most = index_t{1} << 24;
        expect(query_length >= 0, "query_length", query_length, "at least 0");
        expect(key_length >= 0, "key_length", key_length, "at least 0");
        expect(tile >= 1, "tile", tile, "at least 1");
        expect(query_length <= most, "query_length", query_length, "at most 16777216");
        expect(key_length <= most / detail::larger(query_length, 1), "key_length", key_length,
               "at most 16777216 / query_length");
        report.tile = tile;
        detail::mask_auditor<Mask> auditor(mask, query_length, key_length, report);
        auditor.check_classify();
        auditor.check_key_ranges();
        if constexpr (query_ranges_mask_policy<Mask>) {
            auditor.check_query_ranges();
        }
        if constexpr (row_mask_policy<Mask>) {
            auditor.check_row();
        }
        auditor.measure_tiles();
    }
    return report;
}

UNMASK_NAMESPACE_END
