// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <queue>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include <unmask/config.hpp>

namespace dlm {

using unmask::token_t;

/// Byte-pair encoding (Sennrich et al., arXiv 1508.07909): a word starts as its bytes, and of its neighbours the pair
/// that was learned first, and of those the leftmost, is merged, until no pair is left that was learned.
class byte_pairs {
public:
    explicit byte_pairs(const std::array<token_t, 256>& bytes) : bytes_(bytes) {}

    /// Adds the next pair in the order of learning. A pair that is there already keeps its place.
    void add(token_t left, token_t right, token_t merged) {
        merges_.try_emplace(key(left, right), merge{static_cast<std::int32_t>(merges_.size()), merged});
    }

    /// Appends a word's tokens. Cost: O(n log n) of its bytes.
    void encode(std::string_view word, std::vector<token_t>& tokens) const {
        std::vector<symbol> symbols(word.size());
        const auto count = static_cast<std::int32_t>(word.size());
        for (std::int32_t i = 0; i < count; ++i) {
            const auto byte = static_cast<unsigned char>(word[static_cast<std::size_t>(i)]);
            symbols[static_cast<std::size_t>(i)] = {bytes_[byte], i - 1, i + 1 < count ? i + 1 : none};
        }
        const auto at = [&symbols](std::int32_t i) -> symbol& { return symbols[static_cast<std::size_t>(i)]; };

        queue candidates;
        for (std::int32_t i = 0; i < count; ++i) {
            offer(symbols, i, candidates);
        }
        while (!candidates.empty()) {
            const auto [rank, i, merged] = candidates.top();
            candidates.pop();
            const std::int32_t next = at(i).token == none ? none : at(i).next;
            const merge* pair = next == none ? nullptr : find(at(i).token, at(next).token);
            if (pair == nullptr || pair->merged != merged) {
                continue; // one of the two has been merged since
            }
            at(i).token = merged;
            at(i).next = at(next).next;
            at(next).token = none;
            if (at(i).next != none) {
                at(at(i).next).previous = i;
            }
            offer(symbols, at(i).previous, candidates);
            offer(symbols, i, candidates);
        }
        for (std::int32_t i = count > 0 ? 0 : none; i != none; i = at(i).next) {
            tokens.push_back(at(i).token);
        }
    }

private:
    static constexpr std::int32_t none = -1;

    struct merge {
        std::int32_t rank;
        token_t merged;
    };
    struct symbol {
        token_t token; ///< none: merged into the one before
        std::int32_t previous;
        std::int32_t next;
    };
    using candidate = std::tuple<std::int32_t, std::int32_t, token_t>; ///< rank, place, merged
    using queue = std::priority_queue<candidate, std::vector<candidate>, std::greater<>>;

    static std::uint64_t key(token_t left, token_t right) {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
    }

    [[nodiscard]] const merge* find(token_t left, token_t right) const {
        const auto found = merges_.find(key(left, right));
        return found == merges_.end() ? nullptr : &found->second;
    }

    // Puts the pair that begins at a place into the queue, if it was learned.
    void offer(const std::vector<symbol>& symbols, std::int32_t place, queue& candidates) const {
        if (place == none || symbols[static_cast<std::size_t>(place)].next == none) {
            return;
        }
        const symbol& left = symbols[static_cast<std::size_t>(place)];
        const symbol& right = symbols[static_cast<std::size_t>(left.next)];
        if (const merge* pair = find(left.token, right.token)) {
            candidates.emplace(pair->rank, place, pair->merged);
        }
    }

    std::array<token_t, 256> bytes_;
    std::unordered_map<std::uint64_t, merge> merges_;
};

} // namespace dlm
