// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "parallel.hpp"
#include "text_model.hpp"

namespace language_model {

using namespace examples;

/// The language model as a block diffusion model, with an exact cache (unmask::block_denoiser): a position sees its
/// own block and those before it. A checkpoint that was trained to look both ways, as the shipped one was, writes worse
/// text this way; one trained in blocks would be used in the same way.
class block_language_model : public text_model {
public:
    /// As language_model_denoiser. Throws unmask::invalid_argument if the block length is below 1.
    block_language_model(const safetensors_file& file, const unmask::cpu_executor& exec, index_t block_length,
                         index_t longest = 0)
        : text_model(file, exec, longest), empty_(model().make_cache(block_length)) {}

    [[nodiscard]] index_t block_length() const { return empty_.mask().inner.size; }

    /// Forgets a sequence, and keeps the whole blocks of its prompt.
    void prefill(const unmask::canvas& page, const unmask::position_range& range) {
        check_length("block_language_model::prefill", page.length(range.sequence));
        if (range.sequence >= std::ssize(kept_)) {
            kept_.resize(static_cast<std::size_t>(range.sequence + 1), empty_);
        }
        model().clear(cache_of(range.sequence));
        commit(page, range);
    }

    /// Keeps the next block, which is final.
    void commit(const unmask::canvas& page, const unmask::position_range& range) {
        if (range.end > range.begin) {
            model().keep(executor(), 0, first(page, range.sequence, range.end), cache_of(range.sequence));
        }
    }

    /// Computes what is not kept, to the end of the rows' block.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        const std::vector<part> parts = by_sequence("block_language_model::denoise", page, rows);
        side_by_side(executor(), std::ssize(parts), [&](const unmask::cpu_executor& exec, int worker, index_t i) {
            const part& each = parts[static_cast<std::size_t>(i)];
            const index_t end = (each.positions.back() / block_length() + 1) * block_length();
            model().predict(exec, worker, first(page, each.sequence, end), cache_of(each.sequence), each.positions,
                            rows_of(logits, each.first_row, each.rows()));
        });
    }

private:
    static std::span<const token_t> first(const unmask::canvas& page, index_t sequence, index_t end) {
        return page.tokens(sequence).first(static_cast<std::size_t>(std::min(end, page.length(sequence))));
    }

    text_cache& cache_of(index_t sequence) { return kept_[static_cast<std::size_t>(sequence)]; }

    text_cache empty_;
    std::vector<text_cache> kept_; ///< of a sequence
};

/// The same model without a cache: every call computes every position up to the end of the rows' block anew.
class recomputing_block_language_model : public text_model {
public:
    recomputing_block_language_model(const safetensors_file& file, const unmask::cpu_executor& exec,
                                     index_t block_length, index_t longest = 0)
        : text_model(file, exec, longest), block_length_(block_length),
          scratch_(static_cast<std::size_t>(exec.workers()), model().make_cache(block_length)) {}

    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        const std::vector<part> parts = by_sequence("recomputing_block_language_model::denoise", page, rows);
        side_by_side(executor(), std::ssize(parts), [&](const unmask::cpu_executor& exec, int worker, index_t i) {
            const part& each = parts[static_cast<std::size_t>(i)];
            const index_t end =
                std::min((each.positions.back() / block_length_ + 1) * block_length_, page.length(each.sequence));
            text_cache& nothing = scratch_[static_cast<std::size_t>(worker)];
            model().predict(exec, worker, page.tokens(each.sequence).first(static_cast<std::size_t>(end)), nothing,
                            each.positions, rows_of(logits, each.first_row, each.rows()));
        });
    }

private:
    index_t block_length_;
    std::vector<text_cache> scratch_; ///< of a worker: never kept
};

} // namespace language_model
