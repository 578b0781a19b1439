// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// audit finds a fault of every kind, in every function, on short sides and on long ones.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/error.hpp>
#include <unmask/mask/audit.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/sliding_window.hpp>

using namespace unmask;

namespace {

enum class fault {
    none,
    empty_of_partial,
    full_of_partial,
    keys_left_out,
    keys_past_the_end,
    keys_touching,
    keys_in_disorder,
    too_many_keys,
    queries_left_out,
    queries_past_the_end,
    row_left_out,
    row_too_much,
};

// Causal, with one fault: at query 20 or key 20, and nowhere else.
struct faulty {
    fault planted;

    constexpr bool visible(index_t q, index_t k) const { return causal{}.visible(q, k); }
    constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        const tile_class right = causal{}.classify(q_begin, q_end, k_begin, k_end);
        const bool here = q_begin <= 20 && 20 < q_end && k_begin <= 20 && 20 < k_end && right == tile_class::partial;
        return here && planted == fault::empty_of_partial  ? tile_class::empty
               : here && planted == fault::full_of_partial ? tile_class::full
                                                           : right;
    }
    constexpr ranges<2> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        ranges<2> list(causal{}.key_ranges(q_begin, q_end, keys)[0]);
        if (list.count == 0 || list[0].end < 10 || q_begin != 20) {
            return list;
        }
        range& first = list.items[0];
        switch (planted) {
        case fault::keys_left_out:
            --first.end;
            break;
        case fault::keys_past_the_end:
            first.end = keys + 1;
            break;
        case fault::keys_touching:
            list.items[1] = {first.end, keys + 1};
            list.count = 2;
            break;
        case fault::keys_in_disorder:
            list.items[1] = first;
            first = {first.end + 1, keys};
            list.count = 2;
            break;
        case fault::too_many_keys:
            list.count = 3;
            break;
        default:
            break;
        }
        return list;
    }
    constexpr ranges<1> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        ranges<1> list = causal{}.query_ranges(k_begin, k_end, queries);
        if (list.count == 1 && queries > 24 && k_begin == 20) {
            list.items[0].begin += planted == fault::queries_left_out ? 1 : 0;
            list.items[0].end += planted == fault::queries_past_the_end ? 1 : 0;
        }
        return list;
    }
    constexpr ranges<1> row(index_t q, index_t keys) const {
        const index_t end = q == 20 && planted == fault::row_left_out   ? 20
                            : q == 20 && planted == fault::row_too_much ? 22
                                                                        : q + 1;
        return ranges<1>({0, end < keys ? end : keys});
    }
};

// The function that contradicts, for both lengths; and the sentence for the short one.
std::string found(fault planted, const char* function) {
    for (const index_t length : {30, 100}) {
        const mask_audit report = audit(faulty{planted}, length, length);
        CAPTURE(length);
        CAPTURE(report.text());
        REQUIRE(!report.correct());
        CHECK(report.contradictions > 0);
        CHECK(report.contradiction->function == function);
        if (report.contradiction->query >= 0) {
            CHECK(faulty{planted}.visible(report.contradiction->query, report.contradiction->key) ==
                  (report.contradiction->text.find("is true") != std::string::npos));
        }
    }
    return audit(faulty{planted}, 30, 30).contradiction->text;
}

struct plain { // without the optional functions
    constexpr bool visible(index_t q, index_t k) const { return k <= q; }
    constexpr tile_class classify(index_t, index_t, index_t, index_t) const { return tile_class::partial; }
    constexpr ranges<1> key_ranges(index_t, index_t, index_t keys) const { return ranges<1>({0, keys}); }
};
static_assert(mask_policy<plain> && !row_mask_policy<plain> && !query_ranges_mask_policy<plain>);

