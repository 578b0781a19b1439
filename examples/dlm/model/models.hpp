// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/attention/attention.hpp>
#include <unmask/attention/key_value_store.hpp>
#include <unmask/attention/kv_cache.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "decoder.hpp"

namespace dlm {

/// What models that look both ways and models in blocks have in common.
class sampled_model {
public:
    [[nodiscard]] unmask::vocabulary vocabulary() const {
        const model_config& config = weights_.config();
        return {static_cast<token_t>(config.vocabulary), config.mask, config.end};
    }
    [[nodiscard]] const model_config& config() const { return weights_.config(); }

    unmask::sink_tracker* tracker = nullptr; ///< is told of every layer of a call, if there is one

protected:
    sampled_model(const decoder& weights, const unmask::cpu_executor& exec) : weights_(weights), exec_(exec) {}

    /// Calls use(sequence, positions, logits) for the rows of each sequence.
    template <class Use>
    static void by_sequence(std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits, const Use& use) {
        for (std::size_t begin = 0; begin < rows.size();) {
            std::vector<index_t> positions;
            std::size_t end = begin;
            for (; end < rows.size() && rows[end].sequence == rows[begin].sequence; ++end) {
                positions.push_back(rows[end].position);
            }
            const matrix part{logits.pointer(begin), {std::ssize(positions), logits.extents[1]}, logits.strides};
            use(rows[begin].sequence, positions, part);
            begin = end;
        }
    }

    /// Grows a list to have an element for a sequence, and gives it.
    template <class Element>
    static Element& of_sequence(std::vector<Element>& list, index_t sequence, const Element& empty) {
        list.resize(std::max(list.size(), static_cast<std::size_t>(sequence) + 1), empty);
        return list[static_cast<std::size_t>(sequence)];
    }

    /// A layer's attention for one sequence, of which the tracker hears.
    template <class Mask>
    void attend(index_t sequence, index_t layer, const decoder::attention_rows& rows, const Mask& mask,
                bool is_call = true, index_t first = 0) const {
        const unmask::attention_options options{.query_offset = first};
        unmask::attention_forward(exec_, rows, mask, unmask::no_sink{}, options);
        if (tracker != nullptr && is_call) {
            tracker->attention(exec_, layer, std::span(&sequence, 1), rows, mask, unmask::no_sink{}, options);
        }
    }

    [[nodiscard]] const decoder& weights() const { return weights_; }
    [[nodiscard]] const unmask::cpu_executor& executor() const { return exec_; }
    pass_memory memory;

private:
    const decoder& weights_;
    unmask::cpu_executor exec_;
};

/// Computes the logits of some positions of a text, [positions.size(), vocabulary], by another way than one pass here:
/// with other processes, for one.
using logits_of_text =
    std::function<void(std::span<const token_t> text, std::span<const index_t> positions, matrix logits)>;

/// LLaDA, or with Shifts Dream, as the sampler sees it. Every position sees every other. It can keep keys and values
/// for the approximate caches (unmask::caching_denoiser).
template <bool Shifts>
class bidirectional_model : public sampled_model {
public:
    static constexpr bool shifts_logits = Shifts;

    /// The weights must outlive the model.
    bidirectional_model(const decoder& weights, const unmask::cpu_executor& exec)
        : sampled_model(weights, exec), empty_(config().layers, config().key_value_heads, config().head_dim) {}

    logits_of_text elsewhere; ///< used instead, if there is one; then nothing is kept, and no tracker hears of it

    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        by_sequence(rows, logits, [&](index_t sequence, std::span<const index_t> positions, matrix part) {
            if (elsewhere) {
                return elsewhere(page.tokens(sequence), positions, part);
            }
            weights().run(executor(), page.tokens(sequence), 0, memory, [&](index_t layer, const auto& tensors) {
                attend(sequence, layer, tensors, unmask::bidirectional{});
            });
            weights().predict(executor(), positions, memory, part);
        });
    }

    /// With what was kept of each sequence.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, std::span<const unmask::cache_use> use,
                 unmask::tensor_view<float, 2> logits) {
        std::size_t i = 0;
        by_sequence(rows, logits, [&](index_t sequence, std::vector<index_t>& positions, matrix part) {
            const unmask::cache_use& each = use[i++];
            const index_t length = page.length(sequence);
            if (elsewhere) {
                return elsewhere(page.tokens(sequence), positions, part);
            }
            // A shifted row lies one position before the block: it is computed with it.
            const index_t begin = each.refresh ? 0 : std::min(each.recompute.begin, positions.front());
            const index_t end = each.refresh ? length : each.recompute.end;
            run_kept(sequence, page.tokens(sequence), begin, end);
            for (index_t& position : positions) {
                position -= begin;
            }
            weights().predict(executor(), positions, memory, part);
        });
    }

