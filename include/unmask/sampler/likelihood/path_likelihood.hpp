// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/given_tokens.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/trace.hpp>

UNMASK_NAMESPACE_BEGIN

/// The log-probability of a generation in the order in which it was made, in nats.
struct path_likelihood {
    double log_probability = 0;        ///< sum over all sequences
    std::vector<double> of_sequence;   ///< of each sequence
    std::vector<double> of_commitment; ///< of each commitment of the trace, by call, sequence and position
    index_t calls = 0;                 ///< calls of denoise()
};

/// The log-probability of a trace's tokens according to a model, which need not be the one that generated them: the sum
/// over the run's calls of log p(token | canvas before the call), each call repeated with the tokens of the trace. This
/// is the probability of the tokens given the positions that each call commits, at temperature 1 and without filters or
/// guidance; policy gradients for any-order generation use ratios of it. For the model that made the trace, it is the
/// sum of the trace's own log-probabilities. −∞ if the model forbids one of the tokens.
///
/// `before` is the canvas before the run. Positions that a stop rule filled do not count. Throws invalid_argument,
/// before any call, if the trace does not fit the canvas or the model has another vocabulary, and also, naming the
/// entry, if a position was remasked, renoised or edited: such a path has no probability of this kind. Throws
/// non_finite_logits as the sampler does.
///
/// Work: as many calls of the model as in the run. Memory: the logits of the largest call. Every executor gives the
/// same sums.
template <host_executor Executor, class Model>
[[nodiscard]] path_likelihood path_log_probability(const Executor& exec, Model&& model, const canvas& before,
                                                   const trace& what) {
    using model_type = std::remove_reference_t<Model>;
    constexpr const char* function = "path_log_probability";
    detail::check_denoiser<model_type>();
    detail::check_same_vocabulary(function, model.vocabulary(), before.vocabulary());
    for (std::size_t i = 0; i < what.entries.size(); ++i) {
        const change kind = what.entries[i].what.change;
        if (kind != change::commit && kind != change::fill) {
            detail::entry_fault{function, i}("change", detail::change_names[static_cast<std::size_t>(kind)],
                                             "commit or fill");
        }
    }
    static_cast<void>(detail::replayed(function, what, before, std::numeric_limits<index_t>::max()));

    path_likelihood result;
    result.of_sequence.resize(static_cast<std::size_t>(before.sequences()));
    canvas page = before;
    detail::given_tokens<Executor, model_type> ask(exec, model);
    std::vector<candidate> given;
    for (std::span<const trace::entry> left(what.entries.data(), what.entries.size()); !left.empty();) {
        const auto now = detail::first_call(left);
        left = left.subspan(now.size());
        given.clear();
        for (const auto& [call, done] : now) {
            if (done.change == change::commit) {
                candidate& one = given.emplace_back();
                one.where = done.where;
                one.token = done.token;
            }
        }
        const auto in_order = [](const candidate& a, const candidate& b) { return a.where < b.where; };
        std::sort(given.begin(), given.end(), in_order); // the order in which observers report them
        if (!given.empty()) {
            ask(page, given);
        }
        for (const candidate& one : given) {
            result.of_sequence[static_cast<std::size_t>(one.where.sequence)] += one.raw_log_probability;
            result.of_commitment.push_back(one.raw_log_probability);
        }
        for (const auto& [call, done] : now) {
            detail::apply_change({function, 0}, page, done);
        }
    }
    for (const double sum : result.of_sequence) {
        result.log_probability += sum;
    }
    result.calls = ask.calls();
    return result;
}

UNMASK_NAMESPACE_END