std::string message_of(const auto& call) {
    try {
        static_cast<void>(call());
    } catch (const invalid_argument& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("audit finds a planted fault of every kind") {
    CHECK(audit(faulty{fault::none}, 30, 30).correct());
    CHECK(audit(faulty{fault::none}, 100, 100).correct());
    CHECK(found(fault::empty_of_partial, "classify") == "classify(0, 21, 0, 21) says empty, but visible(0, 0) is true");
    CHECK(found(fault::full_of_partial, "classify") == "classify(0, 21, 0, 21) says full, but visible(0, 1) is false");
    CHECK(found(fault::keys_left_out, "key_ranges") ==
          "key_ranges(20, 21, 10) says [0, 9), but visible(20, 9) is true");
    const std::string malformed = ", but ranges are sorted, not empty, apart, and within [0, ";
    CHECK(found(fault::keys_past_the_end, "key_ranges") == "key_ranges(20, 21, 10) says [0, 11)" + malformed + "10)");
    CHECK(found(fault::keys_touching, "key_ranges") ==
          "key_ranges(20, 21, 10) says [0, 10) [10, 11)" + malformed + "10)");
    CHECK(found(fault::keys_in_disorder, "key_ranges") ==
          "key_ranges(20, 21, 10) says [11, 10) [0, 10)" + malformed + "10)");
    CHECK(found(fault::too_many_keys, "key_ranges") ==
          "key_ranges(20, 21, 10) says [0, 10) [0, 0)" + malformed + "10)");
    CHECK(found(fault::queries_left_out, "query_ranges") ==
          "query_ranges(20, 21, 25) says [21, 25), but visible(20, 20) is true");
    CHECK(found(fault::queries_past_the_end, "query_ranges") ==
          "query_ranges(20, 21, 25) says [20, 26)" + malformed + "25)");
    CHECK(found(fault::row_left_out, "row") == "row(20, 21) says [0, 20), but visible(20, 20) is true");
    CHECK(found(fault::row_too_much, "row") == "row(20, 22) says [0, 22), but visible(20, 21) is false");
}

TEST_CASE("audit counts what contradicts, and describes the first") {
    const mask_audit report = audit(faulty{fault::row_left_out}, 30, 30);
    CHECK(report.contradictions == 10); // the row of query 20, with 21 … 30 keys
    CHECK(report.contradiction->arguments == std::vector<index_t>{20, 21});
    CHECK(report.contradiction->answer == "[0, 20)");
    CHECK(report.contradiction->query == 20);
    CHECK(report.contradiction->key == 20);
    CHECK(report.text().find(
              "row(20, 21) says [0, 20), but visible(20, 20) is true (the first of 10 contradictions in ") == 0);
}

TEST_CASE("audit measures how tight a mask is") {
    const mask_audit tight = audit(causal{}, 40, 40, 8);
    CHECK(tight.loose_classes == 0);
    CHECK(tight.loose_ranges == 0);
    CHECK(tight.full_tiles == 10);
    CHECK(tight.partial_tiles == 5);
    CHECK(tight.loose_share() == 0.0);
    CHECK(tight.visible_scores == 40 * 41 / 2);
    CHECK(tight.visited_scores == 15 * 64);
    CHECK(tight.visited_per_visible() == doctest::Approx(960.0 / 820.0));

    const mask_audit loose = audit(plain{}, 40, 40, 8);
    CHECK(loose.correct());
    CHECK(loose.loose_classes > 0);
    CHECK(loose.loose_ranges > 0);
    CHECK(loose.full_tiles == 0);
    CHECK(loose.partial_tiles == 25);
    CHECK(loose.partial_but_full == 10);
    CHECK(loose.partial_but_empty == 10);
    CHECK(loose.loose_share() == 0.8);
    CHECK(loose.visited_scores == 1600);
    CHECK(loose.text().find("no contradiction in ") == 0);

    // Sides that the tiles do not divide, and that differ.
    const mask_audit tails = audit(sliding_window{3, 3}, 70, 101, 16);
    CHECK(tails.correct());
    CHECK(tails.visible_scores == 70 * 7 - (3 + 2 + 1));
}

TEST_CASE("audit takes any size: none, one row, one key, a million keys") {
    CHECK(audit(causal{}, 0, 0).correct());
    CHECK(audit(causal{}, 0, 0).visited_per_visible() == 1.0);
    CHECK(audit(block{16}, 1, 300).correct());
    CHECK(audit(extra_sink{block{16}}, 300, 1).correct());
    CHECK(audit(predicate([](index_t, index_t) { return false; }), 1, index_t{1} << 20, 4096).visited_per_visible() ==
          std::numeric_limits<double>::infinity());
}

TEST_CASE("audit refuses what it can't do") {
    CHECK(message_of([] { return audit(block{0}, 4, 4); }) == "audit: mask block.size is 0, expected at least 1");
    CHECK(message_of([] { return audit(causal{}, -1, 4); }) == "audit: query_length is -1, expected at least 0");
    CHECK(message_of([] { return audit(causal{}, 4, -1); }) == "audit: key_length is -1, expected at least 0");
    CHECK(message_of([] { return audit(causal{}, 4, 4, 0); }) == "audit: tile is 0, expected at least 1");
    CHECK(message_of([] { return audit(causal{}, 4097, 4097); }) ==
          "audit: key_length is 4097, expected at most 16777216 / query_length");
    const volatile index_t longest = INT64_MAX; // or g++ 12 warns of loops that are never reached
    CHECK(message_of([&] { return audit(causal{}, longest, 1); }) ==
          "audit: query_length is 9223372036854775807, expected at most 16777216");
}
