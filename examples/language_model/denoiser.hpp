// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "parallel.hpp"
#include "text_model.hpp"

namespace language_model {

using namespace examples;

/// The language model as unmask's sampler sees it: everything a user's own model has to provide is in here. It looks
/// both ways; it can keep keys and values for an approximate cache (unmask::caching_denoiser), and verify what it wrote
/// (unmask::shadow_denoiser), both of which a model may leave out.
class language_model_denoiser : public text_model {
public:
    /// Texts longer than those that the model was trained on are refused unless `longest` allows them; what it writes
    /// there is worse. Throws std::runtime_error if the file holds no model.
    language_model_denoiser(const safetensors_file& file, const unmask::cpu_executor& exec, index_t longest = 0)
        : text_model(file, exec, longest), scratch_(static_cast<std::size_t>(exec.workers()), model().make_store()) {}

    /// Throws unmask::invalid_argument if a sequence is too long.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        const std::vector<part> parts = by_sequence("language_model_denoiser::denoise", page, rows);
        side_by_side(executor(), std::ssize(parts), [&](const unmask::cpu_executor& exec, int worker, index_t i) {
            const part& each = parts[static_cast<std::size_t>(i)];
            const auto tokens = page.tokens(each.sequence);
            model().predict(exec, worker, tokens, {0, std::ssize(tokens)}, scratch_[static_cast<std::size_t>(worker)],
                            each.positions, rows_of(logits, each.first_row, each.rows()));
        });
    }

    /// With what was kept of each sequence. Throws unmask::invalid_argument, before any work, if nothing fitting was,
    /// or if rows are asked for that are not computed.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, std::span<const unmask::cache_use> use,
                 unmask::tensor_view<float, 2> logits) {
        const std::vector<part> parts = by_sequence("language_model_denoiser::denoise", page, rows);
        expects(use.size() == parts.size(), "use.size()", std::ssize(use), "one for each sequence with rows");
        kept_.resize(std::max(kept_.size(), static_cast<std::size_t>(page.sequences())), model().make_store());
        std::vector<unmask::range> run;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const part& each = parts[i];
            const index_t length = page.length(each.sequence);
            run.push_back(use[i].refresh ? unmask::range{0, length} : range_of(use[i].recompute, length));
            expects(run[i].contains(each.positions.front()) && run[i].contains(each.positions.back()),
                    "use.recompute.end", run[i].end, "a range with all rows of the sequence");
            expects(use[i].refresh || model().text_length(store_of(each.sequence)) == length, "use.refresh", 0,
                    "1: what is kept is not of this text");
        }
        side_by_side(executor(), std::ssize(parts), [&](const unmask::cpu_executor& exec, int worker, index_t i) {
            const part& each = parts[static_cast<std::size_t>(i)];
            model().predict(exec, worker, page.tokens(each.sequence), run[static_cast<std::size_t>(i)],
                            store_of(each.sequence), each.positions, rows_of(logits, each.first_row, each.rows()));
        });
    }

    /// With a shadow block for each sequence, which may be empty.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows,
                 std::span<const unmask::position_range> verified, unmask::tensor_view<float, 2> logits) {
        const std::vector<part> parts = by_sequence("language_model_denoiser::denoise", page, rows);
        expects(verified.size() == parts.size(), "verified.size()", std::ssize(verified),
                "one for each sequence with rows");
        struct shadow {
            unmask::range positions;
            index_t first_row;
        };
        std::vector<shadow> shadows;
        index_t next = std::ssize(rows);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            shadows.push_back({range_of(verified[i], page.length(parts[i].sequence)), next});
            next += verified[i].end - verified[i].begin;
        }
        side_by_side(executor(), std::ssize(parts), [&](const unmask::cpu_executor& exec, int worker, index_t i) {
            const part& each = parts[static_cast<std::size_t>(i)];
            const auto& [positions, first_row] = shadows[static_cast<std::size_t>(i)];
            model().predict(exec, worker, page.tokens(each.sequence), each.positions,
                            rows_of(logits, each.first_row, each.rows()), positions,
                            rows_of(logits, first_row, positions.end - positions.begin));
        });
    }

private:
    static void expects(bool condition, const char* argument, index_t was, const char* expected) {
        if (!condition) {
            throw unmask::invalid_argument("language_model_denoiser::denoise", argument, std::to_string(was), expected);
        }
    }

    static unmask::range range_of(const unmask::position_range& positions, index_t length) {
        expects(positions.begin >= 0, "a range's begin", positions.begin, "at least 0");
        expects(positions.begin <= positions.end && positions.end <= length, "a range's end", positions.end,
                "between its begin and the length of the sequence");
        return {positions.begin, positions.end};
    }

    text_store& store_of(index_t sequence) { return kept_[static_cast<std::size_t>(sequence)]; }

    std::vector<text_store> scratch_; ///< of a worker
    std::vector<text_store> kept_;    ///< of a sequence
};

} // namespace language_model