private:
    using store = unmask::key_value_store<float>;

    void run_kept(index_t sequence, std::span<const token_t> tokens, index_t begin, index_t end) {
        store& kept = of_sequence(kept_, sequence, empty_);
        const index_t length = std::ssize(tokens);
        const auto part = tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        weights().run(executor(), part, begin, memory, [&](index_t layer, auto tensors) {
            kept.write(layer, begin, tensors.key, tensors.value);
            tensors.key = kept.key(layer, length);
            tensors.value = kept.value(layer, length);
            attend(sequence, layer, tensors, unmask::bidirectional{}, /*is_call=*/true, begin);
        });
    }

    store empty_;
    std::vector<store> kept_; ///< of a sequence
};

/// SDAR and Fast-dLLM v2 as the sampler sees them, with an exact cache (unmask::block_denoiser): a position sees its
/// own block and those before it.
///
/// Where logits are one position ahead (Fast-dLLM v2), the first position of a block is predicted by the last of the
/// block before, as that was when it was final; the model keeps what that takes, and the sampler sees no shift.
class block_model : public sampled_model {
public:
    /// The weights must outlive the model.
    block_model(const decoder& weights, const unmask::cpu_executor& exec)
        : sampled_model(weights, exec),
          empty_{{unmask::block{config().block}, config().layers, config().key_value_heads, config().head_dim}, {}} {}

    [[nodiscard]] index_t block_length() const { return config().block; }

    /// Forgets a sequence, and keeps the whole blocks of its prompt.
    void prefill(const unmask::canvas& page, const unmask::position_range& range) {
        of_sequence(kept_, range.sequence, empty_) = empty_;
        commit(page, range);
    }

    /// Keeps the next block, which is final.
    void commit(const unmask::canvas& page, const unmask::position_range& range) {
        if (range.end == range.begin) {
            return;
        }
        sequence_state& kept = kept_[static_cast<std::size_t>(range.sequence)];
        run(range.sequence, page.tokens(range.sequence), range.end, kept, /*is_call=*/false);
        kept.cache.keep(range.end);
        if (config().shifts_logits) {
            kept.last.resize(static_cast<std::size_t>(config().width));
            weights().normalized_row(memory.rows() - 1, memory, kept.last.data());
        }
    }

    /// Computes what is not kept, to the end of the rows' block.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        by_sequence(rows, logits, [&](index_t sequence, std::span<const index_t> positions, matrix part) {
            sequence_state& kept = of_sequence(kept_, sequence, empty_);
            const index_t begin = kept.cache.length();
            const index_t end =
                std::min((positions.back() / block_length() + 1) * block_length(), page.length(sequence));
            run(sequence, page.tokens(sequence), end, kept, /*is_call=*/true);
            const index_t shift = config().shifts_logits ? 1 : 0;
            inputs_.resize(positions.size() * static_cast<std::size_t>(config().width));
            const matrix inputs = unmask::view(inputs_.data(), std::ssize(positions), config().width);
            for (std::size_t i = 0; i < positions.size(); ++i) {
                const index_t source = positions[i] - shift;
                if (source >= begin || source < 0) {
                    weights().normalized_row(std::max(source, index_t{0}) - begin, memory, inputs.pointer(i));
                } else {
                    std::copy(kept.last.begin(), kept.last.end(), inputs.pointer(i));
                }
            }
            weights().predict(executor(), inputs, part);
        });
    }

private:
    struct sequence_state {
        unmask::kv_cache<float, unmask::block> cache;
        std::vector<float> last; ///< of the last position kept, as the head takes it
    };

    // Positions from the first that is not kept to `end`.
    void run(index_t sequence, std::span<const token_t> tokens, index_t end, sequence_state& kept, bool is_call) {
        const index_t begin = kept.cache.length();
        const auto part = tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        weights().run(executor(), part, begin, memory, [&](index_t layer, auto tensors) {
            kept.cache.write(layer, begin, tensors.key, tensors.value);
            tensors.key = kept.cache.key(layer, end);
            tensors.value = kept.cache.value(layer, end);
            attend(sequence, layer, tensors, kept.cache.mask(), is_call, begin);
        });
    }

    sequence_state empty_;
    std::vector<sequence_state> kept_; ///< of a sequence
    std::vector<float> inputs_;        ///< of the head
};

} // namespace dlm
