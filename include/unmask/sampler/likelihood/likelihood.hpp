// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/given_tokens.hpp>
#include <unmask/sampler/detail/step/random_words.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN

/// Options of log_likelihood.
struct likelihood_options {
    index_t samples = 128;  ///< most samples, rounded up to whole batches
    index_t batch = 16;     ///< samples in each call of the model
    std::uint64_t seed = 0; ///< an equal seed gives all models equal masks, which makes differences more certain
    double half_width = 0;  ///< in nats: stop once the confidence interval is value ± this or narrower; 0 for never
    double z = 1.96;        ///< normal quantile of the interval's level, in (0, 40]: 1.96 for 95 %, 2.576 for 99 %
    index_t least = 64;     ///< samples, and at least four batches, before half_width may stop it

    /// Throws invalid_argument if an option is out of range.
    void check() const {
        const auto expects = [](bool condition, const char* argument, const std::string& was, const char* expected) {
            if (!condition) {
                throw invalid_argument("log_likelihood", argument, was, expected);
            }
        };
        constexpr index_t most = std::numeric_limits<std::uint32_t>::max();
        expects(samples >= 1 && samples <= most, "options.samples", std::to_string(samples), "in [1, 2^32)");
        expects(batch >= 1 && batch <= most, "options.batch", std::to_string(batch), "in [1, 2^32)");
        expects(half_width >= 0, "options.half_width", std::to_string(half_width), "at least 0");
        expects(z > 0 && z <= 40, "options.z", std::to_string(z), "in (0, 40]");
        expects(least >= 0, "options.least", std::to_string(least), "at least 0");
    }
};

/// An estimate of a lower bound on a log-likelihood, and its uncertainty.
struct likelihood_bound {
    double value = 0;          ///< in nats; −∞ if the model forbids a token
    double standard_error = 0; ///< of value, from the spread of the batches' means; +∞ for a single batch
    double half_width = 0; ///< of the confidence interval: Student's t for the number of batches times standard_error
    index_t samples = 0;   ///< masked copies that were evaluated
    index_t calls = 0;     ///< calls of denoise()
};

namespace detail {

// Student's t quantile with `freedom` degrees from the normal one (Abramowitz and Stegun 26.7.5): within 0.1 % from 7
// degrees on, 2 % too low at 3, for z up to 2.
inline double student_quantile(double z, double freedom) {
    const double s = z * z;
    const double g1 = (s + 1) / 4;
    const double g2 = ((5 * s + 16) * s + 3) / 96;
    const double g3 = (((3 * s + 19) * s + 17) * s - 15) / 384;
    const double g4 = ((((79 * s + 776) * s + 1482) * s - 1920) * s - 945) / 92160;
    return z * (1 + (g1 + (g2 + (g3 + g4 / freedom) / freedom) / freedom) / freedom);
}

// The number of positions, of `length`, that a sample of a batch masks. Each count in 1 … length is equally likely by
// itself; the counts of a batch are spread evenly, from a random start in [0, length).
inline index_t stratified_count(index_t start, index_t sample, index_t batch, index_t length) {
    return 1 + (start + sample * length / batch) % length;
}

// Draws masks, calls the model, and adds up the losses.
template <class Executor, class Model>
class likelihood_run {
public:
    likelihood_run(const Executor& exec, Model& model, const vocabulary& tokens, std::span<const token_t> text,
                   std::span<const index_t> answer, std::uint64_t id, const likelihood_options& options)
        : tokens_(tokens), text_(text), answer_(answer), id_(id), options_(options), ask_(exec, model) {}

    likelihood_bound operator()() {
        if (answer_.empty()) {
            return {};
        }
        const bool exact = answer_.size() == 1; // only one mask is possible
        const index_t size = exact ? 1 : options_.batch;
        const index_t batches = exact ? 1 : (options_.samples + size - 1) / size;
        double mean = 0;
        double squares = 0; // Σ (a batch's mean − the mean)²
        likelihood_bound result;
        for (index_t batch = 0; batch < batches; ++batch) {
            const double loss = batch_loss(batch, size);
            result = {-loss, 0, 0, (batch + 1) * size, ask_.calls()};
            if (bits_as<std::uint64_t>(loss) == 0x7ff0000000000000U) { // +∞, which no further sample changes
                return result;
            }
            const auto count = static_cast<double>(batch + 1);
            const double step = loss - mean;
            mean += step / count;
            squares += step * (loss - mean);
            result.value = -mean;
            if (exact) {
                return result;
            }
            if (batch == 0) {
                result.standard_error = result.half_width = std::numeric_limits<double>::infinity();
                continue;
            }
            result.standard_error = std::sqrt(squares / (count - 1) / count);
            result.half_width = student_quantile(options_.z, count - 1) * result.standard_error;
            if (options_.half_width > 0 && batch + 1 >= 4 && result.samples >= options_.least &&
                result.half_width <= options_.half_width) {
                break;
            }
        }
        return result;
    }

private:
    // Random numbers from another stream than the sampler's with the same seed.
    [[nodiscard]] double uniform(index_t i, index_t sample) const {
        constexpr std::uint64_t stream = 0x6c696b656c69686fU;
        const auto words = random_words(options_.seed ^ stream, id_, i, static_cast<std::uint32_t>(sample));
        return uniform_open(words[0], words[1]);
    }

