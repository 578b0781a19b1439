// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/detail/host/serial_loops.hpp>
#include <unmask/sampler/detail/step/end_of_text.hpp>
#include <unmask/sampler/position_state.hpp>
#include <unmask/sampler/vocabulary.hpp>

UNMASK_NAMESPACE_BEGIN

/// Marks a position to be filled in the tokens that canvas::add_infill takes.
inline constexpr token_t blank = -1;

/// The token grid that is denoised: a batch of sequences of any lengths, without padding.
///
/// The state of each position is stored beside its token and never inferred from it: a mask token in a prompt stays
/// prompt. Each sequence has an id, by default its index. The id keys the random numbers of a run, so a sequence that
/// keeps its id gets the same tokens on its own, in any batch, and at any place in the batch. Any number is an id; runs
/// with guidance take those below 2^63.
///
/// A value type: copies are independent. Reading costs O(1); adding and writing cost O(positions added or written).
class canvas {
public:
    /// An empty canvas for a model with this vocabulary. Throws invalid_argument if the vocabulary is not valid.
    explicit canvas(const unmask::vocabulary& tokens) : vocabulary_(tokens) {
        detail::check_vocabulary("canvas", tokens);
    }

    /// Adds a sequence: a prompt, which may be empty, and `length` positions to be filled. Returns its index.
    /// Throws invalid_argument, with nothing added, if a token is neither in [0, size) nor the mask, or length < 0.
    index_t add(std::span<const token_t> prompt, index_t length, std::optional<std::uint64_t> id = {}) {
        expects(length >= 0, "add", "length", length, "at least 0");
        expects(length <= longest - static_cast<index_t>(prompt.size()), "add", "length", length,
                "a sequence of fewer than 2^32 positions");
        for (const token_t token : prompt) {
            check_given("add", "prompt", token);
        }
        return append(prompt, length, id);
    }

    /// Adds a sequence in which every `blank` is to be filled and all other tokens, wherever they are, are prompt.
    /// Returns its index. Throws as `add` does.
    index_t add_infill(std::span<const token_t> tokens, std::optional<std::uint64_t> id = {}) {
        expects(static_cast<index_t>(tokens.size()) <= longest, "add_infill", "tokens.size()",
                static_cast<index_t>(tokens.size()), "fewer than 2^32");
        for (const token_t token : tokens) {
            if (token != blank) {
                check_given("add_infill", "tokens", token);
            }
        }
        return append(tokens, 0, id);
    }

    /// The vocabulary that the canvas was made for.
    [[nodiscard]] const unmask::vocabulary& vocabulary() const { return vocabulary_; }

    /// Number of sequences.
    [[nodiscard]] index_t sequences() const { return static_cast<index_t>(ids_.size()); }
    /// Number of positions of a sequence.
    [[nodiscard]] index_t length(index_t sequence) const { return offset(sequence + 1) - offset(sequence); }
    /// Number of positions in `tokens()` before a sequence; `sequence` may be `sequences()`.
    [[nodiscard]] index_t offset(index_t sequence) const { return offsets_[at(sequence)]; }
    /// The id of a sequence.
    [[nodiscard]] std::uint64_t id(index_t sequence) const { return ids_[at(sequence)]; }

    /// The tokens of all sequences, one after another.
    [[nodiscard]] std::span<const token_t> tokens() const { return {tokens_.data(), tokens_.size()}; }
    /// The tokens of a sequence.
    [[nodiscard]] std::span<const token_t> tokens(index_t sequence) const { return part(tokens_, sequence); }
    /// The states of a sequence's positions.
    [[nodiscard]] std::span<const position_state> states(index_t sequence) const { return part(states_, sequence); }
    /// The token at a position.
    [[nodiscard]] token_t token(index_t sequence, index_t position) const {
        return tokens_[at(offset(sequence) + position)];
    }
    /// The state of a position.
    [[nodiscard]] position_state state(index_t sequence, index_t position) const {
        return states_[at(offset(sequence) + position)];
    }

    /// Number of masked positions of a sequence.
    [[nodiscard]] index_t masked(index_t sequence) const { return masked_[at(sequence)]; }
    /// Number of masked positions in all sequences.
    [[nodiscard]] index_t masked() const {
        index_t sum = 0;
        for (const index_t count : masked_) {
            sum += count;
        }
        return sum;
    }

