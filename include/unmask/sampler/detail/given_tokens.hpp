// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/host/model_call.hpp>
#include <unmask/sampler/detail/host/row_work.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/non_finite_logits.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/row_statistics.hpp>
#include <unmask/sampler/statistics.hpp>
#include <unmask/sampler/vocabulary.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Asks a model for the probabilities of tokens that are given, as the sampler asks for those that it draws.
template <class Executor, class Model>
class given_tokens {
    static_assert(!block_denoiser<Model>,
                  "unmask: likelihoods are for models that read the whole canvas, not for a block_denoiser");

public:
    given_tokens(const Executor& exec, Model& model)
        : exec_(exec), call_(model, counts_), logits_(static_cast<std::size_t>(exec.workers())) {}

    // One call. Takes `where`, of masked positions in rising order, and `token`; gives raw_log_probability, which is −∞
    // for a token that the model forbids.
    void operator()(canvas& page, std::span<candidate> given) {
        call_(model_canvas<false>(page), page.sequences(), given, {}, {},
              [&](auto& stream, std::span<const std::size_t> places) {
                  for (std::size_t i = 0; i < given.size(); ++i) {
                      stream.expect(static_cast<index_t>(places[i]), greedy{}, 0.5, given[i].token);
                  }
              });
        if constexpr (only_streams<Model>) {
            for (std::size_t i = 0; i < given.size(); ++i) {
                if (const std::string fault = call_.fault(i); !fault.empty()) {
                    throw non_finite_logits(given[i].where, fault);
                }
                given[i].raw_log_probability = call_.streamed(i).held_log_probability;
            }
        } else {
            read_rows(page.vocabulary(), given);
        }
    }

    [[nodiscard]] index_t calls() const { return counts_.calls; }

private:
    using logit_type = logit_of<Model>;

    void read_rows(const vocabulary& tokens, std::span<candidate> given) {
        exec_.parallel_for(std::ssize(given), [&](index_t i, int worker) {
            const auto at = static_cast<std::size_t>(i);
            look_up(tokens, given[at], call_.logits(at), logits_[static_cast<std::size_t>(worker)]);
        });
        for (std::size_t i = 0; i < given.size(); ++i) { // the first one in order, not in time
            if (given[i].raw.best < 0) {
                throw non_finite_logits(given[i].where, logits_fault(std::span<const logit_type>(call_.logits(i))));
            }
        }
    }

    static void look_up(const vocabulary& tokens, candidate& one, std::span<logit_type> logits,
                        std::vector<float>& scratch) {
        if (tokens.mask < tokens.size) {
            logits[static_cast<std::size_t>(tokens.mask)] = logit_type(-std::numeric_limits<float>::infinity());
        }
        std::span<const float> read;
        if constexpr (std::is_same_v<logit_type, float>) {
            read = logits;
        } else {
            scratch.resize(logits.size());
            std::transform(logits.begin(), logits.end(), scratch.begin(),
                           [](auto it) { return static_cast<float>(it); });
            read = {scratch.data(), scratch.size()};
        }
        one.raw = statistics_of(read);
        if (one.raw.best >= 0) {
            const float best = read[static_cast<std::size_t>(one.raw.best)];
            one.raw_log_probability =
                log_probability_of(read[static_cast<std::size_t>(one.token)], best, one.raw.log_sum);
        }
    }

    const Executor& exec_;
    statistics counts_;
    model_call<Model, no_policy<policy_kind::cache>, false, false> call_;
    std::vector<std::vector<float>> logits_; // of each worker
};

} // namespace detail
UNMASK_NAMESPACE_END
