// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The positions [begin, end) of a sequence.
struct position_range {
    index_t sequence = 0; ///< index of the sequence
    index_t begin = 0;    ///< first position
    index_t end = 0;      ///< position after the last

    friend constexpr bool operator==(const position_range&, const position_range&) = default;
};

/// A model with an exact cache: cached entries are those that recomputing would give, because no position sees a later
/// block (SDAR, LLaDA2, BD3-LM; see unmask::kv_cache). Blocks are counted from position 0 of a sequence.
///
///   1. `block_length()`: the model's block length, which the sampler adopts.
///   2. `prefill(canvas, range)`: called once for each sequence before its first denoise of a run. The range begins at
///      0 and holds the whole blocks of the prompt, perhaps none. Earlier entries of that sequence are void.
///   3. `commit(canvas, range)`: the range is the block after the cached ones, which is now final. Called before a
///      later block is filled.
///
/// denoise(canvas, rows, logits) then computes, for each sequence, the positions from the first that is not cached to
/// the end of the block that all its rows are in.
template <class Model>
concept block_denoiser = denoiser<Model> && requires(Model& model, const canvas& page, const position_range& range) {
    { model.block_length() } -> std::convertible_to<index_t>;
    model.prefill(page, range);
    model.commit(page, range);
};

/// The part of a sequence that a caching_denoiser computes.
struct cache_use {
    position_range recompute; ///< the positions to compute, unless it is a refresh
    bool refresh = true;      ///< compute the whole sequence and store all its keys and values
};

/// A bidirectional model with an approximate cache: the keys and values of positions outside `recompute` are those of
/// an earlier canvas; those inside are computed and stored. `use` has one element for each sequence that has rows, in
/// their order.
template <class Model>
concept caching_denoiser = denoiser<Model> && requires(Model& model, const canvas& page, std::span<const row> rows,
                                                       std::span<const cache_use> use, tensor_view<float, 2> logits) {
    model.denoise(page, rows, use, logits);
};

/// A model that can verify committed tokens: besides the rows, it predicts every position of `verified` from a shadow
/// block, that is, from masks with the same position numbers in the same pass, under the mask policy `shadow_block`.
/// `verified` has one range for each sequence that has rows, in their order. The logits of the rows come first, then
/// those of the ranges.
template <class Model>
concept shadow_denoiser =
    denoiser<Model> &&
    requires(Model& model, const canvas& page, std::span<const row> rows, std::span<const position_range> verified,
             tensor_view<float, 2> logits) { model.denoise(page, rows, verified, logits); };

namespace detail {

inline void check_refresh(const char* argument, index_t every) {
    if (every < 0) {
        throw invalid_argument("sampler", argument, std::to_string(every), "at least 0");
    }
}

} // namespace detail

/// No cache, except the exact one of a block_denoiser.
struct no_cache {
    static constexpr auto kind = policy_kind::cache;
};

/// Fast-dLLM's prefix cache (arXiv 2505.22618): the first call of a block computes all positions, later calls the block
/// and everything after it. An approximation, which changes the text: see cache_drift.
struct prefix_cache {
    static constexpr auto kind = policy_kind::cache;
    index_t refresh_every = 0; ///< calls of a block from one full computation to the next; 0 for the first call only

    void check() const { detail::check_refresh("prefix_cache.refresh_every", refresh_every); }
    [[nodiscard]] position_range recompute(const position_range& block, index_t length) const {
        return {block.sequence, block.begin, length};
    }
};

/// Fast-dLLM's dual cache: the first call of a block computes all positions, later calls only the block. An
/// approximation, which changes the text: see cache_drift.
struct dual_cache {
    static constexpr auto kind = policy_kind::cache;
    index_t refresh_every = 0; ///< calls of a block from one full computation to the next; 0 for the first call only

    void check() const { detail::check_refresh("dual_cache.refresh_every", refresh_every); }
    [[nodiscard]] position_range recompute(const position_range& block, index_t /*length*/) const { return block; }
};

namespace detail {

// The blocks of a run on a block_denoiser: the model's. Throws invalid_argument if the sampler asks for other ones.
inline block_length blocks_of(const block_length& asked, index_t size) {
    check_count("model.block_length()", size);
    if (asked.size == block_length{}.size) {
        return {size, block_origin::sequence};
    }
    if (asked.size != size) {
        throw invalid_argument("sampler", "block_length.size", std::to_string(asked.size),
                               "the model's, " + std::to_string(size));
    }
    if (asked.origin != block_origin::sequence) {
        throw invalid_argument("sampler", "block_length.origin", "generation",
                               "sequence, where the model's blocks are counted from");
    }
    return asked;
}

template <class Cache>
inline constexpr bool is_approximate = requires(const Cache& cache, const position_range& block) {
    { cache.recompute(block, index_t{}) } -> std::same_as<position_range>;
};

} // namespace detail

UNMASK_NAMESPACE_END