    /// The first position that is not prompt, where the generation region begins; the length if there is none.
    [[nodiscard]] index_t generation_begin(index_t sequence) const {
        const auto all = states(sequence);
        std::size_t position = 0;
        while (position < all.size() && all[position] == position_state::prompt) {
            ++position;
        }
        return static_cast<index_t>(position);
    }

    /// The position after the first committed end token, where the text ends; the length if there is none. An end token
    /// in the prompt does not count.
    [[nodiscard]] index_t text_end(index_t sequence) const {
        for (index_t position = 0; vocabulary_.end && position < length(sequence); ++position) {
            if (state(sequence, position) == position_state::committed &&
                token(sequence, position) == *vocabulary_.end) {
                return position + 1;
            }
        }
        return length(sequence);
    }

    /// Fills a masked position. Throws invalid_argument if it is not masked or the token can't be drawn.
    void commit(index_t sequence, index_t position, token_t token) {
        expects_state("commit", sequence, position, position_state::masked, "a masked one");
        expects(vocabulary_.holds(token), "commit", "token", token, "one of [0, size) other than the mask");
        write(sequence, position, token);
    }

    /// Masks a committed position again. Throws invalid_argument if it is not committed.
    void remask(index_t sequence, index_t position) {
        expects_state("remask", sequence, position, position_state::committed, "a committed one");
        const std::size_t place = at(offset(sequence) + position);
        tokens_[place] = vocabulary_.mask;
        states_[place] = position_state::masked;
        ++masked_[at(sequence)];
    }

    /// Puts another token, noise, at a masked position, which stays masked. Throws invalid_argument if the position is
    /// not masked or the token is neither in [0, size) nor the mask.
    void renoise(index_t sequence, index_t position, token_t token) {
        expects_state("renoise", sequence, position, position_state::masked, "a masked one");
        check_given("renoise", "token", token);
        tokens_[at(offset(sequence) + position)] = token;
    }

    /// Replaces the token at a committed position. Throws invalid_argument if it is not committed or the token can't be
    /// drawn.
    void edit(index_t sequence, index_t position, token_t token) {
        expects_state("edit", sequence, position, position_state::committed, "a committed one");
        expects(vocabulary_.holds(token), "edit", "token", token, "one of [0, size) other than the mask");
        write(sequence, position, token);
    }

    /// Fills all positions from `begin` on that are not prompt, committed ones included, with the end token.
    /// Throws invalid_argument if the vocabulary has no end token or begin is not in [0, length].
    void end_text(index_t sequence, index_t begin) {
        expects(sequence >= 0 && sequence < sequences(), "end_text", "sequence", sequence, "one of the canvas");
        expects(begin >= 0 && begin <= length(sequence), "end_text", "begin", begin, "in [0, length]");
        if (!vocabulary_.end) {
            throw invalid_argument("canvas::end_text", "vocabulary.end", "empty", "a token");
        }
        detail::fill_with_end<detail::serial_loops>(tokens_.data() + offset(sequence),
                                                    states_.data() + offset(sequence), begin, length(sequence),
                                                    *vocabulary_.end);
        const auto kept = states(sequence).first(at(begin));
        masked_[at(sequence)] = std::count(kept.begin(), kept.end(), position_state::masked);
    }

    /// A canvas of the sequences [begin, end), with their ids and states: what a run on a part of a batch begins from.
    /// Throws invalid_argument if there are no such sequences.
    [[nodiscard]] canvas part(index_t begin, index_t end) const {
        expects(begin >= 0 && begin <= sequences(), "part", "begin", begin, "in [0, sequences]");
        expects(end >= begin && end <= sequences(), "part", "end", end, "in [begin, sequences]");
        canvas some(vocabulary_);
        some.tokens_.assign(tokens_.begin() + offset(begin), tokens_.begin() + offset(end));
        some.states_.assign(states_.begin() + offset(begin), states_.begin() + offset(end));
        some.masked_.assign(masked_.begin() + begin, masked_.begin() + end);
        some.ids_.assign(ids_.begin() + begin, ids_.begin() + end);
        for (index_t sequence = begin; sequence < end; ++sequence) {
            some.offsets_.push_back(offset(sequence + 1) - offset(begin));
        }
        return some;
    }

