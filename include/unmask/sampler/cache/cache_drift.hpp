// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/host/row_work.hpp>
#include <unmask/sampler/detail/step/divergence.hpp>
#include <unmask/sampler/detail/step/unwritten_row.hpp>
#include <unmask/sampler/non_finite_logits.hpp>
#include <unmask/sampler/row_statistics.hpp>
#include <unmask/sampler/statistics.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The difference between a run with an approximate cache and a run without: see measure_cache_drift.
struct cache_drift {
    index_t rows = 0;              ///< distributions compared: all that the run with the cache requested
    index_t other_best = 0;        ///< of these, those with another most likely token
    double mean_divergence = 0;    ///< mean of KL(without the cache ‖ with it), in nats
    double largest_divergence = 0; ///< largest of these, in nats
    index_t tokens = 0;            ///< positions filled
    index_t other_tokens = 0;      ///< of these, those with another token than in the run without the cache
    statistics with_cache{};       ///< the run with the cache, excluding the comparison
    statistics without_cache{};    ///< the run without the cache

    /// Share of the tokens that differ because of the cache.
    [[nodiscard]] double token_share() const {
        return tokens > 0 ? static_cast<double>(other_tokens) / static_cast<double>(tokens) : 0.0;
    }
};

namespace detail {

// The model without its cache.
template <class Model>
struct uncached_model {
    static constexpr bool shifts_logits = detail::shifts_logits<Model>();
    Model& model;

    [[nodiscard]] unmask::vocabulary vocabulary() { return model.vocabulary(); }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> logits) {
        model.denoise(page, rows, logits);
    }
    void denoise(const canvas& page, std::span<const row> rows, std::span<const cache_use> /*use*/,
                 tensor_view<float, 2> logits) {
        model.denoise(page, rows, logits);
    }
};

// The model with its cache, which also computes every row without it.
template <class Executor, class Model>
struct compared_model {
    static constexpr bool shifts_logits = detail::shifts_logits<Model>();
    const Executor& exec;
    Model& model;
    cache_drift& drift;
    double sum = 0;
    std::vector<float> full;
    std::vector<double> divergences;
    std::vector<char> differs;
    std::vector<char> bad; // rows without the cache that have no distribution

    [[nodiscard]] unmask::vocabulary vocabulary() { return model.vocabulary(); }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> logits) {
        model.denoise(page, rows, logits);
    }
    void denoise(const canvas& page, std::span<const row> rows, std::span<const cache_use> use,
                 tensor_view<float, 2> logits) {
        model.denoise(page, rows, use, logits);
        const auto size = static_cast<std::size_t>(logits.extents[1]);
        full.resize(rows.size() * size);
        divergences.resize(rows.size());
        differs.resize(rows.size());
        bad.resize(rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            mark_unwritten(full.data() + i * size, page.vocabulary().size, page.vocabulary().mask);
        }
        model.denoise(page, rows, view(full.data(), rows.size(), size));
        exec.parallel_for(std::ssize(rows), [&](index_t i, int) {
            const std::span<float> cached(logits.pointer(i), size);
            const std::span<float> exact(full.data() + static_cast<std::size_t>(i) * size, size);
            if (const token_t mask = page.vocabulary().mask; mask < page.vocabulary().size) {
                cached[static_cast<std::size_t>(mask)] = -std::numeric_limits<float>::infinity();
                exact[static_cast<std::size_t>(mask)] = -std::numeric_limits<float>::infinity();
            }
            const row_statistics p = statistics_of(exact);
            const row_statistics q = statistics_of(cached);
            bad[static_cast<std::size_t>(i)] = static_cast<char>(p.best < 0);
            const bool both = p.best >= 0 && q.best >= 0; // the sampler reports a row of the cache that has none
            divergences[static_cast<std::size_t>(i)] = both ? kl_divergence(exact, p, cached, q) : 0;
            differs[static_cast<std::size_t>(i)] = both && p.best != q.best ? 1 : 0;
        });
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (bad[i] != 0) {
                const row predicted{rows[i].sequence, rows[i].position + (shifts_logits ? 1 : 0)};
                throw non_finite_logits(predicted, logits_fault(std::span<const float>(full).subspan(i * size, size)));
            }
            sum += divergences[i];
            drift.largest_divergence = std::max(drift.largest_divergence, divergences[i]);
            drift.other_best += differs[i];
        }
        drift.rows += std::ssize(rows);
    }
};

} // namespace detail

/// Runs a sampler that has prefix_cache or dual_cache on copies of a canvas, with the cache and without, and compares
/// the texts. In a run with the cache it also compares each distribution with that of the model without a cache on the
/// same canvas. The model's three-argument denoise must not change its stored keys and values.
///
/// Throws as the sampler does. The canvas is not changed. Work: three runs, one of which computes every row twice.
template <host_executor Executor, class Sampler, class Model>
cache_drift measure_cache_drift(const Executor& exec, const Sampler& sampler, Model&& model, const canvas& page,
                                std::uint64_t seed) {
    using model_type = std::remove_reference_t<Model>;
    static_assert(caching_denoiser<model_type>, "unmask::measure_cache_drift: the model is not a caching_denoiser");
    cache_drift drift;
    canvas with = page;
    detail::compared_model<Executor, model_type> compared{exec, model, drift, 0, {}, {}, {}, {}};
    sampler(exec, compared, with, seed);
    drift.mean_divergence = drift.rows > 0 ? compared.sum / static_cast<double>(drift.rows) : 0;

    canvas again = page;
    drift.with_cache = sampler(exec, model, again, seed);
    canvas without = page;
    detail::uncached_model<model_type> uncached{model};
    drift.without_cache = sampler(exec, uncached, without, seed);
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        for (index_t i = 0; i < page.length(sequence); ++i) {
            if (page.state(sequence, i) == position_state::masked) {
                ++drift.tokens;
                drift.other_tokens += with.token(sequence, i) != without.token(sequence, i) ? 1 : 0;
            }
        }
    }
    return drift;
}

UNMASK_NAMESPACE_END
