// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/parallel/communication_error.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/statistics.hpp>

UNMASK_NAMESPACE_BEGIN

/// Some of a canvas's sequences: [begin, end).
struct sequence_range {
    index_t begin = 0; ///< the first
    index_t end = 0;   ///< the one behind the last
};

/// The sequences of a rank, of `ranks`: each has those whose middle lies in its part of the canvas, so that all have
/// about as many positions. A rank may have none. Throws invalid_argument if there is no such rank.
inline sequence_range sequences_of_rank(const canvas& page, int rank, int ranks) {
    if (rank < 0 || rank >= ranks) {
        throw invalid_argument("sequences_of_rank", "rank", std::to_string(rank), "0 to " + std::to_string(ranks - 1));
    }
    const index_t positions = std::ssize(page.tokens());
    const auto first_of = [&](index_t of) {
        index_t sequence = 0;
        while (sequence < page.sequences() &&
               (page.offset(sequence) + page.offset(sequence + 1)) * ranks < 2 * of * positions) {
            ++sequence;
        }
        return of == ranks ? page.sequences() : sequence;
    };
    return {first_of(rank), first_of(rank + 1)};
}

namespace detail {

// What all ranks must agree on before a run: FNV-1a over everything that is in a canvas, and the seed.
inline std::uint64_t digest_of(const canvas& page, std::uint64_t seed) {
    std::uint64_t digest = 0xcbf29ce484222325U;
    const auto take = [&](std::uint64_t value) {
        for (int byte = 0; byte < 8; ++byte) {
            digest = (digest ^ (value >> (8 * byte) & 0xffU)) * 0x100000001b3U;
        }
    };
    take(seed);
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        take(page.id(sequence));
        take(static_cast<std::uint64_t>(page.length(sequence)));
        for (index_t i = 0; i < page.length(sequence); ++i) {
            take(static_cast<std::uint64_t>(page.token(sequence, i)) * 4 +
                 static_cast<std::uint64_t>(page.state(sequence, i)));
        }
    }
    return digest;
}

// What ranks did, as if one had done all of it.
inline statistics together(std::span<const statistics> parts) {
    statistics all;
    for (const statistics& part : parts) {
        all.calls = std::max(all.calls, part.calls);
        all.nfe.denoise += part.nfe.denoise;
        all.nfe.unconditional += part.nfe.unconditional;
        all.nfe.verify += part.nfe.verify;
        all.nfe.prefill += part.nfe.prefill;
        all.nfe.commit += part.nfe.commit;
        all.wasted += part.wasted;
        all.rows += part.rows;
        all.committed += part.committed;
        all.remasked += part.remasked;
        all.edited += part.edited;
        all.filled += part.filled;
        all.useful += part.useful;
        all.seconds_in_model = std::max(all.seconds_in_model, part.seconds_in_model);
        all.seconds_in_sampling = std::max(all.seconds_in_sampling, part.seconds_in_sampling);
        all.idle_calls = std::max(all.idle_calls, part.idle_calls);
        all.stopped_early = all.stopped_early || part.stopped_early;
    }
    return all;
}

} // namespace detail

/// Runs a sampler over a canvas whose sequences are divided among the ranks of a communicator: in the end every rank
/// has the tokens that the sampler alone would have written, bit for bit if the model's logits of a sequence do not
/// depend on the batch. `sample`, `page` and `seed` are the same on all ranks, and so are the weights of the model.
///
/// Returns the statistics of all: counts as those of one machine, seconds of the slowest rank. An observer hears of
/// this rank's sequences alone, which it knows by their ids, and ends the run of this rank alone.
///
/// Throws what the sampler throws, invalid_argument if the canvas or the seed differs between ranks, and
/// communication_error as exchange does; the canvas is then as it was. Waits for all ranks twice: in the beginning and
/// in the end, when 5 bytes a position are sent to each.
template <communicator C, class Sampler, class Executor, class Model, class Observer = no_observer>
statistics sample_sequences(const C& c, const Sampler& sample, const Executor& exec, Model&& model, canvas& page,
                            std::uint64_t seed, Observer&& observer = {}) {
    const auto ranks = static_cast<std::size_t>(c.size());
    const std::uint64_t digest = detail::digest_of(page, seed);
    std::vector<std::uint64_t> digests(ranks);
    all_gather(c, std::span(&digest, 1), std::span(digests));
    for (std::size_t rank = 1; rank < ranks; ++rank) {
        if (digests[rank] != digests[0]) {
            throw invalid_argument("sample_sequences", "page or seed", "another one on rank " + std::to_string(rank),
                                   "that of rank 0");
        }
    }
    const sequence_range mine = sequences_of_rank(page, c.rank(), c.size());
    canvas part = page.part(mine.begin, mine.end);
    const statistics done = sample(exec, std::forward<Model>(model), part, seed, observer);

    std::vector<token_t> tokens(page.tokens().size());
    std::vector<position_state> states(tokens.size());
    const auto of_rank = [&](auto& all, int rank) {
        const sequence_range where = sequences_of_rank(page, rank, c.size());
        const index_t begin = page.offset(where.begin);
        return std::span(all).subspan(static_cast<std::size_t>(begin),
                                      static_cast<std::size_t>(page.offset(where.end) - begin));
    };
    std::copy(part.tokens().begin(), part.tokens().end(), of_rank(tokens, c.rank()).begin());
    auto state = of_rank(states, c.rank()).begin();
    for (index_t sequence = 0; sequence < part.sequences(); ++sequence) {
        state = std::copy(part.states(sequence).begin(), part.states(sequence).end(), state);
    }
    const auto share = [&](auto& all) {
        using element = typename std::remove_reference_t<decltype(all)>::value_type;
        detail::exchange_with_all<element>(
            c, [&](int) { return of_rank(all, c.rank()); }, [&](int rank) { return of_rank(all, rank); });
    };
    share(tokens);
    share(states);
    std::vector<statistics> parts(ranks);
    all_gather(c, std::span(&done, 1), std::span(parts));
    page.restore(tokens, states);
    return detail::together(parts);
}

UNMASK_NAMESPACE_END