    /// Puts tokens and states at all positions: those of the same canvas after a run that took place elsewhere. Throws
    /// invalid_argument, with nothing changed, if there are not as many as positions, a prompt differs, or a committed
    /// token can't be drawn.
    void restore(std::span<const token_t> tokens, std::span<const position_state> states) {
        const auto count = static_cast<index_t>(tokens_.size());
        expects(std::ssize(tokens) == count, "restore", "tokens.size()", std::ssize(tokens), "one for each position");
        expects(std::ssize(states) == count, "restore", "states.size()", std::ssize(states), "one for each position");
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const bool is_prompt = states_[i] == position_state::prompt;
            const bool is_masked = states[i] == position_state::masked;
            expects(is_prompt == (states[i] == position_state::prompt) && (!is_prompt || tokens[i] == tokens_[i]),
                    "restore", "position", static_cast<index_t>(i), "prompts as they are");
            if (is_masked) {
                check_given("restore", "tokens", tokens[i]);
            }
            expects(is_prompt || is_masked || vocabulary_.holds(tokens[i]), "restore", "tokens", tokens[i],
                    "those of committed positions to be in [0, size) and no mask");
        }
        std::copy(tokens.begin(), tokens.end(), tokens_.begin());
        std::copy(states.begin(), states.end(), states_.begin());
        for (index_t sequence = 0; sequence < sequences(); ++sequence) {
            const auto all = this->states(sequence);
            masked_[at(sequence)] = std::count(all.begin(), all.end(), position_state::masked);
        }
    }

private:
    static constexpr index_t longest = std::numeric_limits<std::uint32_t>::max();

    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

    static void expects(bool condition, const char* function, const char* argument, index_t was, const char* expected) {
        if (!condition) {
            throw invalid_argument(std::string("canvas::") + function, argument, std::to_string(was), expected);
        }
    }

    void expects_state(const char* function, index_t sequence, index_t position, position_state wanted,
                       const char* expected) const {
        expects(sequence >= 0 && sequence < sequences(), function, "sequence", sequence, "one of the canvas");
        expects(position >= 0 && position < length(sequence), function, "position", position, "one of the sequence");
        expects(state(sequence, position) == wanted, function, "position", position, expected);
    }

    void check_given(const char* function, const char* argument, token_t token) const {
        expects((token >= 0 && token < vocabulary_.size) || token == vocabulary_.mask, function, argument, token,
                "tokens of [0, size) or the mask");
    }

    template <class T>
    std::span<const T> part(const std::vector<T>& all, index_t sequence) const {
        return {all.data() + offset(sequence), at(length(sequence))};
    }

    // Adds a sequence of these tokens and this many blanks.
    index_t append(std::span<const token_t> added, index_t blanks, std::optional<std::uint64_t> id) {
        index_t masked = 0;
        for (index_t i = 0; i < std::ssize(added) + blanks; ++i) {
            const token_t token = i < std::ssize(added) ? added[at(i)] : blank;
            const bool is_blank = token == blank;
            tokens_.push_back(is_blank ? vocabulary_.mask : token);
            states_.push_back(is_blank ? position_state::masked : position_state::prompt);
            masked += is_blank ? 1 : 0;
        }
        const index_t sequence = sequences();
        offsets_.push_back(static_cast<index_t>(tokens_.size()));
        masked_.push_back(masked);
        ids_.push_back(id.value_or(static_cast<std::uint64_t>(sequence)));
        return sequence;
    }

    void write(index_t sequence, index_t position, token_t token) {
        const std::size_t place = at(offset(sequence) + position);
        masked_[at(sequence)] -= states_[place] == position_state::masked ? 1 : 0;
        tokens_[place] = token;
        states_[place] = position_state::committed;
    }

    unmask::vocabulary vocabulary_;
    std::vector<token_t> tokens_;
    std::vector<position_state> states_;
    std::vector<index_t> offsets_{0};
    std::vector<index_t> masked_;
    std::vector<std::uint64_t> ids_;
};

UNMASK_NAMESPACE_END
