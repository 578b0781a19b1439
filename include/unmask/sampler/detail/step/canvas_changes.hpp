// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/step/model_canvas.hpp>
#include <unmask/sampler/detail/step/random_words.hpp>
#include <unmask/sampler/detail/step/uniform_token.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/statistics.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

template <class T>
void sort_by_position(std::span<T> all) {
    const auto before = [](const T& a, const T& b) { return a.where < b.where; };
    if (!std::is_sorted(all.begin(), all.end(), before)) {
        std::stable_sort(all.begin(), all.end(), before);
    }
}

// How many positions of a text a run has filled.
inline index_t useful_positions(const canvas& before, const canvas& after) {
    index_t useful = 0;
    for (index_t sequence = 0; sequence < after.sequences(); ++sequence) {
        const auto end = static_cast<std::size_t>(after.text_end(sequence));
        for (std::size_t i = 0; i < end; ++i) {
            useful += before.states(sequence)[i] == position_state::masked &&
                              after.states(sequence)[i] == position_state::committed
                          ? 1
                          : 0;
        }
    }
    return useful;
}

// What a run does to its canvas: writes it to all copies, counts it, and keeps it for an observer if there is one.
template <bool Twins, bool Observed>
class canvas_changes {
public:
    canvas_changes(canvas& page, statistics& counts) : page_(page), pages_(page), counts_(counts) {}

    [[nodiscard]] const model_canvas<Twins>& pages() const { return pages_; }

    // What was decided for a candidate.
    void apply(const candidate& position) {
        const index_t place = position.where.position;
        const token_t token = position.token;
        switch (position.change) {
        case change::commit:
            write(position.where, [=](canvas& page, index_t sequence) { page.commit(sequence, place, token); });
            ++counts_.committed;
            break;
        case change::remask:
            remask(position.where, position.score);
            return;
        case change::renoise:
            write(position.where, [=](canvas& page, index_t sequence) { page.renoise(sequence, place, token); });
            break;
        case change::edit:
            write(position.where, [=](canvas& page, index_t sequence) { page.edit(sequence, place, token); });
            ++counts_.edited;
            break;
        default:
            return;
        }
        report({position.where, token, position.score, position.raw_log_probability, position.change});
    }

    void remask(const row& where, const score& score = {}) {
        write(where, [&](canvas& page, index_t sequence) { page.remask(sequence, where.position); });
        ++counts_.remasked;
        report({where, page_.vocabulary().mask, score, 0, change::remask});
    }

    // Masked positions get random tokens, for uniform corruption to begin with.
    void add_noise(index_t sequence, std::uint64_t seed) {
        constexpr std::uint32_t visit = std::numeric_limits<std::uint32_t>::max(); // of its own
        for (index_t i = 0; i < page_.length(sequence); ++i) {
            if (page_.state(sequence, i) == position_state::masked) {
                const auto words = random_words(seed, page_.id(sequence), i, visit);
                const token_t token = uniform_token(page_.vocabulary(), words[0], words[1]);
                write({sequence, i}, [=](canvas& page, index_t at) { page.renoise(at, i, token); });
                report({{sequence, i}, token, {}, 0, change::renoise});
            }
        }
    }

    // The text of a sequence ends before `begin`; the vocabulary has an end token.
    void end_text(index_t sequence, index_t begin) {
        const token_t end = *page_.vocabulary().end;
        for (index_t i = begin; Observed && i < page_.length(sequence); ++i) {
            const position_state state = page_.state(sequence, i);
            if (state == position_state::masked ||
                (state == position_state::committed && page_.token(sequence, i) != end)) {
                report({{sequence, i}, end, {}, 0, change::fill});
            }
        }
        counts_.filled += page_.masked(sequence);
        write({sequence, begin}, [=](canvas& page, index_t at) { page.end_text(at, begin); });
    }

    // All since the last call of forget(), by sequence and position.
    std::span<const commitment> reported() {
        const std::span<commitment> all(reported_.data(), reported_.size());
        sort_by_position(all);
        return all;
    }
    void forget() { reported_.clear(); }

private:
    template <class Write>
    void write(const row& where, const Write& write) {
        pages_.write(where.sequence, write);
    }
    void report([[maybe_unused]] const commitment& what) {
        if constexpr (Observed) {
            reported_.push_back(what);
        }
    }

    canvas& page_;
    model_canvas<Twins> pages_;
    statistics& counts_;
    std::vector<commitment> reported_;
};

} // namespace detail
UNMASK_NAMESPACE_END