    // The mean over a batch of length / count · Σ of the cross-entropies of `count` masked positions (Nie et al., arXiv
    // 2502.09992, equation 14).
    double batch_loss(index_t batch, index_t size) {
        constexpr index_t of_start = std::numeric_limits<std::uint32_t>::max(); // no position
        const index_t length = std::ssize(answer_);
        const auto start = static_cast<index_t>(uniform(of_start, batch) * static_cast<double>(length));
        canvas page(tokens_);
        given_.clear();
        for (index_t sample = 0; sample < size; ++sample) {
            add(page, batch * size + sample, stratified_count(start, sample, size, length));
        }
        ask_(page, given_);
        double loss = 0;
        for (const candidate& one : given_) {
            const auto count = static_cast<double>(page.masked(one.where.sequence));
            loss -= one.raw_log_probability * (static_cast<double>(length) / count);
        }
        return loss / static_cast<double>(size);
    }

    // Adds a copy of the text in which `count` positions of the answer, chosen uniformly, are masked.
    void add(canvas& page, index_t sample, index_t count) {
        order_.resize(answer_.size());
        std::copy(answer_.begin(), answer_.end(), order_.begin());
        for (index_t i = 0; i < count; ++i) { // the first steps of a shuffle
            const auto left = static_cast<double>(std::ssize(order_) - i);
            const index_t other = i + static_cast<index_t>(uniform(i, sample) * left);
            std::swap(order_[static_cast<std::size_t>(i)], order_[static_cast<std::size_t>(other)]);
        }
        std::sort(order_.begin(), order_.begin() + count);
        masked_.assign(text_.begin(), text_.end());
        for (index_t i = 0; i < count; ++i) {
            const auto position = static_cast<std::size_t>(order_[static_cast<std::size_t>(i)]);
            masked_[position] = blank;
            candidate& one = given_.emplace_back();
            one.where = {page.sequences(), static_cast<index_t>(position)};
            one.token = text_[position];
        }
        page.add_infill({masked_.data(), masked_.size()}, static_cast<std::uint64_t>(sample));
    }

    const vocabulary& tokens_;
    std::span<const token_t> text_;
    std::span<const index_t> answer_;
    std::uint64_t id_;
    const likelihood_options& options_;
    given_tokens<Executor, Model> ask_;
    std::vector<index_t> order_;
    std::vector<token_t> masked_;
    std::vector<candidate> given_;
};

} // namespace detail

/// Estimates a lower bound on log p(committed tokens | prompt tokens) of a completely filled sequence of a canvas, by
/// Monte Carlo. It is the training bound of masked diffusion: −E of length / n times the sum of the masked tokens'
/// cross-entropies, where n is uniform in 1 … length and n of the committed positions, chosen uniformly, are masked.
///
/// The bound is the mean over all orders of the log-probability of filling in the tokens one by one, so it equals
/// log p for a model whose conditional distributions all belong to one joint distribution. The counts n of a
/// batch are stratified: spread evenly from a random start, as in LLaDA's get_log_likelihood, but each by itself
/// exactly uniform. Batches are independent, and the standard error comes from the spread of their means, so it
/// is valid despite the strata.
///
/// An answer of one token takes one call and is exact; an empty answer takes none and gives 0. If options.half_width
/// stops the estimate, the interval, which is checked after every batch, covers somewhat less often than its level
/// says. The masks depend only on options.seed and the sequence's id, and the result does not depend on the executor.
/// Guidance is not supported, since a guided distribution has no such bound.
///
/// The mask token has no probability, as in the sampler. Throws invalid_argument, before any call, if an
/// option is out of range, the sequence does not exist or is not filled, or the canvas was made for another
/// vocabulary than the model's.
/// Throws non_finite_logits, with the place in the batch, as the sampler does.
/// Work: at most options.samples / options.batch calls of `batch` sequences, each for batch · length / 2 rows on
/// average, whose logits are in memory at once.
template <host_executor Executor, class Model>
[[nodiscard]] likelihood_bound log_likelihood(const Executor& exec, Model&& model, const canvas& page, index_t sequence,
                                              const likelihood_options& options = {}) {
    using model_type = std::remove_reference_t<Model>;
    detail::check_denoiser<model_type>();
    options.check();
    detail::check_same_vocabulary("log_likelihood", model.vocabulary(), page.vocabulary());
    if (sequence < 0 || sequence >= page.sequences()) {
        throw invalid_argument("log_likelihood", "sequence", std::to_string(sequence), "one of the canvas");
    }
    if (page.masked(sequence) > 0) {
        throw invalid_argument("log_likelihood", "canvas.masked(sequence)", std::to_string(page.masked(sequence)),
                               "0: every position filled");
    }
    std::vector<index_t> answer;
    for (index_t position = 0; position < page.length(sequence); ++position) {
        if (page.state(sequence, position) == position_state::committed) {
            answer.push_back(position);
        }
    }
    return detail::likelihood_run<Executor, model_type>(exec, model, page.vocabulary(), page.tokens(sequence), answer,
                                                        page.id(sequence), options)();
}

/// Estimates the bound for an answer after a prompt, as a sequence with id 0. Throws as the overload above, and
/// invalid_argument if a token of the prompt is not in the vocabulary or a token of the answer can't be drawn.
template <host_executor Executor, class Model>
[[nodiscard]] likelihood_bound log_likelihood(const Executor& exec, Model&& model, std::span<const token_t> prompt,
                                              std::span<const token_t> answer, const likelihood_options& options = {}) {
    canvas page(model.vocabulary());
    page.add(prompt, std::ssize(answer), 0);
    for (std::size_t i = 0; i < answer.size(); ++i) {
        page.commit(0, std::ssize(prompt) + static_cast<index_t>(i), answer[i]);
    }
    return log_likelihood(exec, model, page, 0, options);
}

UNMASK_NAMESPACE_END
